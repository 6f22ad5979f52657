arrayMap(short_key -> arrayMap(price_id -> arrayMap(price -> (${cost}, price.4, price_id), [${price}])[1], [${price_id}])[1], [${short_key}])[1]
