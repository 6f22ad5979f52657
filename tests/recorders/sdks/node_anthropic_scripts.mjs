// What Anthropic's SDK for Node is recorded doing.
import { WEATHER, project } from './node_common.mjs'

const MODEL = 'claude-sonnet-4-5-20250929'
const TOOL = { name: WEATHER.name, description: WEATHER.description, input_schema: WEATHER.parameters }

export function scenarios() {
  const client = () => new (project('@anthropic-ai/sdk').Anthropic)({ maxRetries: 0 })
  const ask = (prompt, options = {}) =>
    client().messages.create({ model: MODEL, max_tokens: 200, messages: [{ role: 'user', content: prompt }], ...options })
  const all = async (stream) => {
    for await (const _ of await stream);
  }
  return {
    chat: () => ask('Capital of France?', { system: 'Answer shortly.' }),
    chat_stream: () => all(ask('Capital of France?', { stream: true })),
    chat_stream_helper: () => all(client().messages.stream({ model: MODEL, max_tokens: 200, messages: [{ role: 'user', content: 'Capital?' }] })),
    chat_tools: async () => {
      const messages = [{ role: 'user', content: 'Weather in Paris?' }]
      const first = await ask('', { messages, tools: [TOOL] })
      const use = first.content.find((block) => block.type === 'tool_use')
      messages.push({ role: 'assistant', content: [use] })
      messages.push({ role: 'user', content: [{ type: 'tool_result', tool_use_id: use.id, content: 'sunny' }] })
      await ask('', { messages, tools: [TOOL] })
    },
    chat_stream_tools: () => all(ask('Weather?', { stream: true, tools: [TOOL] })),
    chat_length: () => ask('#length Capital of France?'),
    error_429: () => ask('#429'),
    error_529: () => ask('#529'),
    error_401: () => ask('#401'),
    error_context: () => ask('#400-context'),
    error_stream_500: () => all(ask('#500', { stream: true })),
  }
}
