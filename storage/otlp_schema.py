"""The OTLP messages as ClickHouse decodes them: one inline protobuf schema, the column types of
the landing tables, and the SQL that turns an AnyValue into text.

Field numbers follow opentelemetry-proto 1.x. AnyValue is recursive and ClickHouse types are not,
so each place that carries attributes states how deep arrays and kvlists are decoded; where something
lies deeper, the stored text says so in its place.
"""

from __future__ import annotations

from collections.abc import Callable

from storage.statement import quote

# How many arrays and kvlists may lie within each other. A GenAI message list with the arguments of a
# tool call needs five: array, kvlist, array, kvlist, kvlist.
NESTED_DEPTH = 5
FLAT_DEPTH = 1

# The oneof of an AnyValue, in ClickHouse: `t` says which field is set. One-letter names, because
# every SQL function over these nested types carries the type's text.
KIND = "t Enum8('none' = 0, 's' = 1, 'b' = 2, 'i' = 3, 'd' = 4, 'a' = 5, 'k' = 6, 'y' = 7)"
SCALARS = "s Nullable(String), b Nullable(Bool), i Nullable(Int64), d Nullable(Float64), y Nullable(String)"
DEEPER = "(nested too deep)"
BYTES = "(bytes)"


def any_value_proto() -> str:
    """The messages Value0 (a leaf) to Value<NESTED_DEPTH>, each nesting the one before, and Element<n>, which is
    Value<n> inside an array: an array within an array holds leaves only, or the types would double at every level."""
    scalars = "string s = 1; bool b = 2; int64 i = 3; double d = 4; bytes y = 7;"
    leaf = f"oneof t {{ {scalars} bytes a = 5; bytes k = 6; }}"
    messages = [
        f"message Value0 {{ {leaf} }}",
        f"message Element0 {{ {leaf} }}",
        "message Leaves { repeated Value0 v = 1; }",
    ]
    for level in range(1, NESTED_DEPTH + 1):
        messages += [
            f"message Array{level} {{ repeated Element{level - 1} v = 1; }}",
            f"message Pair{level} {{ string key = 1; Value{level - 1} value = 2; }}",
            f"message Kvlist{level} {{ repeated Pair{level} v = 1; }}",
            f"message Value{level} {{ oneof t {{ {scalars} Array{level} a = 5; Kvlist{level} k = 6; }} }}",
            f"message Element{level} {{ oneof t {{ {scalars} Leaves a = 5; Kvlist{level} k = 6; }} }}",
            f"message KeyValue{level} {{ string key = 1; Value{level} value = 2; }}",
        ]
    return "\n".join(messages)


def any_value_type(depth: int, *, in_array: bool = False) -> str:
    """The ClickHouse type of Value<depth>, or of Element<depth>. A, K and P are no fields of the message: always 0,
    they mark in the JSON of a value where an array, a kvlist and a pair end (see any_value_json)."""
    if depth == 0:
        return f"Tuple({KIND}, {SCALARS}, a Nullable(String), k Nullable(String))"
    element = any_value_type(0) if in_array else any_value_type(depth - 1, in_array=True)
    pair = f"Tuple(key String, value {any_value_type(depth - 1)}, P UInt8)"
    return f"Tuple({KIND}, {SCALARS}, a Tuple(v Array({element}), A UInt8), k Tuple(v Array({pair}), K UInt8))"


def any_value_fields(depth: int) -> dict[str, str]:
    """The same as columns of their own, for where a value is decoded once and read by its leaves."""
    leaves = {"t": KIND.removeprefix("t "), "s": "String", "b": "Bool", "i": "Int64", "d": "Float64", "y": "String"}
    array = f"Tuple(v Array({any_value_type(depth - 1, in_array=True)}), A UInt8)"
    pair = f"Tuple(key String, value {any_value_type(depth - 1)}, P UInt8)"
    return {**leaves, "a": array, "k": f"Tuple(v Array({pair}), K UInt8)"}


def attributes_type(depth: int) -> str:
    return f"Array(Tuple(key String, value {any_value_type(depth)}))"


