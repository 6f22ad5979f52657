// OpenInference on the OpenAI SDK for Node.
import { project, providers, run, without } from './node_common.mjs'
import { scenarios } from './node_openai_scripts.mjs'

const { tracers, flush } = providers()
const { OpenAIInstrumentation } = project('@arizeai/openinference-instrumentation-openai')
const instrumentation = new OpenAIInstrumentation({ tracerProvider: tracers })
instrumentation.manuallyInstrument(project('openai').OpenAI)
// Failed calls leave their spans open.
await run(without(scenarios(), /^error_/), flush)
