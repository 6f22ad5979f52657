// Sends one span with one exporter and prints how it went.
// Usage: node export.js grpc|http|proto URL none|gzip
'use strict';

const [transport, url, compression] = process.argv.slice(2);
const { OTLPTraceExporter } = require(`@opentelemetry/exporter-trace-otlp-${transport}`);
const { resourceFromAttributes } = require('@opentelemetry/resources');
const { BasicTracerProvider, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-base');

const exporter = new OTLPTraceExporter({ url, compression });
const export_ = exporter.export.bind(exporter);
exporter.export = (spans, done) => export_(spans, (result) => {
  console.log(JSON.stringify({ code: result.code, error: result.error?.message ?? '' }));
  done(result);
});

const provider = new BasicTracerProvider({
  resource: resourceFromAttributes({ 'service.name': 'checkout-node' }),
  spanProcessors: [new SimpleSpanProcessor(exporter)],
});
provider.getTracer('test').startSpan('chat', {
  attributes: {
    'gen_ai.request.model': 'gpt-4o-mini',
    'gen_ai.usage.input_tokens': 0,
    'gen_ai.request.temperature': 0.5,
    'gen_ai.request.stream': false,
    'gen_ai.response.finish_reasons': ['stop', 'length'],
  },
}).end();
provider.shutdown();