_STRING = r'"(?:[^"\\]|\\.)*"'
_NO_ARRAY = ',"a":{"v":[],"A":0}'
_NO_KVLIST = ',"k":{"v":[],"K":0}'
# From ClickHouse's own JSON of an AnyValue to the JSON of what it holds, e.g.
# {"t":"a","a":{"v":[{"t":"s","s":"stop"}],"A":0}} to ["stop"]. Plain replacement is exact: a quote
# inside a string is escaped, so none of these patterns can occur in one. Walking the nested type
# in SQL instead costs 2.5 ms of query analysis an insert for every node of the type.
_JSON_STEPS = (
    ("replaceAll", '{"t":"none"' + _NO_ARRAY + _NO_KVLIST + "}", "null"),
    ("replaceAll", '{"t":"a"' + _NO_ARRAY + _NO_KVLIST + "}", "[]"),
    ("replaceAll", '{"t":"k"' + _NO_ARRAY + _NO_KVLIST + "}", "{}"),
    ("replaceAll", _NO_ARRAY, ""),
    ("replaceAll", _NO_KVLIST, ""),
    ("replaceAll", '{"t":"none"}', "null"),
    ("replaceRegexpAll", r'\{"t":"[sbid]","[sbid]":(' + _STRING + r'|[^{}"]*)\}', r"\1"),
    # Bytes have no JSON; neither has what the schema left encoded because it lies too deep.
    ("replaceRegexpAll", r'\{"t":"y","y":' + _STRING + r"\}", f'"{BYTES}"'),
    ("replaceRegexpAll", r'\{"t":"[ak]","[ak]":' + _STRING + r"\}", f'"{DEEPER}"'),
    ("replaceRegexpAll", r'\{"key":(' + _STRING + r'),"value":', r"\1:"),
    ("replaceAll", ',"P":0}', ""),
    ("replaceAll", '{"t":"a","a":{"v":[', "["),
    ("replaceAll", '],"A":0}}', "]"),
    ("replaceAll", '{"t":"k","k":{"v":[', "{"),
    ("replaceAll", '],"K":0}}', "}"),
)


# Without these settings on the insert, toJSONString writes another form than _JSON_STEPS expects.
JSON_SETTINGS = {
    "output_format_json_skip_null_value_in_named_tuples": 1,
    "output_format_json_escape_forward_slashes": 0,
    "output_format_json_quote_64bit_integers": 0,
    "output_format_json_quote_denormals": 0,
}


def any_value_json(typed: str) -> str:
    """SQL for the JSON of what an AnyValue holds, from the toJSONString of that AnyValue under JSON_SETTINGS."""
    sql = f"toValidUTF8({typed})"  # the patterns match no broken character
    for function, pattern, replacement in _JSON_STEPS:
        sql = f"{function}({sql}, {quote(pattern)}, {quote(replacement)})"
    return sql


LEAVES = ("t", "s", "b", "i", "d", "y")


def any_value_text(leaf: Callable[[str], str], typed: str) -> str:
    """SQL for an AnyValue as the OpenTelemetry ClickHouse exporter stores it: a string as it is,
    bytes as base64, arrays and kvlists as JSON, numbers and booleans as their literal, none as ''.

    `leaf` names the expression of each of LEAVES, `typed` that of its toJSONString (used for arrays and kvlists).
    """
    number, boolean, double, text, blob = (leaf(name) for name in "ibdsy")
    kind = leaf("t")
    return (
        f"multiIf({kind} = 's', {text}, {kind} = 'i', toString({number}), {kind} = 'd', toString({double}), "
        f"{kind} = 'b', toString({boolean}), {kind} = 'y', base64Encode({blob}), {kind} = 'none', '', "
        f"{any_value_json(typed)})"
    )


def attributes_map(attributes: str) -> str:
    """SQL for the Map(LowCardinality(String), String) of an attribute list that is not nested deep."""
    text = any_value_text(lambda name: "v.t" if name == "t" else f"assumeNotNull(v.{name})", "toJSONString(v)")
    return f"CAST(({attributes}.key, arrayMap(v -> {text}, {attributes}.value)), 'Map(LowCardinality(String), String)')"


