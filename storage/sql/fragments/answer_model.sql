-- Expects a column answer. The model that answered, where OpenInference has only the one asked for. Text within JSON is escaped, so
-- what a model says is not taken for it.
arrayFirst(model -> model != '', [
    extract(answer, '"model_name": ?"([^"]+)"'),
    extract(answer, '"created": ?[0-9.]+, ?"model": ?"([^"]+)"'),
    extract(answer, '\\bcreated=[0-9.]+, model=''([^'']+)''')])
