// Langfuse for Node: its OpenAI client, its LangChain handler and its own observations.
import { exporter, project, providers, run, without } from './node_common.mjs'
import { scenarios as langchain } from './node_langchain_scripts.mjs'
import { scenarios as openai } from './node_openai_scripts.mjs'

const { LangfuseSpanProcessor } = project('@langfuse/otel')
const { CallbackHandler } = project('@langfuse/langchain')
const { observeOpenAI } = project('@langfuse/openai')
const { startActiveObservation, propagateAttributes, startObservation } = project('@langfuse/tracing')
const settings = { publicKey: 'pk', secretKey: 'sk', environment: 'test', exportMode: 'immediate', mediaUploadEnabled: false }
const { flush } = providers([new LangfuseSpanProcessor({ exporter: exporter(), ...settings })])

const clients = openai((client) => observeOpenAI(client, { generationName: 'answer', sessionId: 'session-7', userId: 'u-1', tags: ['docs'] }))
const chains = without(langchain(() => ({
  callbacks: [new CallbackHandler({ sessionId: 'session-7', userId: 'u-1' })],
  metadata: { langfuseSessionId: 'session-7', langfuseUserId: 'u-1' },
})), /^embeddings/)
const named = (prefix, scenarios) => Object.fromEntries(Object.entries(scenarios)
  .map(([name, scenario]) => [name.startsWith('error') ? name.replace('error', `error_${prefix}`) : `${prefix}_${name}`, scenario]))

const observed = () => propagateAttributes({ sessionId: 'session-7', userId: 'u-1', tags: ['docs'] }, () =>
  startActiveObservation('weather_agent', async (agent) => {
    agent.update({ input: 'Weather in Paris?' })
    const retriever = startObservation('search', { input: 'Weather in Paris?' }, { asType: 'retriever' })
    retriever.update({ output: ['Paris is in France.'] }).end()
    await clients.chat_tools()
    const tool = agent.startObservation('get_weather', { input: { city: 'Paris' } }, { asType: 'tool' })
    tool.update({ output: 'sunny' }).end()
    const guardrail = agent.startObservation('toxicity', { input: 'sunny' }, { asType: 'guardrail' })
    guardrail.update({ output: 'allow' }).end()
    agent.update({ output: 'sunny' })
  }, { asType: 'agent' }))

await run({ ...named('openai', clients), ...named('langchain', chains), observed }, flush)
