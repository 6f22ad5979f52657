-- The mode of a tenant and service; '' stands for all of them. Each name is looked up only where those before it are unknown.
dictGetOrDefault('${database}.llm_content_mode', 'mode', (toString(Tenant), toString(ServiceName)),
    dictGetOrDefault('${database}.llm_content_mode', 'mode', (toString(Tenant), ''),
        dictGetOrDefault('${database}.llm_content_mode', 'mode', ('', toString(ServiceName)),
            dictGet('${database}.llm_content_mode', 'mode', ('', '')))))
