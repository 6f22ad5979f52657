-- Expects a column answer. Providers' ids have a prefix; frameworks wrap the response they come in, and its items have ids, too.
arrayFirst(id -> id != '', [
    extract(answer, '\\bid[''"]?[=:] ?[''"](resp_[^''"]+)'),
    extract(answer, '"response_?[iI]d": ?"([^"]+)"'),
    extract(answer, '\\bid[''"]?[=:] ?[''"]((?:chatcmpl|cmpl|msg|gen|req)[-_][^''"]+)')])
