// What the AI SDK 5 is recorded doing beyond vercel_scripts.mjs: Gemini, objects, batches, tools that fail, streams that end early.
import { load, project, providers, run } from './node_common.mjs'

export async function main(processors) {
  const { flush } = providers(processors)
  const { trace } = project('@opentelemetry/api')
  const ai = await load('ai')
  const { createOpenAI } = await load('@ai-sdk/openai')
  const { createAnthropic } = await load('@ai-sdk/anthropic')
  const { createGoogleGenerativeAI } = await load('@ai-sdk/google')
  const { z } = await load('zod')
  const openai = createOpenAI({ baseURL: process.env.OPENAI_BASE_URL, apiKey: 'test' })
  const claude = createAnthropic({ baseURL: `${process.env.PROVIDER_URL}/anthropic/v1`, apiKey: 'test' })('claude-sonnet-4-5-20250929')
  const gemini = createGoogleGenerativeAI({ baseURL: `${process.env.PROVIDER_URL}/gemini/v1beta`, apiKey: 'test' })('gemini-2.5-flash')
  const chat = openai.chat('gpt-4o-mini')
  const City = z.object({ city: z.string() })
  const telemetry = { maxRetries: 0, experimental_telemetry: { isEnabled: true, functionId: 'weather', metadata: { userId: 'u-1', sessionId: 'session-7' } } }
  const tool = (execute) => ai.tool({ description: 'The weather of a city.', inputSchema: City, execute })
  const weather = { tools: { get_weather: tool(async ({ city }) => `sunny in ${city}`) }, stopWhen: ai.stepCountIs(3) }
  const broken = { tools: { get_weather: tool(async () => { throw new Error('no weather today') }) }, stopWhen: ai.stepCountIs(3) }
  const ask = (prompt, model = chat, more = {}) => ai.generateText({ model, prompt, ...telemetry, ...more })
  const stream = (prompt, model = chat, more = {}) => ai.streamText({ model, prompt, onError: () => {}, ...telemetry, ...more })
  const all = async (parts, take = 1e9) => {
    for await (const _ of parts) if (!--take) break;
  }
  const embedder = openai.embedding('text-embedding-3-small')
  await run({
    chat_system: () => ask('Capital of France?', chat, { system: 'Answer shortly.', temperature: 0.2, maxOutputTokens: 100 }),
    chat_messages: () => ai.generateText({ model: chat, ...telemetry, messages: [
      { role: 'user', content: 'Capital of France?' }, { role: 'assistant', content: 'Paris.' }, { role: 'user', content: [{ type: 'text', text: 'And of Italy?' }] }] }),
    two_tools: () => ask('#two Weather?', chat, { ...weather, tools: { ...weather.tools, get_time: weather.tools.get_weather } }),
    stream_two_tools: () => all(stream('#two Weather?', chat, { ...weather, tools: { ...weather.tools, get_time: weather.tools.get_weather } }).fullStream),
    error_tool: () => ask('Weather in Paris?', chat, broken),
    stream_object: () => all(ai.streamObject({ model: chat, prompt: '#text Capital?', schema: City, ...telemetry }).partialObjectStream),
    object_array: () => ai.generateObject({ model: openai.responses('gpt-4o-mini'), output: 'array', prompt: '#text Capitals?', schema: City, ...telemetry }),
    error_object: () => ai.generateObject({ model: claude, prompt: '#text Capital?', schema: City, mode: 'json', ...telemetry }),
    embed: () => ai.embed({ model: embedder, value: 'Paris', ...telemetry }),
    embed_many: () => ai.embedMany({ model: embedder, values: ['Paris', 'Rome'], ...telemetry }),
    gemini_chat: () => ask('Capital of France?', gemini),
    gemini_stream: () => all(stream('Capital of France?', gemini).textStream),
    gemini_tools: () => ask('Weather in Paris?', gemini, weather),
    claude_chat: () => ask('Capital of France?', claude),
    claude_stream_tools: () => all(stream('Weather in Paris?', claude, weather).fullStream),
    responses_tools: () => ask('Weather in Paris?', openai.responses('gpt-4o-mini'), weather),
    nested: () => trace.getTracer('app').startActiveSpan('answer_customer', async (span) => {
      await ask('Weather in Paris?', chat, weather)
      await all(stream('Capital of France?').textStream)
      span.end()
    }),
    stream_left: () => all(stream('Capital of France?').textStream, 1),
    error_stream_aborted: async () => {
      const abort = new AbortController()
      const parts = stream('Capital of France?', chat, { abortSignal: abort.signal }).fullStream
      await all(parts, 3)
      abort.abort()
    },
    error_timeout: () => ask('#slow', chat, { abortSignal: AbortSignal.timeout(500) }),
    error_reset: () => ask('#reset'),
    error_stream_429: () => all(stream('#429').textStream),
    error_404: () => ask('#404'),
    error_500: () => ask('#500'),
    error_gemini_429: () => ask('#429', gemini),
    error_embed_429: () => ai.embed({ model: embedder, value: '#429', ...telemetry }),
    error_object_429: () => ai.generateObject({ model: chat, prompt: '#429', schema: City, ...telemetry }),
  }, flush)
}
