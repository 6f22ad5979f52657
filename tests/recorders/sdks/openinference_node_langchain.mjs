// OpenInference on LangChain and LangGraph for Node.
import { project, providers, run, without } from './node_common.mjs'
import { scenarios } from './node_langchain_scripts.mjs'

const { tracers, flush } = providers()
const { LangChainInstrumentation } = project('@arizeai/openinference-instrumentation-langchain')
const instrumentation = new LangChainInstrumentation({ tracerProvider: tracers })
instrumentation.manuallyInstrument(project('@langchain/core/callbacks/manager'))
// Embeddings have no callbacks.
await run(without(scenarios(), /^embeddings/), flush)
