INSERT INTO ${database}.rewrite_after_${what} SELECT * FROM ${database}.rewrite_changed_${what} SETTINGS ${one_block}
