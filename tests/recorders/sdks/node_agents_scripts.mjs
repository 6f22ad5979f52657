// What the OpenAI Agents SDK for Node is recorded doing.
import { load } from './node_common.mjs'

export async function scenarios(agents) {
  const { z } = await load('zod')
  const { OpenAI } = await load('openai')
  const { Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, tool } = agents
  const client = new OpenAI({ maxRetries: 0 })
  const chat = new OpenAIChatCompletionsModel(client, 'gpt-4o-mini')
  const responses = new OpenAIResponsesModel(client, 'gpt-4o-mini')
  const weather = tool({
    name: 'get_weather', description: 'The weather of a city.', parameters: z.object({ city: z.string() }), execute: async () => 'sunny',
  })
  const agent = (model, options = {}) => new Agent({ name: 'weather_agent', instructions: 'Answer shortly.', model, ...options })
  const ask = (prompt, one, options) => new Runner({ workflowName: 'weather', groupId: 'session-7' }).run(one, prompt, options)
  const stream = async (prompt, one) => {
    const result = await ask(prompt, one, { stream: true })
    for await (const _ of result);
  }
  const rail = { name: 'no_secrets', execute: async () => ({ tripwireTriggered: false, outputInfo: {} }) }
  return {
    chat: () => ask('Capital of France?', agent(chat)),
    chat_stream: () => stream('Capital of France?', agent(chat)),
    chat_tools: () => ask('Weather in Paris?', agent(chat, { tools: [weather] })),
    chat_two_tools: () => ask('#two Weather?', agent(chat, { tools: [weather] })),
    guardrail: () => ask('Capital of France?', agent(chat, { inputGuardrails: [rail] })),
    handoff: () => ask('Capital of France?', Agent.create({ name: 'triage', model: chat, handoffs: [agent(chat)] })),
    responses: () => ask('Capital of France?', agent(responses)),
    responses_stream: () => stream('Capital of France?', agent(responses)),
    responses_tools: () => ask('Weather in Paris?', agent(responses, { tools: [weather] })),
    structured: () => ask('#text Capital?', agent(responses, { outputType: z.object({ city: z.string() }) })),
    error_429: () => ask('#429', agent(responses)),
    error_context: () => ask('#400-context', agent(chat)),
    error_stream_500: () => stream('#500', agent(responses)),
  }
}
