"""The OTLP messages as ClickHouse decodes them: one inline protobuf schema, the column types of
the landing tables, and the SQL that turns an AnyValue into text.

Field numbers follow opentelemetry-proto 1.x. AnyValue is recursive and ClickHouse types are not,
so each place that carries attributes states how deep arrays and kvlists are decoded; where something
lies deeper, the stored text says so in its place.
"""

from __future__ import annotations

from collections.abc import Callable

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


def any_value_json(value: str) -> str:
    """SQL for the JSON text of an AnyValue; needs JSON_SETTINGS."""
    sql = f"toJSONString({value})"
    for function, pattern, replacement in _JSON_STEPS:
        sql = f"{function}({sql}, {_quote(pattern)}, {_quote(replacement)})"
    return sql


LEAVES = ("t", "s", "b", "i", "d", "y")


def any_value_text(leaf: Callable[[str], str], value: str) -> str:
    """SQL for an AnyValue as the OpenTelemetry ClickHouse exporter stores it: a string as it is,
    bytes as base64, arrays and kvlists as JSON, numbers and booleans as their literal, none as ''.

    `leaf` names the expression of each of LEAVES and `value` the whole: an expression over a leaf is
    cheap to analyse, one over the nested type is not.
    """
    number, boolean, double, text, blob = (f"assumeNotNull({leaf(name)})" for name in "ibdsy")
    kind = leaf("t")
    return (
        f"multiIf({kind} = 's', {text}, {kind} = 'i', toString({number}), {kind} = 'd', toString({double}), "
        f"{kind} = 'b', toString({boolean}), {kind} = 'y', base64Encode({blob}), {kind} = 'none', '', "
        f"{any_value_json(value)})"
    )


def attributes_map(attributes: str) -> str:
    """SQL for the Map(LowCardinality(String), String) of an attribute list that is not nested deep."""
    text = any_value_text(lambda name: f"v.{name}", "v")
    return f"CAST(({attributes}.key, arrayMap(v -> {text}, {attributes}.value)), 'Map(LowCardinality(String), String)')"


def attribute_leaves(path: str) -> str:
    """SQL that picks apart the attribute list at `path` into the columns ATTRIBUTE_LEAVES."""
    parts = [f"{path}.key AS attribute_key", f"{path}.value AS attribute_value"]
    return ", ".join(parts + [f"{path}.value.{name} AS attribute_{name}" for name in LEAVES])


ATTRIBUTE_LEAVES = ", ".join(["attribute_key", "attribute_value", *(f"attribute_{name}" for name in LEAVES)])


def leaves_map() -> str:
    """SQL for the Map(LowCardinality(String), String) of the columns ATTRIBUTE_LEAVES."""
    text = any_value_text(lambda name: f"_{name}", "_value")
    names = ["value", *LEAVES]
    inside, outside = (", ".join(f"{prefix}_{name}" for name in names) for prefix in ("", "attribute"))
    return f"CAST((attribute_key, arrayMap(({inside}) -> {text}, {outside})), 'Map(LowCardinality(String), String)')"


def _quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def proto() -> str:
    """The inline schema of all landing tables; the message of a table is `<Signal>Envelope`."""
    flat, nested = f"KeyValue{FLAT_DEPTH}", f"KeyValue{NESTED_DEPTH}"
    envelope = "string tenant = 1; fixed64 received_at = 2; fixed64 request_id = 3;"
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
message ScopeSpans {{ Scope scope = 1; repeated Span spans = 2; }}
message ResourceSpans {{ Resource resource = 1; repeated ScopeSpans scope_spans = 2; }}
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


ENVELOPE_COLUMNS = "tenant LowCardinality(String), received_at UInt64, request_id UInt64"


def landing_columns(signal: str) -> str:
    """The columns of `otlp_<signal>`, named as the messages of `proto` name their fields."""
    return f"{ENVELOPE_COLUMNS}, request Tuple({_REQUESTS[signal]()})"


def _resource() -> str:
    return f"resource Tuple(attributes {attributes_type(FLAT_DEPTH)})"


def _scope() -> str:
    return (
        f"scope Tuple(name String, version String, attributes {attributes_type(FLAT_DEPTH)}, "
        "dropped_attributes_count UInt32)"
    )


def _traces() -> str:
    span = (
        "trace_id String, span_id String, trace_state String, parent_span_id String, name String, kind Int32, "
        f"start_time_unix_nano UInt64, end_time_unix_nano UInt64, attributes {attributes_type(NESTED_DEPTH)}, "
        f"events Array(Tuple(time_unix_nano UInt64, name String, attributes {attributes_type(FLAT_DEPTH)})), "
        f"links Array(Tuple(trace_id String, span_id String, trace_state String, attributes {attributes_type(FLAT_DEPTH)})), "
        "status Tuple(message String, code Int32)"
    )
    return (
        f"resource_spans Array(Tuple({_resource()}, scope_spans Array(Tuple({_scope()}, spans Array(Tuple({span}))))))"
    )


def _logs() -> str:
    record = (
        f"time_unix_nano UInt64, severity_number Int32, severity_text String, body {any_value_type(NESTED_DEPTH)}, "
        f"attributes {attributes_type(NESTED_DEPTH)}, flags UInt32, trace_id String, span_id String, "
        "observed_time_unix_nano UInt64, event_name String"
    )
    return (
        f"resource_logs Array(Tuple({_resource()}, scope_logs Array(Tuple({_scope()}, "
        f"log_records Array(Tuple({record})), schema_url String)), schema_url String))"
    )


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


def _metrics() -> str:
    return (
        f"resource_metrics Array(Tuple({_resource()}, scope_metrics Array(Tuple({_scope()}, "
        f"metrics Array(Tuple({metric_fields()})), schema_url String)), schema_url String))"
    )


_REQUESTS = {"traces": _traces, "logs": _logs, "metrics": _metrics}
SIGNALS = tuple(_REQUESTS)
