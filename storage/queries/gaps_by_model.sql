-- The {most} largest of each gap, and the rest as one.
SELECT gap, if(place > {most:UInt32}, '(others)', service) AS service, if(place > {most:UInt32}, '(others)', model) AS model, sum(calls) AS calls
FROM (
    SELECT gap, service, model, sum(llm_gaps.calls) AS calls, row_number() OVER (PARTITION BY gap ORDER BY calls DESC, service, model) AS place
    FROM llm_gaps
    WHERE day >= today() - {days:UInt32}
    GROUP BY gap, service, model
)
GROUP BY gap, service, model
ORDER BY gap, calls DESC
