// The AI SDK 5 with its telemetry, in more scenarios.
import { main } from './vercel_more_scripts.mjs'

await main()
