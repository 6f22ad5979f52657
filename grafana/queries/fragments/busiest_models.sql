multiIf(
            model IN (
                SELECT model FROM llm_calls_1m WHERE {minutes_in_range} AND {selection}
                GROUP BY model ORDER BY sum(calls) DESC LIMIT 8
            ),
            if(model = '', 'unknown', model),
            'all others'
        )
