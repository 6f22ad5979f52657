-- Expects a Map `content` of nothing but content. A piece is (rank, place in a flattened list, rest of the key, value).
arrayMap((key, value) -> (${content_rank}, leftPad(extract(key, '\\.(\\d+)(?:\\.|$)'), if(match(key, '\\.\\d'), 5, 0), '0'), extract(key, '\\.\\d+\\.(?:message\\.)?(.*)$'), value),
    mapKeys(content), mapValues(content))
