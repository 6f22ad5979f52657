// LangSmith for Node with its spans sent over OTLP: traceable functions with a client of OpenAI, and the AI SDK.
import { load, project, providers, run, without } from './node_common.mjs'
import { scenarios as openai } from './node_openai_scripts.mjs'

process.env.LANGSMITH_TRACING = 'true'
process.env.LANGSMITH_OTEL_ENABLED = 'true'
process.env.LANGSMITH_API_KEY = 'test'
process.env.LANGSMITH_ENDPOINT = process.env.PROVIDER_URL
process.env.LANGSMITH_PROJECT = 'assistant'

const { initializeOTEL } = project('langsmith/experimental/otel/setup')
const { LangSmithOTLPTraceExporter } = project('langsmith/experimental/otel/exporter')
const { LangSmithOTLPSpanProcessor } = project('langsmith/experimental/otel/processor')
const processor = new LangSmithOTLPSpanProcessor(new LangSmithOTLPTraceExporter({ url: `${process.env.PROVIDER_URL}/otlp/v1/traces` }))
initializeOTEL({ globalTracerProvider: providers([processor]).tracers })
const { wrapOpenAI } = project('langsmith/wrappers/openai')
const { traceable } = project('langsmith/traceable')
const { Client } = project('langsmith')
const client = new Client()

// A stream is not exported.
const clients = openai((each) => wrapOpenAI(each, { client, metadata: { user_id: 'u-1', thread_id: 'thread-7' } }))
const ai = await load('ai')
const { createOpenAI } = await load('@ai-sdk/openai')
const { z } = await load('zod')
const model = createOpenAI({ baseURL: process.env.OPENAI_BASE_URL, apiKey: 'test' }).chat('gpt-4o-mini')
const weather = ai.tool({ description: 'The weather of a city.', inputSchema: z.object({ city: z.string() }), execute: async ({ city }) => `sunny in ${city}` })
const generate = (prompt, more = {}) => ai.generateText({ model, prompt, maxRetries: 0, experimental_telemetry: { isEnabled: true }, ...more })

const search = traceable(async (query) => [{ page_content: 'Paris is in France.', type: 'Document', metadata: { query } }], { name: 'search', run_type: 'retriever', client })
const tool = traceable(async ({ city }) => `sunny in ${city}`, { name: 'get_weather', run_type: 'tool', client })
const pipeline = traceable(async (question) => {
  await search(question)
  await tool({ city: 'Paris' })
  return clients.chat_tools()
}, { name: 'pipeline', client, tags: ['docs'], metadata: { session_id: 'session-7', user_id: 'u-1' } })

const named = (prefix, scenarios) => Object.fromEntries(Object.entries(scenarios)
  .map(([name, scenario]) => [name.startsWith('error') ? name.replace('error', `error_${prefix}`) : `${prefix}_${name}`, scenario]))

await run({
  ...named('openai', without(clients, /^chat_stream|^responses_stream|^chat_filter|embeddings|_404|_500/)),
  pipeline: () => pipeline('Weather in Paris?'),
  vercel_chat: () => generate('Capital of France?'),
  vercel_tools: () => generate('Weather in Paris?', { tools: { get_weather: weather }, stopWhen: ai.stepCountIs(3) }),
  error_vercel_429: () => generate('#429'),
}, async () => {
  await new Promise((resolve) => setTimeout(resolve, 500))
  await client.awaitPendingTraceBatches()
  await processor.forceFlush()
})
