-- Whether spans of this scope have keys of content that are none elsewhere.
dictHas('${database}.llm_content_key', concat('scope:', ScopeName))