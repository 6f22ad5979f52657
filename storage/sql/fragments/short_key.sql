-- Expects the column model. Region prefix, vendor prefix, date and variant suffixes are not part of a model's name.
replaceRegexpOne(
    replaceRegexpOne(lower(model), '^(?:(?:us|us-gov|eu|apac|global|jp|au|ca)\\.)?(?:(?:anthropic|amazon|meta|mistral|cohere|deepseek)\\.)?(?:.*/)?', ''),
    '(?:-\\d{4}-\\d{2}-\\d{2}|[-@]\\d{8})?(?:-v\\d+(?::\\d+)?)?(?::free|:beta|:latest|-latest)?$', '')
