SELECT count() AS calls FROM llm_call_pricings WHERE run = {run:UInt64}
