// Genkit with its plugins for OpenAI-compatible APIs and for Gemini; its spans are all its own.
import { WEATHER, exporter, load, project, run } from './node_common.mjs'

const { genkit, z } = await load('genkit')
const { enableTelemetry } = await load('genkit/tracing')
const { openAI } = await load('@genkit-ai/compat-oai/openai')
const { googleAI } = await load('@genkit-ai/google-genai')
const { SimpleSpanProcessor } = project('@opentelemetry/sdk-trace-node')
const { Resource } = project('@opentelemetry/resources')

const spans = new SimpleSpanProcessor(exporter())
const resource = new Resource({ 'service.name': 'assistant', 'deployment.environment.name': 'test' })
await enableTelemetry({ spanProcessors: [spans], resource, autoDetectResources: false })

const ai = genkit({ plugins: [
  openAI({ apiKey: 'test', baseURL: process.env.OPENAI_BASE_URL, maxRetries: 0, timeout: 1000 }),
  googleAI({ apiKey: 'test', baseUrl: process.env.GOOGLE_GEMINI_BASE_URL }),
] })
const gpt = openAI.model('gpt-4o-mini')
const gemini = googleAI.model('gemini-2.5-flash')
const City = z.object({ city: z.string() })
const tool = (name) => ai.defineTool({ name, description: WEATHER.description, inputSchema: City, outputSchema: z.string() }, async ({ city }) => `sunny in ${city}`)
const weather = tool('get_weather')
const time = tool('get_time')
const ask = (prompt, options = {}) => ai.generate({ model: gpt, prompt, ...options })
const stream = async (prompt, options = {}) => {
  const { stream, response } = ai.generateStream({ model: gpt, prompt, ...options })
  for await (const _ of stream);
  await response
}
const embedder = openAI.embedder('text-embedding-3-small')
const documents = ai.defineRetriever({ name: 'documents' }, async () => ({ documents: [{ content: [{ text: 'Paris is in France.' }] }] }))
const flow = ai.defineFlow({ name: 'weather_flow', inputSchema: z.string() }, async (city) => {
  await ai.retrieve({ retriever: documents, query: `Where is ${city}?` })
  await ai.run('remember', async () => city)
  return (await ask(`Weather in ${city}?`, { tools: [weather] })).text
})
const prompt = ai.definePrompt({ name: 'capital', model: gpt, input: { schema: City }, messages: 'Capital of {{city}}?' })

await run({
  chat: () => ask('Capital of France?'),
  chat_system: () => ask('Capital of France?', { system: 'Answer shortly.', config: { temperature: 0.2, maxOutputTokens: 100 } }),
  chat_stream: () => stream('Capital of France?'),
  chat_tools: () => ask('Weather in Paris?', { tools: [weather] }),
  chat_two_tools: () => ask('#two Weather?', { tools: [weather, time] }),
  stream_tools: () => stream('Weather in Paris?', { tools: [weather] }),
  chat_length: () => ask('#length'),
  object: () => ask('#text Capital?', { output: { schema: City } }),
  prompt: () => prompt({ city: 'France' }),
  flow: () => flow('Paris'),
  embed: () => ai.embed({ embedder, content: 'Paris' }),
  gemini_chat: () => ask('Capital of France?', { model: gemini }),
  gemini_stream: () => stream('Capital of France?', { model: gemini }),
  gemini_tools: () => ask('Weather in Paris?', { model: gemini, tools: [weather] }),
  error_429: () => ask('#429'),
  error_401: () => ask('#401'),
  error_context: () => ask('#400-context'),
  error_500: () => ask('#500'),
  error_timeout: () => ask('#slow'),
  error_stream_429: () => stream('#429'),
  error_flow_429: () => flow('#429'),
  error_embed_429: () => ai.embed({ embedder, content: '#429' }),
  error_gemini_429: () => ask('#429', { model: gemini }),
}, () => spans.forceFlush())
