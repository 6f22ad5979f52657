// OpenInference on Anthropic's SDK for Node.
import { project, providers, run } from './node_common.mjs'
import { scenarios } from './node_anthropic_scripts.mjs'

const { tracers, flush } = providers()
const { AnthropicInstrumentation } = project('@arizeai/openinference-instrumentation-anthropic')
const instrumentation = new AnthropicInstrumentation({ tracerProvider: tracers })
instrumentation.manuallyInstrument(project('@anthropic-ai/sdk').Anthropic)
await run(scenarios(), flush)