def picked(path: str, name: str, levels: int) -> str:
    """SQL that picks the AnyValues at `path`, `levels` arrays deep, apart into the columns picked_columns(name).

    An expression over a leaf is cheap to analyse and to run, one over the nested type is not; so the nested parts
    are used once, before anything is unnested.
    """
    typed = (
        f"multiIf(t = 'a', concat('{{\"t\":\"a\",\"a\":', toJSONString(a), '{_NO_KVLIST}}}'), "
        f"t = 'k', concat('{{\"t\":\"k\"{_NO_ARRAY},\"k\":', toJSONString(k), '}}'), '')"
    )
    names = ["t", "a", "k"]
    for level in range(levels, 0, -1):
        inner = [f"{leaf}{level - 1}" if level > 1 else f"{path}.{leaf}" for leaf in names]
        here = [f"{leaf}{level}" if level < levels else leaf for leaf in names]
        typed = f"arrayMap(({', '.join(here)}) -> {typed}, {', '.join(inner)})"
    return ", ".join([f"{typed} AS {name}_json", *(f"{path}.{leaf} AS {name}_{leaf}" for leaf in LEAVES)])


def picked_columns(name: str) -> list[str]:
    return [f"{name}_{leaf}" for leaf in ("json", *LEAVES)]


def picked_text(name: str) -> str:
    """SQL for the text of one AnyValue that was picked apart as `name`."""
    return any_value_text(lambda leaf: f"{name}_{leaf}", f"{name}_json")


def picked_map(keys: str, name: str) -> str:
    """SQL for the Map(LowCardinality(String), String) of the array `keys` and the AnyValues picked apart as `name`."""
    inside, outside = ", ".join(picked_columns("v")), ", ".join(picked_columns(name))
    return (
        f"CAST(({keys}, arrayMap(({inside}) -> {picked_text('v')}, {outside})), 'Map(LowCardinality(String), String)')"
    )


