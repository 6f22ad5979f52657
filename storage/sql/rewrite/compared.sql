CREATE OR REPLACE VIEW rewrite_${which}_calls AS SELECT ${columns} FROM llm_calls WHERE ${calls} AND ${marked}
