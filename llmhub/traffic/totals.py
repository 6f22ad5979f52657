"""What became of the exports that a player sent."""

from dataclasses import dataclass, replace

import grpc
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from llmhub.traffic.exports import Export


@dataclass(frozen=True, slots=True)
class Totals:
    """What became of the exports so far.

    `calls` and `spans` are those of acknowledged exports, `rejected` the spans that the endpoint refused
    within them (partial success); `failed` counts exports given up after the retries, `error` says why the
    last of them was. `reached` is the due time of the latest acknowledged export, unix seconds.
    """

    acknowledged: int = 0
    calls: int = 0
    spans: int = 0
    rejected: int = 0
    failed: int = 0
    failed_in_a_row: int = 0
    reached: float = 0.0
    error: str = ""

    def with_acknowledged(self, export: Export, rejected: int, reason: str) -> "Totals":
        return replace(
            self,
            acknowledged=self.acknowledged + 1,
            calls=self.calls + export.calls,
            spans=self.spans + export.spans - rejected,
            rejected=self.rejected + rejected,
            failed_in_a_row=0,
            reached=max(self.reached, export.due),
            error=reason or self.error,
        )

    def with_failed(self, reason: str) -> "Totals":
        return replace(self, failed=self.failed + 1, failed_in_a_row=self.failed_in_a_row + 1, error=reason)


def judged(totals: Totals, export: Export, answer: "grpc.Future[bytes]") -> Totals:
    """`totals` with the answer to one more export."""
    error = answer.exception()
    if isinstance(error, grpc.RpcError):
        return totals.with_failed(f"{error.code().name}: {error.details()}")
    if error is not None:
        return totals.with_failed(repr(error))
    try:
        partial = ExportTraceServiceResponse.FromString(answer.result()).partial_success
    except DecodeError:
        return totals.with_failed("the answer is not an ExportTraceServiceResponse")
    return totals.with_acknowledged(export, partial.rejected_spans, partial.error_message)