def proto() -> str:
    """The inline schema of all landing tables; the message of a table is `<Signal>Envelope`."""
    flat, nested = f"KeyValue{FLAT_DEPTH}", f"KeyValue{NESTED_DEPTH}"
    envelope = "string tenant = 1; fixed64 received_at = 2; fixed64 request_id = 3; bytes digest = 5;"
    return f"""syntax = "proto3";
{any_value_proto()}
message Resource {{ repeated {flat} attributes = 1; }}
message Scope {{ string name = 1; string version = 2; repeated {flat} attributes = 3; uint32 dropped_attributes_count = 4; }}

message Event {{ fixed64 time_unix_nano = 1; string name = 2; repeated {flat} attributes = 3; }}
message Link {{ bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; repeated {flat} attributes = 4; }}
message Status {{ string message = 2; int32 code = 3; }}
message Span {{
  bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; bytes parent_span_id = 4; string name = 5; int32 kind = 6;
  fixed64 start_time_unix_nano = 7; fixed64 end_time_unix_nano = 8; repeated {nested} attributes = 9;
  repeated Event events = 11; repeated Link links = 13; Status status = 15;
}}
message ScopeSpans {{ Scope scope = 1; repeated Span spans = 2; string schema_url = 3; }}
message ResourceSpans {{ Resource resource = 1; repeated ScopeSpans scope_spans = 2; string schema_url = 3; }}
message TracesRequest {{ repeated ResourceSpans resource_spans = 1; }}
message TracesEnvelope {{ {envelope} TracesRequest request = 4; }}

message LogRecord {{
  fixed64 time_unix_nano = 1; int32 severity_number = 2; string severity_text = 3; Value{NESTED_DEPTH} body = 5;
  repeated {nested} attributes = 6; fixed32 flags = 8; bytes trace_id = 9; bytes span_id = 10;
  fixed64 observed_time_unix_nano = 11; string event_name = 12;
}}
message ScopeLogs {{ Scope scope = 1; repeated LogRecord log_records = 2; string schema_url = 3; }}
message ResourceLogs {{ Resource resource = 1; repeated ScopeLogs scope_logs = 2; string schema_url = 3; }}
message LogsRequest {{ repeated ResourceLogs resource_logs = 1; }}
message LogsEnvelope {{ {envelope} LogsRequest request = 4; }}

message Exemplar {{
  fixed64 time_unix_nano = 2; double as_double = 3; bytes span_id = 4; bytes trace_id = 5; sfixed64 as_int = 6;
  repeated {flat} filtered_attributes = 7;
}}
message NumberDataPoint {{
  fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3; double as_double = 4; repeated Exemplar exemplars = 5;
  sfixed64 as_int = 6; repeated {flat} attributes = 7; uint32 flags = 8;
}}
message HistogramDataPoint {{
  fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3; fixed64 count = 4; double sum = 5;
  repeated fixed64 bucket_counts = 6; repeated double explicit_bounds = 7; repeated Exemplar exemplars = 8;
  repeated {flat} attributes = 9; uint32 flags = 10; double min = 11; double max = 12;
}}
message Buckets {{ sint32 offset = 1; repeated uint64 bucket_counts = 2; }}
message ExponentialHistogramDataPoint {{
  repeated {flat} attributes = 1; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3; fixed64 count = 4;
  double sum = 5; sint32 scale = 6; fixed64 zero_count = 7; Buckets positive = 8; Buckets negative = 9;
  uint32 flags = 10; repeated Exemplar exemplars = 11; double min = 12; double max = 13;
}}
message ValueAtQuantile {{ double quantile = 1; double value = 2; }}
message SummaryDataPoint {{
  fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3; fixed64 count = 4; double sum = 5;
  repeated ValueAtQuantile quantile_values = 6; repeated {flat} attributes = 7; uint32 flags = 8;
}}
message Gauge {{ repeated NumberDataPoint data_points = 1; }}
message Sum {{ repeated NumberDataPoint data_points = 1; int32 aggregation_temporality = 2; bool is_monotonic = 3; }}
message Histogram {{ repeated HistogramDataPoint data_points = 1; int32 aggregation_temporality = 2; }}
message ExponentialHistogram {{ repeated ExponentialHistogramDataPoint data_points = 1; int32 aggregation_temporality = 2; }}
message Summary {{ repeated SummaryDataPoint data_points = 1; }}
message Metric {{
  string name = 1; string description = 2; string unit = 3; Gauge gauge = 5; Sum sum = 7; Histogram histogram = 9;
  ExponentialHistogram exponential_histogram = 10; Summary summary = 11;
}}
message ScopeMetrics {{ Scope scope = 1; repeated Metric metrics = 2; string schema_url = 3; }}
message ResourceMetrics {{ Resource resource = 1; repeated ScopeMetrics scope_metrics = 2; string schema_url = 3; }}
message MetricsRequest {{ repeated ResourceMetrics resource_metrics = 1; }}
message MetricsEnvelope {{ {envelope} MetricsRequest request = 4; }}
"""


ENVELOPE = {
    "tenant": "LowCardinality(String)",
    "received_at": "UInt64",
    "request_id": "UInt64",
    "digest": "FixedString(16)",
}


def landing_columns(signal: str) -> str:
    """The columns of `otlp_<signal>`: one a field of the message, named by its path, an array for each level that
    repeats. One nested column instead would put its whole type into the analysis of every path into it."""
    columns = {**ENVELOPE, **_LANDINGS[signal]()}
    return ", ".join(f"`{path}` {kind}" for path, kind in columns.items())


def _repeated(path: str, levels: int, fields: dict[str, str]) -> dict[str, str]:
    return {f"{path}.{name}": "Array(" * levels + kind + ")" * levels for name, kind in fields.items()}


def _origin(resources: str, scopes: str) -> dict[str, str]:
    """Resource and scope, which all signals share."""
    attributes = attributes_type(FLAT_DEPTH)
    scope = {
        "scope.name": "String",
        "scope.version": "String",
        "scope.attributes": attributes,
        "scope.dropped_attributes_count": "UInt32",
        "schema_url": "String",
    }
    resource = {"resource.attributes": attributes, "schema_url": "String"}
    return {**_repeated(f"request.{resources}", 1, resource), **_repeated(f"request.{resources}.{scopes}", 2, scope)}


