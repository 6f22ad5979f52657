// Mastra's agents and workflows with its exporter for OpenTelemetry.
import { load, run } from './node_common.mjs'

const { Mastra } = await load('@mastra/core/mastra')
const { Agent } = await load('@mastra/core/agent')
const { createTool } = await load('@mastra/core/tools')
const { createStep, createWorkflow } = await load('@mastra/core/workflows')
const { Observability } = await load('@mastra/observability')
const { OtelExporter } = await load('@mastra/otel-exporter')
const { createOpenAI } = await load('@ai-sdk/openai')
const { z } = await load('zod')

const openai = createOpenAI({ baseURL: process.env.OPENAI_BASE_URL, apiKey: 'test' })
const city = z.object({ city: z.string() })
const weather = createTool({
  id: 'get_weather', description: 'The weather of a city.', inputSchema: city,
  execute: async () => ({ weather: 'sunny' }),
})
const agent = new Agent({
  id: 'weather_agent', name: 'weather_agent', instructions: 'Answer shortly.', model: openai.chat('gpt-4o-mini'), maxRetries: 0,
})
const toolAgent = new Agent({
  id: 'tool_agent', name: 'tool_agent', instructions: 'Answer shortly.', model: openai.chat('gpt-4o-mini'), tools: { get_weather: weather }, maxRetries: 0,
})
const responsesAgent = new Agent({
  id: 'responses_agent', name: 'responses_agent', instructions: 'Answer shortly.', model: openai.responses('gpt-4o-mini'), maxRetries: 0,
})
const step = createStep({
  id: 'ask', inputSchema: city, outputSchema: z.object({ answer: z.string() }),
  execute: async ({ inputData, mastra, tracingContext }) =>
    ({ answer: (await mastra.getAgent('weatherAgent').generate(`Capital of ${inputData.city}?`, { tracingContext })).text }),
})
const workflow = createWorkflow({ id: 'city_workflow', inputSchema: city, outputSchema: z.object({ answer: z.string() }) }).then(step).commit()
const spans = new OtelExporter({ provider: { custom: { endpoint: `${process.env.OTEL_EXPORTER_OTLP_ENDPOINT}/v1/traces`, protocol: 'http/protobuf' } }, signals: { logs: false } })
const mastra = new Mastra({
  agents: { weatherAgent: agent, toolAgent, responsesAgent }, workflows: { cityWorkflow: workflow }, logger: false,
  observability: new Observability({ configs: { otel: { serviceName: 'assistant', exporters: [spans] } } }),
})
const options = { tracingOptions: { metadata: { userId: 'u-1', sessionId: 'session-7' } }, modelSettings: { maxRetries: 0 } }
const generate = (name, prompt, more = {}) => mastra.getAgent(name).generate(prompt, { ...options, ...more })
const stream = async (name, prompt) => {
  const result = await mastra.getAgent(name).stream(prompt, options)
  for await (const _ of result.textStream);
}

await run({
  chat: () => generate('weatherAgent', 'Capital of France?'),
  chat_stream: () => stream('weatherAgent', 'Capital of France?'),
  chat_tools: () => generate('toolAgent', 'Weather in Paris?'),
  stream_tools: () => stream('toolAgent', 'Weather in Paris?'),
  chat_length: () => generate('weatherAgent', '#length'),
  structured: () => generate('weatherAgent', '#text Capital?', { structuredOutput: { schema: city } }),
  responses: () => generate('responsesAgent', 'Capital of France?'),
  workflow: async () => {
    const one = await mastra.getWorkflow('cityWorkflow').createRun()
    await one.start({ inputData: { city: 'France' }, ...options })
  },
  error_429: () => generate('weatherAgent', '#429'),
  error_401: () => generate('weatherAgent', '#401'),
  error_context: () => generate('weatherAgent', '#400-context'),
  error_stream_500: () => stream('weatherAgent', '#500'),
}, async () => {
  await new Promise((resolve) => setTimeout(resolve, 300))
  await spans.flush?.()
})
