"""A user's application: the OpenAI SDK, instrumented as opentelemetry-instrumentation-openai-v2 says.

Endpoints, key and service name come from the environment, as OpenAI and OpenTelemetry define them.
"""

from openai import OpenAI
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
OpenAIInstrumentor().instrument()  # type: ignore[no-untyped-call]

client = OpenAI()
for number in range(5):
    client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": f"Question {number}"}])
provider.shutdown()
