
Æ
≤

service.name
	assistant
"
telemetry.sdk.language
nodejs
%
telemetry.sdk.name
opentelemetry
!
telemetry.sdk.version
1.25.1
%
deployment.environment.name
testˆ


genkit-tracerv1ﬁ

ÌR]ƒ5∫a8∞VÆÅT—⁄YÂ˝Î9>*openai/text-embedding-3-small09@n`93€ÍA/Pè93€ÍJ
genkit:type
actionJ%
genkit:metadata:subtype

embedderJ7

genkit:key)
'/embedder/openai/text-embedding-3-smallJ.
genkit:name
openai/text-embedding-3-smallJ
genkit:isRootJ:
genkit:path+
)/{openai/text-embedding-3-small,t:action}JH
genkit:input8
6{"input":[{"content":[{"text":"#429"}]}],"options":{}}J
genkit:state
errorJ
genkit:isFailureSourceZ‹	≤»å93€Í	exception'
exception.type
rate_limit_exceededF
exception.message1
/429 Rate limit reached, please try again later.‘
exception.stacktraceª
∏Error: 429 Rate limit reached, please try again later.
    at APIError.generate (openai/error.js:63:20)
    at OpenAI.makeStatusError (openai/core.js:302:33)
    at OpenAI.makeRequest (openai/core.js:346:30)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)
    at async @genkit-ai/compat-oai/lib/embedder.js:43:26
    at async @genkit-ai/core/lib/action.js:222:27
    at async @genkit-ai/core/lib/tracing/instrumentation.js:91:24
    at async runInNewSpan (@genkit-ai/core/lib/tracing/instrumentation.js:63:10)
    at async actionFn.run (@genkit-ai/core/lib/action.js:164:18)
    at async Object.actionFn [as embedderAction] (@genkit-ai/core/lib/action.js:129:13)z3/429 Rate limit reached, please try again later.