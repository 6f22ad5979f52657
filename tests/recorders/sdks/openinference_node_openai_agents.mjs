// OpenInference on the OpenAI Agents SDK for Node.
import { load, project, providers, run } from './node_common.mjs'
import { scenarios } from './node_agents_scripts.mjs'

const { tracers, flush } = providers()
const { OpenAIAgentsInstrumentation } = project('@arizeai/openinference-instrumentation-openai-agents')
const agents = await load('@openai/agents')
new OpenAIAgentsInstrumentation({ tracerProvider: tracers }).manuallyInstrument(agents)
await run(await scenarios(agents), flush)
