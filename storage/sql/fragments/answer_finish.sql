-- Expects a column answer and whether OpenInference wrote it: it has the response as the provider sent it. LangChain's has no items.
arrayFirst(reason -> reason != '', [
    extract(answer, 'finish_reason[''"]?[=:] ?[''"](\\w+)'),
    if(is_openinference, extract(answer, '"finishReason": ?"(\\w+)"'), ''),
    multiIf(
        NOT is_openinference, '',
        match(answer, '"type": ?"function_call"'), 'tool_call',
        JSONExtractString(answer, 'status')),
    if(is_openinference, extract(answer, '"object": ?"response"[^{}]*?"status": ?"(\\w+)"'), '')])
