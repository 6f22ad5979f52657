CREATE OR REPLACE VIEW ${database}.rewrite_${which}_calls AS SELECT ${columns} FROM ${database}.llm_calls WHERE ${where}
