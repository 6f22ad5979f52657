-- Expects a column answer. What frameworks leave to the raw response: parts of the usage.
arrayStringConcat(extractAll(answer, '((?:cached_tokens|reasoning_tokens|cached_content_token_count|thoughts_token_count|candidates_token_count)[''"]?[=:] ?\\d+)'), ' ')
