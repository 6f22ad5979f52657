"""LLM / Gaps: what cannot be counted or priced, and the line that would change it."""

from grafana.dashboards.overview import UID as OVERVIEW
from grafana.filters import FILTERS, only
from grafana.model import Dashboard, Row
from grafana.panels import Column, table
from grafana.thresholds import UNPRICED_CALLS

ROW = Row(
    1,
    "What cannot be counted or priced",
    [
        table(
            2,
            "Tokens without a price",
            "Tokens of models that have no known price, by service, of whole days and all environments. From "
            "llm_gaps. Run the command of the last column with what you pay for a million tokens; look at the "
            "sample trace when the model's name is no name of a model.",
            "gaps_unpriced",
            [
                Column("Model", "string", links=[only(OVERVIEW, "model")]),
                Column("Provider", "string", links=[only(OVERVIEW, "provider")]),
                Column("Service", "string", links=[only(OVERVIEW, "service")]),
                Column("Tokens", threshold=UNPRICED_CALLS),
                Column("Calls"),
                Column("Sample trace", "string"),
                Column("What sets a price", "string", width=420),
            ],
            width=24,
            no_value="Every token has a price",
        ),
        table(
            3,
            "Spans that are not understood",
            "Spans and log records that look like LLM work and match no dialect, and calls without a model or "
            "tokens, by service, of whole days and all environments. From llm_gaps. The last column is the "
            "line of the configuration, or the attribute, that would map them.",
            "gaps_unmapped",
            [
                Column("Service", "string", links=[only(OVERVIEW, "service")]),
                Column("What is missing", "string"),
                Column("Span", "string"),
                Column("Spans", threshold=UNPRICED_CALLS),
                Column("Sample trace", "string"),
                Column("What would map it", "string", width=420),
            ],
            width=24,
            no_value="Every span is understood",
        ),
    ],
)

GAPS = Dashboard(
    uid="llm-gaps",
    title="LLM / Gaps",
    description="Tokens without a price and spans that are not understood, with a sample trace and the line that closes the gap.",
    rows=[ROW],
    variables=FILTERS,
)
