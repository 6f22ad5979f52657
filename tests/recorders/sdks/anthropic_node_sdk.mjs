// Anthropic's SDK for Node alone, with its own spans.
import { providers, run } from './node_common.mjs'
import { scenarios } from './node_anthropic_scripts.mjs'

const { flush } = providers()
await run(scenarios(), flush)
