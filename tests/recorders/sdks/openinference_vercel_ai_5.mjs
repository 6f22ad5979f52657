// The AI SDK 5 with the span processor of OpenInference.
import { exporter, project } from './node_common.mjs'
import { main } from './vercel_more_scripts.mjs'

const { OpenInferenceSimpleSpanProcessor } = project('@arizeai/openinference-vercel')
await main([new OpenInferenceSimpleSpanProcessor({ exporter: exporter() })])
