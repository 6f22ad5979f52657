"""OpenInference (Arize), as openinference-instrumentation-openai 0.1 writes it with content hidden."""

import json

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from llmhub.traffic.calls import Call
from llmhub.traffic.dialects.dialect import Dialect, Encoded
from llmhub.traffic.flows import Kind, Step, Trace
from llmhub.traffic.otlp import INTERNAL, OK, Scope, Value, new_span, put_exception, put_int, put_string

OPENAI = Scope("openinference.instrumentation.openai", "0.1.66")
FRAMEWORK = Scope("openinference.instrumentation.langchain", "0.1.80")
REDACTED = "__REDACTED__"

_KINDS = {Kind.RETRIEVAL: "RETRIEVER", Kind.TOOL: "TOOL", Kind.AGENT: "AGENT", Kind.WORKFLOW: "CHAIN"}


class OpenInference(Dialect):
    """Every span is INTERNAL; the request model is only in the invocation parameters."""

    def encode(self, trace: Trace, step: Step) -> Encoded:
        if step.call is None:
            return Encoded(FRAMEWORK, self._around(trace, step))
        return Encoded(OPENAI, self._call(trace, step, step.call))

    def _call(self, trace: Trace, step: Step, call: Call) -> Span:
        name = "CreateEmbeddings" if call.model.embedding else "ChatCompletion"
        span = new_span(trace, step, name, INTERNAL, OK)
        key = (trace.deployment.service, call.model, call.streaming, call.failure is None)
        self.put_repeated(span, key, lambda: _of_model(trace, call))
        if call.failure is not None:
            span.status.message = f"{call.failure.type.rpartition('.')[2]}: {call.failure.message}"
            put_exception(span, call.failure, step.end)
        else:
            _put_usage(span, call)
        if call.first_token is not None:
            first = step.start + int(call.first_token * 1e9)
            span.events.add(name="First Token Stream Event", time_unix_nano=first)
        _put_actor(span, trace)
        return span

    def _around(self, trace: Trace, step: Step) -> Span:
        span = new_span(trace, step, step.name, INTERNAL, OK)
        kind = _KINDS[step.kind]
        self.put_repeated(span, kind, lambda: {**_HIDDEN, "openinference.span.kind": kind})
        if step.kind is Kind.TOOL:
            put_string(span, "tool.name", step.name)
        if step.kind is Kind.AGENT:
            put_string(span, "agent.name", step.name)
        if step.failure is not None:
            put_exception(span, step.failure, step.end)
        _put_actor(span, trace)
        return span


_HIDDEN: dict[str, Value | None] = {"input.value": REDACTED, "output.value": REDACTED}


def _of_model(trace: Trace, call: Call) -> dict[str, Value | None]:
    model, worked = call.model, call.failure is None
    return {
        "llm.system": model.provider.name,
        "input.value": REDACTED,
        "output.value": REDACTED if worked else None,
        _parameters_key(call): json.dumps(_parameters(trace, call)),
        "embedding.model_name" if model.embedding else "llm.model_name": model.response if worked else None,
        "openinference.span.kind": "EMBEDDING" if model.embedding else "LLM",
    }


def _parameters_key(call: Call) -> str:
    return "embedding.invocation_parameters" if call.model.embedding else "llm.invocation_parameters"


def _parameters(trace: Trace, call: Call) -> dict[str, object]:
    service, model = trace.deployment.service, call.model
    if model.embedding:
        return {"model": model.name, "encoding_format": "float"}
    parameters: dict[str, object] = {"model": model.name, "max_tokens": service.max_tokens}
    if service.temperature is not None and not model.reasoning:
        parameters["temperature"] = service.temperature
    if call.streaming:
        parameters |= {"stream": True, "stream_options": {"include_usage": True}}
    return parameters


def _put_usage(span: Span, call: Call) -> None:
    put_int(span, "llm.token_count.total", call.input_tokens + call.output_tokens)
    put_int(span, "llm.token_count.prompt", call.input_tokens)
    if call.model.embedding:
        return
    put_int(span, "llm.token_count.completion", call.output_tokens)
    put_int(span, "llm.token_count.prompt_details.cache_read", call.cached_tokens)
    put_int(span, "llm.token_count.prompt_details.audio", 0)
    put_int(span, "llm.token_count.completion_details.reasoning", call.reasoning_tokens)
    put_int(span, "llm.token_count.completion_details.audio", 0)
    put_string(span, "llm.finish_reason", call.finish_reason)


def _put_actor(span: Span, trace: Trace) -> None:
    put_string(span, "user.id", trace.session.user)
    put_string(span, "session.id", trace.session.id)
    put_string(span, "llm_hub.feature", trace.feature)
    put_string(span, "llm_hub.team", trace.deployment.service.team)
