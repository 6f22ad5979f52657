SELECT count() AS prices, toDate(max(valid_from)) AS newest, dateDiff('day', newest, today()) AS days FROM llm_prices WHERE valid_from <= now()
