// What the scripts for Node share: packages out of NODE_PROJECT, exporters, scenarios run by name.
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

export const project = createRequire(`${process.env.NODE_PROJECT}/package.json`)
export const load = async (name) => import(project.resolve(name))

export const WEATHER = {
  name: 'get_weather',
  description: 'The weather of a city.',
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
}

export const exporter = () => new (project('@opentelemetry/exporter-trace-otlp-proto').OTLPTraceExporter)()

// A tracer provider and a logger provider that export at once, set as the global ones.
export function providers(processors) {
  const { NodeTracerProvider, SimpleSpanProcessor } = project('@opentelemetry/sdk-trace-node')
  const { LoggerProvider, SimpleLogRecordProcessor } = project('@opentelemetry/sdk-logs')
  const { OTLPLogExporter } = project('@opentelemetry/exporter-logs-otlp-proto')
  const { resourceFromAttributes } = project('@opentelemetry/resources')
  const resource = resourceFromAttributes({ 'service.name': 'assistant', 'deployment.environment.name': 'test' })
  const tracers = new NodeTracerProvider({ resource, spanProcessors: processors ?? [new SimpleSpanProcessor(exporter())] })
  tracers.register()
  const exporterOfLogs = new OTLPLogExporter()
  const loggers = new LoggerProvider({ resource, processors: [new SimpleLogRecordProcessor({ exporter: exporterOfLogs })] })
  project('@opentelemetry/api-logs').logs.setGlobalLoggerProvider(loggers)
  return { tracers, loggers, flush: async () => { await tracers.forceFlush(); await loggers.forceFlush() } }
}

// A provider's refusal is part of a scenario whose name begins with error.
export async function run(scenarios, flush) {
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
  for (const name of process.argv.length > 2 ? process.argv.slice(2) : Object.keys(scenarios)) {
    console.log(name)
    await lines.next()
    let code = 0
    try {
      await scenarios[name]()
    } catch (error) {
      console.error(error.stack)
      code = name.startsWith('error') ? 0 : 1
    }
    await new Promise((resolve) => setTimeout(resolve, 100)) // spans that end after the call
    await flush()
    console.log(code)
    await lines.next()
  }
  process.exit(0)
}

// The scenarios of which an instrumentation exports something.
export const without = (scenarios, pattern) => Object.fromEntries(Object.entries(scenarios).filter(([name]) => !pattern.test(name)))
