// What the AI SDK is recorded doing.
import { load, project, providers, run } from './node_common.mjs'

export async function main(version, processors) {
  const { flush } = providers(processors)
  const { trace } = project('@opentelemetry/api')
  const ai = await load('ai')
  const { createOpenAI } = await load('@ai-sdk/openai')
  const { createAnthropic } = await load('@ai-sdk/anthropic')
  const { z } = await load('zod')
  const openai = createOpenAI({ baseURL: process.env.OPENAI_BASE_URL, apiKey: 'test' })
  const claude = createAnthropic({ baseURL: `${process.env.PROVIDER_URL}/anthropic/v1`, apiKey: 'test' })('claude-sonnet-4-5-20250929')
  if (version === 7) {
    const otel = await load('@ai-sdk/otel')
    ai.registerTelemetry(new otel.OpenTelemetry({ tracer: trace.getTracer('gen_ai') }))
  }
  const settings = { isEnabled: true, functionId: 'weather', metadata: { userId: 'u-1', sessionId: 'session-7' } }
  const telemetry = version === 7 ? { telemetry: settings, experimental_telemetry: settings } : { experimental_telemetry: settings }
  const chat = openai.chat('gpt-4o-mini')
  const weather = ai.tool({ description: 'The weather of a city.', inputSchema: z.object({ city: z.string() }), execute: async ({ city }) => `sunny in ${city}` })
  const tools = { tools: { get_weather: weather }, stopWhen: (ai.stepCountIs ?? ai.isStepCount)(3) }
  const ask = (prompt, model = chat, more = {}) => ai.generateText({ model, prompt, maxRetries: 0, ...telemetry, ...more })
  const stream = async (prompt, model = chat, more = {}) => {
    for await (const _ of ai.streamText({ model, prompt, maxRetries: 0, onError: () => {}, ...telemetry, ...more }).textStream);
  }
  const scenarios = {
    chat: () => ask('Capital of France?'),
    chat_stream: () => stream('Capital of France?'),
    chat_tools: () => ask('Weather in Paris?', chat, tools),
    chat_two_tools: () => ask('#two Weather?', chat, tools),
    stream_tools: () => stream('Weather in Paris?', chat, tools),
    chat_length: () => ask('#length'),
    chat_filter: () => ask('#filter'),
    responses: () => ask('Capital of France?', openai.responses('gpt-4o-mini')),
    responses_stream: () => stream('Capital of France?', openai.responses('gpt-4o-mini')),
    object: () => version === 7
      ? ai.generateText({ model: chat, prompt: '#text Capital?', output: ai.Output.object({ schema: z.object({ city: z.string() }) }), ...telemetry })
      : ai.generateObject({ model: chat, prompt: '#text Capital?', schema: z.object({ city: z.string() }), ...telemetry }),
    embed: () => ai.embed({ model: openai.embedding('text-embedding-3-small'), value: 'Paris', ...telemetry }),
    embed_many: () => ai.embedMany({ model: openai.embedding('text-embedding-3-small'), values: ['Paris', 'Rome'], ...telemetry }),
    anthropic: () => ask('Capital of France?', claude),
    anthropic_stream: () => stream('Capital of France?', claude),
    anthropic_tools: () => ask('Weather in Paris?', claude, tools),
    error_429: () => ask('#429'),
    error_401: () => ask('#401'),
    error_context: () => ask('#400-context'),
    error_stream_500: () => stream('#500'),
    error_anthropic_529: () => ask('#529', claude),
  }
  await run(scenarios, flush)
}
