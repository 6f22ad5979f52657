// OpenLLMetry on the OpenAI SDK for Node.
import { project, providers, run, without } from './node_common.mjs'
import { scenarios } from './node_openai_scripts.mjs'

const { tracers, flush } = providers()
const { OpenAIInstrumentation } = project('@traceloop/instrumentation-openai')
const instrumentation = new OpenAIInstrumentation({ traceContent: true })
instrumentation.setTracerProvider(tracers)
instrumentation.manuallyInstrument(project('openai').OpenAI)
// Failed calls leave their spans open, embeddings have none, and the helper for streams breaks.
await run(without(scenarios(), /^error_|^embeddings|_helper/), flush)
