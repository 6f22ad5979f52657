INSERT INTO rewrite_after_${what} SELECT * FROM rewrite_changed_${what} SETTINGS ${one_block}
