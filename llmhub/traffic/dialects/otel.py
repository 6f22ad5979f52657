"""OpenTelemetry GenAI semantic conventions, as opentelemetry-instrumentation-genai-* writes them."""

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from llmhub.traffic.calls import Call
from llmhub.traffic.dialects.dialect import Dialect, Encoded
from llmhub.traffic.flows import Kind, Step, Trace
from llmhub.traffic.otlp import CLIENT, INTERNAL, UNSET, Scope, Value, new_span, put_float, put_int, put_string

SCHEMA_URL = "https://opentelemetry.io/schemas/1.37.0"
FRAMEWORK = Scope("opentelemetry.instrumentation.genai.langchain", "1.3b0", SCHEMA_URL)

_OPERATIONS = {
    Kind.RETRIEVAL: "retrieval",
    Kind.TOOL: "execute_tool",
    Kind.AGENT: "invoke_agent",
    Kind.WORKFLOW: "invoke_workflow",
}
_NAMES = {
    Kind.RETRIEVAL: "gen_ai.data_source.id",
    Kind.TOOL: "gen_ai.tool.name",
    Kind.AGENT: "gen_ai.agent.name",
    Kind.WORKFLOW: "gen_ai.workflow.name",
}


class OTel(Dialect):
    """Calls come from the provider's instrumentation, everything around them from the framework's."""

    def __init__(self) -> None:
        super().__init__()
        self._scopes: dict[str, Scope] = {}

    def encode(self, trace: Trace, step: Step) -> Encoded:
        if step.call is None:
            return Encoded(FRAMEWORK, self._around(trace, step))
        name = step.call.model.provider.scope
        scope = self._scopes.setdefault(name, Scope(name, "1.3b0", SCHEMA_URL))
        return Encoded(scope, self._call(trace, step, step.call))

    def _call(self, trace: Trace, step: Step, call: Call) -> Span:
        operation = "embeddings" if call.model.embedding else call.model.provider.operation
        span = new_span(trace, step, f"{operation} {call.model.name}", CLIENT, UNSET)
        key = (trace.deployment.service, call.model, call.streaming, call.failure is None)
        self.put_repeated(span, key, lambda: _of_model(trace, call, operation))
        if call.failure is not None:
            put_string(span, "error.type", call.failure.type)
        else:
            _put_usage(span, call)
        self._put_actor(span, trace)
        return span

    def _around(self, trace: Trace, step: Step) -> Span:
        operation = _OPERATIONS[step.kind]
        kind = CLIENT if step.kind is Kind.RETRIEVAL else INTERNAL
        span = new_span(trace, step, f"{operation} {step.name}", kind, UNSET)
        put_string(span, "gen_ai.operation.name", operation)
        put_string(span, _NAMES[step.kind], step.name)
        if step.kind is Kind.TOOL:
            put_string(span, "gen_ai.tool.type", "function")
            put_string(span, "gen_ai.tool.call.id", f"call_{step.span_id.hex()}")
            put_string(span, "gen_ai.agent.name", trace.deployment.service.agent)
        if step.failure is not None:
            put_string(span, "error.type", step.failure.type)
        self._put_actor(span, trace)
        return span

    def _put_actor(self, span: Span, trace: Trace) -> None:
        put_string(span, "user.id", trace.session.user)
        if trace.session.id:
            put_string(span, "gen_ai.conversation.id", trace.session.id)
        put_string(span, "llm_hub.feature", trace.feature)
        put_string(span, "llm_hub.team", trace.deployment.service.team)


def _of_model(trace: Trace, call: Call, operation: str) -> dict[str, Value | None]:
    service, model = trace.deployment.service, call.model
    worked, chat = call.failure is None, not model.embedding
    return {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": model.provider.name,
        "gen_ai.request.model": model.name,
        "server.address": model.provider.address,
        "server.port": 443,
        "gen_ai.request.temperature": service.temperature if chat and not model.reasoning else None,
        "gen_ai.request.max_tokens": service.max_tokens if chat else None,
        "gen_ai.request.stream": True if call.streaming else None,
        "gen_ai.request.encoding_formats": None if chat else ["float"],
        "gen_ai.embeddings.dimension.count": None if chat else 1536,
        "gen_ai.response.model": model.response if worked else None,
        "openai.response.service_tier": "default" if worked and chat and model.provider.name == "openai" else None,
    }


def _put_usage(span: Span, call: Call) -> None:
    put_int(span, "gen_ai.usage.input_tokens", call.input_tokens)
    if call.model.embedding:
        return
    put_string(span, "gen_ai.response.id", call.response_id)
    reasons = span.attributes.add(key="gen_ai.response.finish_reasons").value.array_value
    reasons.values.add(string_value=call.finish_reason)
    put_int(span, "gen_ai.usage.output_tokens", call.output_tokens)
    put_int(span, "gen_ai.usage.cache_read.input_tokens", call.cached_tokens)
    if call.model.cache is not None and call.model.cache.writes:
        put_int(span, "gen_ai.usage.cache_write.input_tokens", call.cache_write_tokens)
    else:
        put_int(span, "gen_ai.usage.reasoning.output_tokens", call.reasoning_tokens)
    if call.first_token is not None:
        put_float(span, "gen_ai.response.time_to_first_chunk", call.first_token)
