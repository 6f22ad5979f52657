// The AI SDK 5 with the span processor of Langfuse.
import { exporter, project } from './node_common.mjs'
import { main } from './vercel_more_scripts.mjs'

const { LangfuseSpanProcessor } = project('@langfuse/otel')
const settings = { publicKey: 'pk', secretKey: 'sk', environment: 'test', exportMode: 'immediate', mediaUploadEnabled: false }
await main([new LangfuseSpanProcessor({ exporter: exporter(), ...settings })])
