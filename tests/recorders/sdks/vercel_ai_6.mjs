// The AI SDK 6 with its telemetry. Run with NODE_PROJECT, the folder whose node_modules has the packages.
import { main } from './vercel_scripts.mjs'

await main(6)
