// OpenLLMetry for Node on Bedrock, Cohere, LlamaIndex, Qdrant, Together and Vertex AI.
import { WEATHER, project, providers, run } from './node_common.mjs'

const { tracers, flush } = providers()
const settings = { traceContent: true, exceptionLogger: (error) => console.error(error) }
const instrument = (name, kind, ...modules) => {
  const instrumentation = new (project(`@traceloop/instrumentation-${name}`)[kind])(settings)
  instrumentation.setTracerProvider(tracers)
  instrumentation.manuallyInstrument(...modules)
}
const url = process.env.PROVIDER_URL
const all = async (stream) => {
  for await (const _ of await stream);
}
const user = (content) => [{ role: 'user', content }]

const bedrock = project('@aws-sdk/client-bedrock-runtime')
instrument('bedrock', 'BedrockInstrumentation', bedrock)
const runtime = new bedrock.BedrockRuntimeClient({ endpoint: `${url}/bedrock`, region: 'us-east-1', maxAttempts: 1, requestHandler: new (project('@smithy/node-http-handler').NodeHttpHandler)() })
const invoke = (prompt) => runtime.send(new bedrock.InvokeModelCommand({
  modelId: 'anthropic.claude-3-5-sonnet-20240620-v1:0', contentType: 'application/json',
  body: JSON.stringify({ anthropic_version: 'bedrock-2023-05-31', max_tokens: 100, messages: user(prompt) }),
}))

const cohere = project('cohere-ai')
instrument('cohere', 'CohereInstrumentation', cohere)
const command = new cohere.CohereClient({ token: 'test', environment: `${url}/cohere` })
const chat = (message) => command.chat({ model: 'command-r-plus', message }, { maxRetries: 0, timeoutInSeconds: 1 })

const together = project('together-ai')
instrument('together', 'TogetherInstrumentation', together.Together)
const llama = (prompt, options = {}) => new together.Together({ apiKey: 'test', baseURL: `${url}/together/v1`, maxRetries: 0, timeout: 1000 })
  .chat.completions.create({ model: 'meta-llama/Llama-3.3-70B-Instruct-Turbo', messages: user(prompt), ...options })

const index = project('llamaindex')
const openai = project('@llamaindex/openai')
instrument('llamaindex', 'LlamaIndexInstrumentation', index, openai)
const llm = () => new openai.OpenAI({ model: 'gpt-4o-mini', apiKey: 'test', baseURL: process.env.OPENAI_BASE_URL, maxRetries: 0 })

// The SDK of Vertex AI speaks HTTPS alone.
const { fetch } = globalThis
globalThis.fetch = (input, options) => fetch(typeof input === 'string' ? input.replace('https://vertex.test/v1', `${url}/vertex`) : input, options)
const vertex = project('@google-cloud/vertexai')
instrument('vertexai', 'VertexAIInstrumentation', vertex)
const gemini = () => {
  const client = new vertex.VertexAI({ project: 'test', location: 'us-central1', apiEndpoint: 'vertex.test' })
  client.googleAuth.getAccessToken = async () => 'test'
  return client.getGenerativeModel({ model: 'gemini-2.5-flash' })
}
const contents = (text) => ({ contents: [{ role: 'user', parts: [{ text }] }] })

const qdrant = project('@qdrant/js-client-rest')
instrument('qdrant', 'QdrantInstrumentation', qdrant)
const documents = new qdrant.QdrantClient({ url, prefix: '/qdrant', port: null, checkCompatibility: false })

// A failed call of Together leaves its span open.
await run({
  bedrock_invoke: () => invoke('Capital of France?'),
  error_bedrock_429: () => invoke('#429'),
  cohere_chat: () => chat('Capital of France?'),
  error_cohere_429: () => chat('#429'),
  together_chat: () => llama('Capital of France?'),
  together_stream: () => all(llama('Capital of France?', { stream: true })),
  together_tools: () => llama('Weather in Paris?', { tools: [{ type: 'function', function: WEATHER }] }),
  llamaindex_chat: () => llm().chat({ messages: user('Capital of France?') }),
  llamaindex_stream: async () => all(llm().chat({ messages: user('Capital of France?'), stream: true })),
  error_llamaindex_429: () => llm().chat({ messages: user('#429') }),
  qdrant_search: () => documents.search('documents', { vector: [0.25, -0.5, 0.125], limit: 1, with_payload: true, filter: { must: [{ key: 'city', match: { value: 'Paris' } }] } }),
  vertexai_chat: () => gemini().generateContent(contents('Capital of France?')),
  vertexai_stream: async () => all((await gemini().generateContentStream(contents('Capital of France?'))).stream),
  vertexai_tools: () => gemini().generateContent({ ...contents('Weather in Paris?'), tools: [{ functionDeclarations: [WEATHER] }] }),
  error_vertexai_429: () => gemini().generateContent(contents('#429')),
}, flush)
