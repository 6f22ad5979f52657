
≤
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
test˙


genkit-tracerv1‚

Pú†cêV\∞à\X'BŒÁ=´«AŸÀ˝"ò©à”Ÿï#C*openai/gpt-4o-mini09¿I÷2€ÍA˛â3÷2€ÍJ
genkit:type
actionJ"
genkit:metadata:subtype
modelJ)

genkit:key
/model/openai/gpt-4o-miniJ#
genkit:name
openai/gpt-4o-miniJI
genkit:path:
8/{generate,t:util}/{openai/gpt-4o-mini,t:action,s:model}Jo
genkit:input_
]{"messages":[{"role":"user","content":[{"text":"#401"}]}],"config":{},"tools":[],"output":{}}J
genkit:state
errorJ
genkit:isFailureSourceZ€	3÷2€Í	exception
exception.type
401G
exception.message2
0UNAUTHENTICATED: 401 Incorrect API key provided.‚
exception.stacktrace…
∆GenkitError: UNAUTHENTICATED: 401 Incorrect API key provided.
    at @genkit-ai/compat-oai/lib/model.js:490:15
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)
    at async @genkit-ai/core/lib/action.js:222:27
    at async @genkit-ai/core/lib/tracing/instrumentation.js:91:24
    at async runInNewSpan (@genkit-ai/core/lib/tracing/instrumentation.js:63:10)
    at async actionFn.run (@genkit-ai/core/lib/action.js:164:18)
    at async dispatch (@genkit-ai/core/lib/action.js:84:24)
    at async wrapped.run (@genkit-ai/core/lib/action.js:108:22)
    at async wrapped (@genkit-ai/core/lib/action.js:77:13)
    at async dispatchModel (@genkit-ai/ai/lib/generate/action.js:303:14)z40UNAUTHENTICATED: 401 Incorrect API key provided.
£
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
testÎ	

genkit-tracerv1”	
Pú†cêV\∞à\X'BŒò©à”Ÿï#C*generate09Ä÷2€ÍAÑ§-÷2€ÍJ
genkit:type
utilJ
genkit:name

generateJ
genkit:isRootJ#
genkit:path
/{generate,t:util}J~
genkit:inputn
l{"model":"openai/gpt-4o-mini","messages":[{"role":"user","content":[{"text":"#401"}]}],"config":{},"use":[]}J
genkit:state
errorZ€	!@-÷2€Í	exception
exception.type
401G
exception.message2
0UNAUTHENTICATED: 401 Incorrect API key provided.‚
exception.stacktrace…
∆GenkitError: UNAUTHENTICATED: 401 Incorrect API key provided.
    at @genkit-ai/compat-oai/lib/model.js:490:15
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)
    at async @genkit-ai/core/lib/action.js:222:27
    at async @genkit-ai/core/lib/tracing/instrumentation.js:91:24
    at async runInNewSpan (@genkit-ai/core/lib/tracing/instrumentation.js:63:10)
    at async actionFn.run (@genkit-ai/core/lib/action.js:164:18)
    at async dispatch (@genkit-ai/core/lib/action.js:84:24)
    at async wrapped.run (@genkit-ai/core/lib/action.js:108:22)
    at async wrapped (@genkit-ai/core/lib/action.js:77:13)
    at async dispatchModel (@genkit-ai/ai/lib/generate/action.js:303:14)z40UNAUTHENTICATED: 401 Incorrect API key provided.