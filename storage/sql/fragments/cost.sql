-- Expects the columns price, timestamp, has_usage, error_type, usage_details and the token counts. A stream without usage has cost
-- something nobody knows; a failed call without usage has cost nothing. How a price is laid out: llm_prices.
multiIf(
    NOT has_usage AND error_type != '', 0,
    price.4 = '' OR NOT has_usage, NULL,
    greatest(0, arrayDotProduct(
        arrayConcat(
            [greatest(input_tokens, cached_input_tokens + cache_write_tokens), cached_input_tokens, greatest(cache_write_tokens, cache_write_1h_tokens), cache_write_1h_tokens,
                greatest(output_tokens, reasoning_tokens), reasoning_tokens, 1],
            arrayMap(unit -> usage_details[unit], price.3)),
        -- The last step that the call has passed. Only where the price depends on the time of day, seconds move it on.
        arrayResize(
            arraySlice(price.1,
                1 + (7 + length(price.3)) * (arrayCount(
                    step -> input_tokens - (price.2[1] + 1) * (toUnixTimestamp(timestamp) % 86400) > step, price.2) - 1),
                7 + length(price.3)),
            7 + length(price.3)))))
