// What LangChain and LangGraph for Node are recorded doing. `config` gives the options of each call, as callbacks.
import { project } from './node_common.mjs'

const MODEL = 'gpt-4o-mini'
const ANSWER = { title: 'Answer', type: 'object', description: 'An answer', properties: { city: { type: 'string' } }, required: ['city'] }

export function scenarios(config = () => ({})) {
  const { ChatOpenAI, OpenAIEmbeddings } = project('@langchain/openai')
  const { tool } = project('@langchain/core/tools')
  const { ChatPromptTemplate } = project('@langchain/core/prompts')
  const { StringOutputParser } = project('@langchain/core/output_parsers')
  const { z } = project('zod')
  const model = (options) => new ChatOpenAI({ model: MODEL, maxRetries: 0, ...options })
  const weather = tool(async ({ city }) => `sunny in ${city}`, {
    name: 'get_weather', description: 'The weather of a city.', schema: z.object({ city: z.string() }),
  })
  const ask = (prompt, options) => model(options).invoke(prompt, config())
  const stream = async (prompt, options) => {
    for await (const _ of await model(options).stream(prompt, config()));
  }
  const agent = (prompt, options) => {
    const { createAgent } = project('langchain')
    const graph = createAgent({ model: model(options), tools: [weather], name: 'weather_agent' })
    const settings = config()
    return graph.invoke({ messages: [{ role: 'user', content: prompt }] }, {
      configurable: { thread_id: 'thread-7' }, ...settings, metadata: { user_id: 'u-1', ...settings.metadata },
    })
  }
  return {
    chain: () => ChatPromptTemplate.fromTemplate('Answer shortly: {question}').pipe(model()).pipe(new StringOutputParser())
      .invoke({ question: 'Capital?' }, config()),
    chain_stream: () => stream('Capital of France?', { streamUsage: true }),
    chain_stream_nousage: () => stream('Capital of France?', { streamUsage: false }),
    agent_tools: () => agent('Weather in Paris?'),
    agent_two_tools: () => agent('#two Weather?'),
    batch: () => model().batch(['Capital of France?', 'Capital of Spain?'], config(), { maxConcurrency: 1 }),
    responses: () => ask('Capital of France?', { useResponsesApi: true }),
    structured: () => model().withStructuredOutput(ANSWER).invoke('#text Capital?', config()),
    embeddings: () => new OpenAIEmbeddings({ model: 'text-embedding-3-small' }).embedQuery('Paris'),
    length: () => ask('#length Capital?'),
    filter: () => ask('#filter Capital?'),
    error_429: () => ask('#429'),
    error_context: () => ask('#400-context'),
    error_stream_401: () => stream('#401'),
    error_agent_500: () => agent('#500'),
  }
}
