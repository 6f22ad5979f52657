-- Expects the columns attributes, ResourceAttributes and Tenant. One look-up an attribute, made once for each distinct key of a
-- block; the best key of each slot comes first, and a Map returns the first. Ranks from 200 may come from the resource, too.
-- Langfuse and MLflow leave the quotes of JSON around texts.
CAST(
    arrayMap(pair -> (substring(pair.1, 4), trim(BOTH '"' FROM pair.2)), arraySort(pair -> pair.1, arrayFilter(
        pair -> pair.1 != '' AND pair.2 NOT IN ('', 'None', 'none', 'null', 'undefined', '__REDACTED__', '<REDACTED>', 'default_user_id', '[]', '{}', '""'),
        arrayConcat(
            arrayZip(arrayMap(key -> dictGet('${database}.llm_alias', 'rank', key), mapKeys(attributes)), mapValues(attributes)),
            arrayFilter(pair -> pair.1 >= '200',
                arrayZip(arrayMap(key -> dictGet('${database}.llm_alias', 'rank', key), mapKeys(ResourceAttributes)), mapValues(ResourceAttributes))),
            -- A tenant's own rows; a row for the empty key says that there are any.
            if(dictHas('${database}.llm_alias', concat(Tenant, '\n')),
                arrayZip(arrayMap(key -> dictGet('${database}.llm_alias', 'rank', concat(Tenant, '\n', key)), mapKeys(attributes)), mapValues(attributes)),
                []))))),
    'Map(LowCardinality(String), String)')
