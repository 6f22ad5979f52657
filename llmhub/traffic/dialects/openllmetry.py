"""OpenLLMetry (Traceloop), as opentelemetry-instrumentation-openai 0.62 writes it without content."""

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from llmhub.traffic.calls import Call
from llmhub.traffic.dialects.dialect import Dialect, Encoded
from llmhub.traffic.flows import Kind, Step, Trace
from llmhub.traffic.otlp import (
    CLIENT,
    INTERNAL,
    OK,
    UNSET,
    Scope,
    Value,
    new_span,
    put_exception,
    put_int,
    put_string,
)

OPENAI = Scope("opentelemetry.instrumentation.openai.v1", "0.62.4")
DECORATORS = Scope("traceloop.tracer", "0.62.4")

# A real stream has an event for every chunk; four tell the same story at a tenth of the size.
_CHUNKS = 4
_KINDS = {Kind.RETRIEVAL: "task", Kind.TOOL: "tool", Kind.AGENT: "agent", Kind.WORKFLOW: "workflow"}


class OpenLLMetry(Dialect):
    """Calls by the OpenAI instrumentation, what is around them by the workflow and task decorators."""

    def encode(self, trace: Trace, step: Step) -> Encoded:
        if step.call is None:
            return Encoded(DECORATORS, self._around(trace, step))
        return Encoded(OPENAI, self._call(trace, step, step.call))

    def _call(self, trace: Trace, step: Step, call: Call) -> Span:
        name = "openai.embeddings" if call.model.embedding else "openai.chat"
        span = new_span(trace, step, name, CLIENT, OK if call.streaming else UNSET)
        key = (trace.deployment.service, call.model, call.streaming, call.failure is None)
        self.put_repeated(span, key, lambda: _of_model(trace, call))
        if call.failure is not None:
            put_string(span, "error.type", call.failure.type.rpartition(".")[2])
            put_exception(span, call.failure, step.end)
        else:
            _put_usage(span, call)
            _put_chunks(span, step, call)
        put_string(span, "gen_ai.user", trace.session.user)
        _put_properties(span, trace)
        return span

    def _around(self, trace: Trace, step: Step) -> Span:
        kind = _KINDS[step.kind]
        span = new_span(trace, step, f"{step.name}.{kind}", INTERNAL, UNSET)
        put_string(span, "traceloop.span.kind", kind)
        put_string(span, "traceloop.entity.name", step.name)
        if step.failure is not None:
            put_exception(span, step.failure, step.end)
        _put_properties(span, trace)
        return span


def _of_model(trace: Trace, call: Call) -> dict[str, Value | None]:
    service, model = trace.deployment.service, call.model
    worked, chat = call.failure is None, not model.embedding
    return {
        "gen_ai.operation.name": "chat" if chat else "embeddings",
        "gen_ai.provider.name": model.provider.name,
        "gen_ai.request.model": model.name,
        "gen_ai.request.max_tokens": service.max_tokens if chat else None,
        "gen_ai.request.temperature": service.temperature if chat and not model.reasoning else None,
        "gen_ai.is_streaming": call.streaming,
        "gen_ai.openai.api_base": f"https://{model.provider.address}/v1/",
        "gen_ai.response.model": model.response if worked else None,
        "openai.response.service_tier": "default" if worked and chat and not call.streaming else None,
    }


def _put_usage(span: Span, call: Call) -> None:
    put_int(span, "gen_ai.usage.total_tokens", call.input_tokens + call.output_tokens)
    put_int(span, "gen_ai.usage.input_tokens", call.input_tokens)
    put_int(span, "gen_ai.usage.cache_read.input_tokens", call.cached_tokens)
    if call.model.embedding:
        return
    put_int(span, "gen_ai.usage.output_tokens", call.output_tokens)
    put_string(span, "gen_ai.response.id", call.response_id)
    reasons = span.attributes.add(key="gen_ai.response.finish_reasons").value.array_value
    reasons.values.add(string_value=call.finish_reason)
    if not call.streaming:
        put_int(span, "gen_ai.usage.reasoning_tokens", call.reasoning_tokens)


def _put_chunks(span: Span, step: Step, call: Call) -> None:
    if call.first_token is None:
        return
    first = step.start + int(call.first_token * 1e9)
    for n in range(_CHUNKS):
        time = first + (step.end - first) * n // (_CHUNKS - 1)
        span.events.add(name="gen_ai.content.completion.chunk", time_unix_nano=time)


def _put_properties(span: Span, trace: Trace) -> None:
    prefix = "traceloop.association.properties."
    put_string(span, f"{prefix}user_id", trace.session.user)
    put_string(span, f"{prefix}session_id", trace.session.id)
    put_string(span, f"{prefix}feature", trace.feature)
    put_string(span, f"{prefix}team", trace.deployment.service.team)
