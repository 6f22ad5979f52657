-- The mode of a tenant and service; '' stands for all of them.
arrayFirst(mode -> mode != '', arrayMap(key -> dictGet('${database}.llm_content_mode', 'mode', key), [
    (toString(Tenant), toString(ServiceName)), (toString(Tenant), ''), ('', toString(ServiceName)), ('', '')]))
