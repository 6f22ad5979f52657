
Ù
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
testº


genkit-tracerv1§

%ø˚í›≤6è™sèQ_&!È¬∞n7"◊ïk∑;A”ä*openai/gpt-4o-mini09¿&È2€ÍAÛ}%3€ÍJ
genkit:type
actionJ"
genkit:metadata:subtype
modelJ)

genkit:key
/model/openai/gpt-4o-miniJ#
genkit:name
openai/gpt-4o-miniJI
genkit:path:
8/{generate,t:util}/{openai/gpt-4o-mini,t:action,s:model}Jp
genkit:input`
^{"messages":[{"role":"user","content":[{"text":"#slow"}]}],"config":{},"tools":[],"output":{}}J
genkit:state
errorJ
genkit:isFailureSourceZ±	ÈÀ%3€Í	exception
exception.type
5002
exception.message
UNKNOWN: Request timed out.Õ
exception.stacktrace¥
±GenkitError: UNKNOWN: Request timed out.
    at @genkit-ai/compat-oai/lib/model.js:490:15
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)
    at async @genkit-ai/core/lib/action.js:222:27
    at async @genkit-ai/core/lib/tracing/instrumentation.js:91:24
    at async runInNewSpan (@genkit-ai/core/lib/tracing/instrumentation.js:63:10)
    at async actionFn.run (@genkit-ai/core/lib/action.js:164:18)
    at async dispatch (@genkit-ai/core/lib/action.js:84:24)
    at async wrapped.run (@genkit-ai/core/lib/action.js:108:22)
    at async wrapped (@genkit-ai/core/lib/action.js:77:13)
    at async dispatchModel (@genkit-ai/ai/lib/generate/action.js:303:14)zUNKNOWN: Request timed out.
Â

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
test≠	

genkit-tracerv1ï	
%ø˚í›≤6è™sèQ_&◊ïk∑;A”ä*generate09¿&È2€ÍA∆%3€ÍJ
genkit:type
utilJ
genkit:name

generateJ
genkit:isRootJ#
genkit:path
/{generate,t:util}J
genkit:inputo
m{"model":"openai/gpt-4o-mini","messages":[{"role":"user","content":[{"text":"#slow"}]}],"config":{},"use":[]}J
genkit:state
errorZ±	;z≈%3€Í	exception
exception.type
5002
exception.message
UNKNOWN: Request timed out.Õ
exception.stacktrace¥
±GenkitError: UNKNOWN: Request timed out.
    at @genkit-ai/compat-oai/lib/model.js:490:15
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)
    at async @genkit-ai/core/lib/action.js:222:27
    at async @genkit-ai/core/lib/tracing/instrumentation.js:91:24
    at async runInNewSpan (@genkit-ai/core/lib/tracing/instrumentation.js:63:10)
    at async actionFn.run (@genkit-ai/core/lib/action.js:164:18)
    at async dispatch (@genkit-ai/core/lib/action.js:84:24)
    at async wrapped.run (@genkit-ai/core/lib/action.js:108:22)
    at async wrapped (@genkit-ai/core/lib/action.js:77:13)
    at async dispatchModel (@genkit-ai/ai/lib/generate/action.js:303:14)zUNKNOWN: Request timed out.