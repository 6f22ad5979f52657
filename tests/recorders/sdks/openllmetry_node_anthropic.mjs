// OpenLLMetry on Anthropic's SDK for Node.
import { project, providers, run, without } from './node_common.mjs'
import { scenarios } from './node_anthropic_scripts.mjs'

const { tracers, flush } = providers()
const { AnthropicInstrumentation } = project('@traceloop/instrumentation-anthropic')
const instrumentation = new AnthropicInstrumentation({ traceContent: true })
instrumentation.setTracerProvider(tracers)
instrumentation.manuallyInstrument(project('@anthropic-ai/sdk'))
// A stream that fails leaves its span open.
await run(without(scenarios(), /^error_stream/), flush)
