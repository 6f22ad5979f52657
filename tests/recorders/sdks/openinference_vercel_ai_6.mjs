// The AI SDK 6 with the span processor of OpenInference.
import { exporter, project } from './node_common.mjs'
import { main } from './vercel_scripts.mjs'

const { OpenInferenceSimpleSpanProcessor } = project('@arizeai/openinference-vercel')
await main(6, [new OpenInferenceSimpleSpanProcessor({ exporter: exporter() })])
