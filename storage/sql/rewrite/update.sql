-- A mutation: it takes the rows there are, outlives a restart, and readers see each part of the table as it was or as it is. (A
-- lightweight UPDATE would be one commit, but queries of the engine fail or read old values while patches of values are about.)
ALTER TABLE llm_calls
    UPDATE previous_cost = cost, cost = (${repriced}).1, price_version = (${repriced}).2, price_id = (${repriced}).3, rewrite = ${rewrite}
    WHERE ${calls} AND rewrite != ${rewrite} AND ${is_changed}
SETTINGS mutations_sync = 2, allow_nondeterministic_mutations = 1
