    -- Expects pieced: the columns of a call and the pieces of its content. The parts of one message of a flattened list come
    -- together; every other value is a list of messages, an object around such a list, or a message.
    ordered AS (SELECT * EXCEPT (pieces), arraySort(piece -> (piece.1, piece.2, piece.3), pieces) AS parts FROM pieced),
    grouped AS (
        SELECT
            * EXCEPT (parts),
            arraySplit((part, is_first) -> is_first, parts, arrayMap(
                (part, previous) -> part.2 = '' OR part.1 != previous.1 OR part.2 != previous.2, parts, arrayShiftRight(parts, 1))) AS groups
        FROM ordered
    ),
    split AS (
        SELECT
            * EXCEPT (groups),
            arrayMap(parts -> parts[1].1, groups) AS ranks,
            arrayMap(parts -> if(parts[1].2 != '' AND parts[1].3 != '',
                    [concat('{', arrayStringConcat(arrayMap(part -> concat(toJSONString(part.3), ':', toJSONString(part.4)), parts), ','), '}')],
                    multiIf(
                        startsWith(parts[1].4, '['), JSONExtractArrayRaw(parts[1].4),
                        startsWith(parts[1].4, '{') AND position(parts[1].4, '"messages"') > 0,
                            arrayConcat(
                                [concat('{', arrayStringConcat(arrayMap(field -> concat(toJSONString(field.1), ':', field.2),
                                    arrayFilter(field -> field.1 != 'messages', JSONExtractKeysAndValuesRaw(parts[1].4))), ','), '}')],
                                JSONExtractArrayRaw(parts[1].4, 'messages')),
                        [])), groups) AS lists,
            arrayMap(parts -> parts[1].4, groups) AS wholes
        FROM grouped
    ),
    -- Of several attributes that say the same only the best of each direction is stored.
    chosen AS (
        SELECT
            * EXCEPT (ranks, lists, wholes),
            arrayFlatten(arrayMap(
                (rank, list, whole) -> arrayMap(
                    -- An answer comes again as part of the next prompt, without its finish reason, which is in llm_calls.
                    text -> (substring(rank, 1, 1), multiIf(
                        startsWith(text, '"'), JSONExtractString(text),
                        startsWith(rank, 'o') AND endsWith(text, '"}'), replaceRegexpOne(text, ',"finish_reason":"\\w+"\\}$', '}'),
                        text)),
                    multiIf(rank != arrayFirst(other -> startsWith(other, substring(rank, 1, 1)), ranks), [], empty(list), [whole], list)),
                ranks, lists, wholes)) AS said
        FROM split
    ),
    redacted AS (
        SELECT
            * EXCEPT (said),
            arrayMap(message -> message.1, arrayFilter(message -> message.2 NOT IN ('', '{}'), said)) AS directions,
            arrayMap(message -> if(
                    multiMatchAny(message.2, dictGet('${database}.llm_redaction', 'hints', '')),
                    arrayFold(
                        (text, number) -> if((dictGet('${database}.llm_redaction', 'checks', '') AS checks)[number] = '',
                            replaceRegexpAll(text, (dictGet('${database}.llm_redaction', 'patterns', '') AS patterns)[number], (dictGet('${database}.llm_redaction', 'replacements', '') AS replacements)[number]),
                            -- luhn, the check digit of card numbers: from the right, every second digit counts twice, 12 as 1 + 2. Matches
                            -- are marked, because extractAll takes no pattern out of a column.
                            arrayFold(
                                (rest, match) -> if(
                                    arraySum((digit, place) -> if(place % 2 = 0, digit * 2 - 9 * (digit > 4), digit),
                                        arrayMap(digit -> toUInt8(digit), arrayReverse(extractAll(match, '[0-9]'))) AS digits, arrayEnumerate(digits)) % 10 = 0,
                                    replaceAll(rest, match, replaceRegexpOne(match, patterns[number], replacements[number])), rest),
                                arrayDistinct(extractAll(replaceRegexpAll(text, patterns[number], '\x01\\0\x02'), '\x01([^\x02]*)\x02')), text)),
                        arraySort(multiMatchAllIndices(message.2, dictGet('${database}.llm_redaction', 'hints', ''))), message.2),
                    message.2),
                arrayFilter(message -> message.2 NOT IN ('', '{}'), said)) AS clean
        FROM chosen
    ),
    measured AS (
        SELECT
            *,
            arrayMap(text -> if(startsWith(text, '{'), extract(text, '"role":"([a-z_]+)"'), ''), clean) AS roles,
            arrayMap(text -> lengthUTF8(text), clean) AS lengths
        FROM redacted
    )
SELECT
    tenant, service, timestamp, trace_id, span_id, source,
    directions, roles, lengths,
    arrayMap((text, length) -> multiIf(mode = 'keep', text, mode = 'mask', repeat('*', length), ''), clean, lengths) AS texts,
    arrayMap((role, text, length) -> hex(sipHash128(tenant, mode, role, if(mode = 'mask', toString(length), text))), roles, clean, lengths) AS hashes,
    received_at
FROM measured
WHERE notEmpty(hashes)
