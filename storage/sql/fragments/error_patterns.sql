-- By what each class of errors is known, in the order of preference; the last class has everything else.
['(?i)^429|\\b429\\b|rate.?limit|too.?many.?requests|throttl|resource.?exhausted|quota|billing|usage.?limit|budget.{0,10}exceeded',
    '(?i)^529|\\b529\\b|overloaded|^503|\\b503\\b|unavailable|not.?ready',
    '(?i)context.?(?:length|window|limit)|too.?many.?tokens|(?:prompt|input) is too long|maximum[\\w ]{1,20}tokens',
    '(?i)content.?filter|content.?(?:management.?)?policy|safety|responsible.?ai|(?:response|prompt) was (?:filtered|blocked)|blocked.?prompt|recitation|guardrail',
    '(?i)timeout|timed.?out|deadline|^408|^504',
    '(?i)^401|^403|\\b40[13]\\b|authentication|unauthenticated|permission|access.?denied|unauthorized|forbidden|credentials|expired.?token|unrecognized.?client|(?:invalid|incorrect).?api.?key|api.?key[a-z ]{0,20}(?:invalid|incorrect|expired|missing|required)|load.?api.?key',
    '(?i)^404|\\b404\\b|does not exist|(?-i:(?:^|[^E])(?i:not.?found))',
    '(?i)^4(?:[0-8]\\d|9[0-8])|(?:code|status)\\D{0,5}4\\d\\d|conflict|bad.?request|invalid|validation|unprocessable|too.?(?:large|long)',
    '(?i)^499|cancel|(?:^|[^n])abort|generatorexit|keyboard.?interrupt|client.?disconnect',
    '(?i)connect|enotfound|eai_again|i/o error|ioexception|failed to respond|econn|epipe|fetch failed|protocol.?error|socket|network|dns|\\bssl|certificate',
    '(?i)^5\\d\\d|(?:code|status)\\D{0,5}5\\d\\d|internal.?(?:server|error)|bad.?gateway|model.?(?:stream.?)?error|server.?error|server had an error|api.?error']
