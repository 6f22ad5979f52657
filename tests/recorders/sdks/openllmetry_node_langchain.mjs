// OpenLLMetry on LangChain and LangGraph for Node.
import { project, providers, run, without } from './node_common.mjs'
import { scenarios } from './node_langchain_scripts.mjs'

const { tracers, flush } = providers()
const { LangChainInstrumentation } = project('@traceloop/instrumentation-langchain')
const instrumentation = new LangChainInstrumentation({ traceContent: true })
instrumentation.setTracerProvider(tracers)
instrumentation.manuallyInstrument({ callbackManagerModule: project('@langchain/core/callbacks/manager') })
// Embeddings have no callbacks.
await run(without(scenarios(), /^embeddings/), flush)
