// OpenLIT for Node on the SDKs of OpenAI and Anthropic. Its own exporters speak JSON: it gets these.
import { createRequire } from 'node:module'

import { project, providers, run, without } from './node_common.mjs'
import { scenarios as anthropic } from './node_anthropic_scripts.mjs'
import { scenarios as openai } from './node_openai_scripts.mjs'

const { tracers, flush } = providers()
const openlit = project('openlit').default ?? project('openlit')
const settings = { applicationName: 'assistant', environment: 'test', tracer: tracers, disableMetrics: true }
// Where it gets a provider it forgets the rest.
createRequire(project.resolve('openlit'))('./config').default.updateConfig(settings)
openlit.init({
  ...settings,
  instrumentations: { openai: project('openai'), anthropic: project('@anthropic-ai/sdk') },
})
const named = (prefix, scenarios) => Object.fromEntries(Object.entries(scenarios)
  .map(([name, scenario]) => [name.startsWith('error') ? name.replace('error', `error_${prefix}`) : `${prefix}_${name}`, scenario]))

// The helper for streams breaks.
await run({ ...named('openai', openai()), ...named('anthropic', without(anthropic(), /_helper/)) }, flush)