def _attributes(path: str, levels: int, depth: int) -> dict[str, str]:
    return {
        **_repeated(path, levels, {"key": "String"}),
        **_repeated(f"{path}.value", levels, any_value_fields(depth)),
    }


def _traces() -> dict[str, str]:
    flat = attributes_type(FLAT_DEPTH)
    span = {
        "trace_id": "String",
        "span_id": "String",
        "trace_state": "String",
        "parent_span_id": "String",
        "name": "String",
        "kind": "Int32",
        "start_time_unix_nano": "UInt64",
        "end_time_unix_nano": "UInt64",
        "status.message": "String",
        "status.code": "Int32",
    }
    event = {"time_unix_nano": "UInt64", "name": "String", "attributes": flat}
    link = {"trace_id": "String", "span_id": "String", "trace_state": "String", "attributes": flat}
    path = "request.resource_spans.scope_spans.spans"
    return {
        **_origin("resource_spans", "scope_spans"),
        **_repeated(path, 3, span),
        **_attributes(f"{path}.attributes", 4, NESTED_DEPTH),
        **_repeated(f"{path}.events", 4, event),
        **_repeated(f"{path}.links", 4, link),
    }


def _logs() -> dict[str, str]:
    record = {
        "time_unix_nano": "UInt64",
        "observed_time_unix_nano": "UInt64",
        "severity_number": "Int32",
        "severity_text": "String",
        "flags": "UInt32",
        "trace_id": "String",
        "span_id": "String",
        "event_name": "String",
    }
    path = "request.resource_logs.scope_logs.log_records"
    return {
        **_origin("resource_logs", "scope_logs"),
        **_repeated(path, 3, record),
        **_repeated(f"{path}.body", 3, any_value_fields(NESTED_DEPTH)),
        **_attributes(f"{path}.attributes", 4, NESTED_DEPTH),
    }


def metric_fields() -> str:
    attributes = attributes_type(FLAT_DEPTH)
    exemplars = (
        "exemplars Array(Tuple(time_unix_nano UInt64, as_double Float64, span_id String, trace_id String, as_int Int64, "
        f"filtered_attributes {attributes}))"
    )
    point = f"start_time_unix_nano UInt64, time_unix_nano UInt64, attributes {attributes}, flags UInt32"
    number = f"{point}, as_double Nullable(Float64), as_int Nullable(Int64), {exemplars}"
    total = "count UInt64, sum Float64"
    span = "min Float64, max Float64"
    histogram = f"{point}, {total}, {span}, bucket_counts Array(UInt64), explicit_bounds Array(Float64), {exemplars}"
    buckets = "Tuple(offset Int32, bucket_counts Array(UInt64))"
    exponential = (
        f"{point}, {total}, {span}, scale Int32, zero_count UInt64, positive {buckets}, negative {buckets}, {exemplars}"
    )
    summary = f"{point}, {total}, quantile_values Array(Tuple(quantile Float64, value Float64))"
    temporality = "aggregation_temporality Int32"
    return (
        f"name String, description String, unit String, gauge Tuple(data_points Array(Tuple({number}))), "
        f"sum Tuple(data_points Array(Tuple({number})), {temporality}, is_monotonic Bool), "
        f"histogram Tuple(data_points Array(Tuple({histogram})), {temporality}), "
        f"exponential_histogram Tuple(data_points Array(Tuple({exponential})), {temporality}), "
        f"summary Tuple(data_points Array(Tuple({summary})))"
    )


def _metrics() -> dict[str, str]:
    metrics = {"metrics": f"Tuple({metric_fields()})"}
    return {
        **_origin("resource_metrics", "scope_metrics"),
        **_repeated("request.resource_metrics.scope_metrics", 3, metrics),
    }


_LANDINGS = {"traces": _traces, "logs": _logs, "metrics": _metrics}
SIGNALS = tuple(_LANDINGS)
