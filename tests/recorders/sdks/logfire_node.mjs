// Logfire for Node: its own spans around the AI SDK and around OpenAI's client under OpenTelemetry's instrumentation.
import { load, project, run } from './node_common.mjs'

const logfire = project('@pydantic/logfire-node')
const { OpenAIInstrumentation } = project('@opentelemetry/instrumentation-openai')
logfire.configure({
  token: 'test', serviceName: 'assistant', environment: 'test', console: false, metrics: false, scrubbing: false,
  advanced: { baseUrl: `${process.env.PROVIDER_URL}/otlp` },
  instrumentations: [new OpenAIInstrumentation({ captureMessageContent: true })],
})
const { OpenAI } = project('openai')
const ai = await load('ai')
const { createOpenAI } = await load('@ai-sdk/openai')
const { z } = await load('zod')
const MODEL = 'gpt-4o-mini'
const model = createOpenAI({ baseURL: process.env.OPENAI_BASE_URL, apiKey: 'test' }).chat(MODEL)
const weather = ai.tool({ description: 'The weather of a city.', inputSchema: z.object({ city: z.string() }), execute: async ({ city }) => `sunny in ${city}` })
const generate = (prompt, more = {}) => ai.generateText({ model, prompt, maxRetries: 0, experimental_telemetry: { isEnabled: true }, ...more })
const ask = (prompt, more = {}) =>
  new OpenAI({ maxRetries: 0 }).chat.completions.create({ model: MODEL, messages: [{ role: 'user', content: prompt }], ...more })
const all = async (stream) => {
  for await (const _ of await stream);
}
const within = (name, callback) => logfire.span(`${name} {user_id}`, { attributes: { user_id: 'u-1', question: 'Weather in Paris?' }, tags: ['docs'], callback })

await run({
  openai_chat: () => ask('Capital of France?'),
  openai_stream: () => all(ask('Capital of France?', { stream: true, stream_options: { include_usage: true } })),
  vercel_stream: () => all(ai.streamText({ model, prompt: 'Capital of France?', experimental_telemetry: { isEnabled: true } }).textStream),
  pipeline: () => within('pipeline', async () => {
    logfire.info('asked {question}', { question: 'Weather in Paris?' })
    await ask('Capital of France?')
    await generate('Weather in Paris?', { tools: { get_weather: weather }, stopWhen: ai.stepCountIs(3) })
  }),
  error_openai_429: () => within('pipeline', () => ask('#429')),
  error_vercel_429: () => within('pipeline', () => generate('#429')),
}, () => logfire.forceFlush())
