// OpenTelemetry's instrumentation of the OpenAI SDK for Node. It puts content into log events.
import { project, providers, run } from './node_common.mjs'
import { scenarios } from './node_openai_scripts.mjs'

const { tracers, loggers, flush } = providers()
const { registerInstrumentations } = project('@opentelemetry/instrumentation')
const { OpenAIInstrumentation } = project('@opentelemetry/instrumentation-openai')
registerInstrumentations({
  tracerProvider: tracers, loggerProvider: loggers,
  instrumentations: [new OpenAIInstrumentation({ captureMessageContent: true })],
})
await run(scenarios(), flush)
