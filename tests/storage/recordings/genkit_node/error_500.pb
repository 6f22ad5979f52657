
î
²
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
test¶

genkit-tracerv1ž
gÅŒ|„×1<O½òÿú%3H)ìCc""r7èƒz—*openai/gpt-4o-mini09À/óâ2ÛêAJ@ã2ÛêJ
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
]{"messages":[{"role":"user","content":[{"text":"#500"}]}],"config":{},"tools":[],"output":{}}J
genkit:state
errorJ
genkit:isFailureSourceZƒ	ÞÒã2Ûê	exception
exception.type
500[
exception.messageF
DINTERNAL: 500 The server had an error while processing your request.ö
exception.stacktraceÝ
ÚGenkitError: INTERNAL: 500 The server had an error while processing your request.
    at @genkit-ai/compat-oai/lib/model.js:490:15
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)
    at async @genkit-ai/core/lib/action.js:222:27
    at async @genkit-ai/core/lib/tracing/instrumentation.js:91:24
    at async runInNewSpan (@genkit-ai/core/lib/tracing/instrumentation.js:63:10)
    at async actionFn.run (@genkit-ai/core/lib/action.js:164:18)
    at async dispatch (@genkit-ai/core/lib/action.js:84:24)
    at async wrapped.run (@genkit-ai/core/lib/action.js:108:22)
    at async wrapped (@genkit-ai/core/lib/action.js:77:13)
    at async dispatchModel (@genkit-ai/ai/lib/generate/action.js:303:14)zHDINTERNAL: 500 The server had an error while processing your request.
ß
²
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
test§


genkit-tracerv1

gÅŒ|„×1<O½òÿú"r7èƒz—*generate09€íãâ2ÛêA’Eã2ÛêJ
genkit:type
utilJ
genkit:name

generateJ
genkit:isRootJ#
genkit:path
/{generate,t:util}J~
genkit:inputn
l{"model":"openai/gpt-4o-mini","messages":[{"role":"user","content":[{"text":"#500"}]}],"config":{},"use":[]}J
genkit:state
errorZƒ	Òí
ã2Ûê	exception
exception.type
500[
exception.messageF
DINTERNAL: 500 The server had an error while processing your request.ö
exception.stacktraceÝ
ÚGenkitError: INTERNAL: 500 The server had an error while processing your request.
    at @genkit-ai/compat-oai/lib/model.js:490:15
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)
    at async @genkit-ai/core/lib/action.js:222:27
    at async @genkit-ai/core/lib/tracing/instrumentation.js:91:24
    at async runInNewSpan (@genkit-ai/core/lib/tracing/instrumentation.js:63:10)
    at async actionFn.run (@genkit-ai/core/lib/action.js:164:18)
    at async dispatch (@genkit-ai/core/lib/action.js:84:24)
    at async wrapped.run (@genkit-ai/core/lib/action.js:108:22)
    at async wrapped (@genkit-ai/core/lib/action.js:77:13)
    at async dispatchModel (@genkit-ai/ai/lib/generate/action.js:303:14)zHDINTERNAL: 500 The server had an error while processing your request.