// What the OpenAI SDK for Node is recorded doing. `wrap` may put an instrumentation around a client.
import { WEATHER, project } from './node_common.mjs'

const MODEL = 'gpt-4o-mini'
const TOOL = { type: 'function', function: WEATHER }
const USAGE = { stream: true, stream_options: { include_usage: true } }
const SCHEMA = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false }

export function scenarios(wrap = (client) => client) {
  const client = (options) => wrap(new (project('openai').OpenAI)({ maxRetries: 0, ...options }))
  const ask = (prompt = 'Capital of France?', options = {}, settings = {}) =>
    client(settings).chat.completions.create({ model: MODEL, messages: [{ role: 'user', content: prompt }], ...options })
  const respond = (input, options = {}) => client().responses.create({ model: MODEL, input, ...options })
  const embed = (input) => client().embeddings.create({ model: 'text-embedding-3-small', input })
  const all = async (stream) => {
    for await (const _ of await stream);
  }
  return {
    chat: () => ask(),
    chat_system: () => client().chat.completions.create({
      model: MODEL, temperature: 0.2, max_tokens: 100, user: 'u-1',
      messages: [{ role: 'system', content: 'Answer shortly.' }, { role: 'user', content: [{ type: 'text', text: 'Capital of France?' }] }],
    }),
    chat_stream: () => all(ask('Capital of France?', USAGE)),
    chat_stream_nousage: () => all(ask('Capital of France?', { stream: true })),
    chat_stream_helper: async () => {
      const stream = client().chat.completions.stream({ model: MODEL, messages: [{ role: 'user', content: 'Capital?' }], stream_options: { include_usage: true } })
      await all(stream)
    },
    chat_tools: async () => {
      const sdk = client()
      const messages = [{ role: 'user', content: 'Weather in Paris?' }]
      const first = await sdk.chat.completions.create({ model: MODEL, messages, tools: [TOOL] })
      const answer = first.choices[0].message
      messages.push(answer, { role: 'tool', tool_call_id: answer.tool_calls[0].id, content: 'sunny' })
      await sdk.chat.completions.create({ model: MODEL, messages, tools: [TOOL] })
    },
    chat_two_tools: () => ask('#two Weather?', { tools: [TOOL, { type: 'function', function: { ...WEATHER, name: 'get_time' } }] }),
    chat_stream_tools: () => all(ask('Weather?', { ...USAGE, tools: [TOOL] })),
    chat_length: () => ask('#length'),
    chat_filter: () => ask('#filter'),
    chat_structured: () => ask('#text Capital?', { response_format: { type: 'json_schema', json_schema: { name: 'answer', schema: SCHEMA, strict: true } } }),
    responses: () => respond('Capital of France?', { instructions: 'Answer shortly.' }),
    responses_stream: () => all(respond('Capital of France?', { stream: true })),
    responses_tools: () => respond('Weather?', { tools: [{ type: 'function', ...WEATHER }] }),
    embeddings: () => embed(['Paris', 'Rome']),
    error_429: () => ask('#429'),
    error_401: () => ask('#401'),
    error_404: () => ask('#404'),
    error_context: () => ask('#400-context'),
    error_filter: () => ask('#400-filter'),
    error_500: () => ask('#500'),
    error_timeout: () => ask('#slow', {}, { timeout: 500 }),
    error_reset: () => ask('#reset'),
    error_stream_429: () => all(ask('#429', { stream: true })),
    error_responses_400: () => respond('#400-bad'),
    error_embeddings_429: () => embed('#429'),
  }
}
