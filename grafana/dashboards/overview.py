"""LLM / Overview: is it working, is it fast, what does it cost, and who is behind it."""

from grafana.filters import FILTERS, only
from grafana.model import Annotation, Dashboard, Row
from grafana.panels import Column, stat, table, time_series
from grafana.query_files import load
from grafana.thresholds import ERROR_RATE, FIRST_TOKEN_SECONDS, SILENCE_SECONDS, UNPRICED_CALLS

UID = "llm-overview"

ERROR_CLASS_COLORS = {
    "rate_limit": "orange",
    "overloaded": "dark-orange",
    "timeout": "yellow",
    "connection": "light-yellow",
    "server_error": "red",
    "auth": "purple",
    "content_filter": "light-purple",
    "context_length": "blue",
    "invalid_request": "light-blue",
    "not_found": "dark-blue",
    "cancelled": "semi-dark-green",
    "other": "text",
}
PERCENTILE_COLORS = {"p50": "light-blue", "p95": "blue", "p99": "dark-blue"}
TOKEN_COLORS = {
    "Input, not cached": "blue",
    "Input, from cache": "light-blue",
    "Input, written to cache": "dark-blue",
    "Output, answer": "orange",
    "Output, reasoning": "light-orange",
}

HEALTH = Row(
    1,
    "Health at a glance",
    [
        stat(
            2,
            "Last call",
            "Time since a call of this selection last reached the store, whatever the time range. From "
            "llm_calls_1m. When it grows under traffic, ask the hub's /readyz first, then the exporter of the "
            "service.",
            "stat_last_call",
            "s",
            decimals=0,
            threshold=SILENCE_SECONDS,
            no_value="No calls yet",
        ),
        stat(
            3,
            "Calls",
            "Model calls in the time range. From llm_calls_1m. A sudden change is explained by 'Calls per "
            "minute by model' and 'Top services'.",
            "stat_calls",
            "short",
        ),
        stat(
            4,
            "Error rate",
            "Share of calls that failed. From llm_calls_1m. When it is red, 'Errors per minute by class' says "
            "what fails and 'Errors by class and model' says where.",
            "stat_error_rate",
            "percentunit",
            decimals=2,
            threshold=ERROR_RATE,
        ),
        stat(
            5,
            "Latency p95",
            "Nineteen calls in twenty took no longer than this, whole answer included; accurate to 1 %. From "
            "llm_calls_1m. When it rises, compare the models in 'Latency p95 by model'.",
            "stat_latency_p95",
            "s",
            decimals=2,
        ),
        stat(
            6,
            "Cost",
            "US dollars for the calls that have a price. From llm_calls_1m. It is too low by the calls listed "
            "in 'Calls without a price'.",
            "stat_cost",
            "currencyUSD",
        ),
        stat(
            7,
            "Tokens",
            "Input and output tokens, cached and reasoning tokens included. From llm_calls_1m. 'Tokens per "
            "minute' shows what they are made of.",
            "stat_tokens",
            "short",
        ),
    ],
)

TRAFFIC = Row(
    10,
    "Traffic, errors, latency",
    [
        time_series(
            11,
            "Calls per minute by model",
            "Rate of calls for the eight busiest models of the range, and for all others together. From "
            "llm_calls_1m. A drop to zero is an outage of the caller or of the pipeline: look at 'Last call'.",
            "calls_by_model",
            "cpm",
            stacked=True,
        ),
        time_series(
            12,
            "Errors per minute by class",
            "Rate of failed calls by what went wrong. From llm_calls_1m. rate_limit and overloaded: slow down "
            "or ask for quota; auth: check keys; context_length and invalid_request: a change in the caller.",
            "errors_by_class",
            "cpm",
            colors=ERROR_CLASS_COLORS,
            stacked=True,
            bars=True,
            no_value="No errors",
        ),
        time_series(
            13,
            "Latency",
            "Duration of whole calls: median, 95th and 99th percentile, accurate to 1 %. From llm_calls_1m. When "
            "only p99 moves, a few calls are slow: long answers or retries; when the median moves, the "
            "provider or the mix of models changed.",
            "latency",
            "s",
            colors=PERCENTILE_COLORS,
        ),
        time_series(
            14,
            "Time to first token",
            "Wait for the first token of streamed answers: median, 95th and 99th percentile. From "
            "llm_calls_1m; calls that do not report it are left out. Above the dashed line people notice: "
            "check prompt sizes, cache use and the provider's status.",
            "time_to_first_token",
            "s",
            colors=PERCENTILE_COLORS,
            threshold=FIRST_TOKEN_SECONDS,
            no_value="No streamed calls",
        ),
        time_series(
            15,
            "Latency p95 by model",
            "95th percentile of the duration for the eight busiest models. From llm_calls_1m. One model "
            "slower than its usual self points at its provider; all of them point at the network or at the "
            "callers.",
            "latency_by_model",
            "s",
        ),
        time_series(
            16,
            "Error rate by provider",
            "Share of calls that failed, by provider. From llm_calls_1m. Above the dashed line for one "
            "provider only: fail over and look at its status page.",
            "error_rate_by_provider",
            "percentunit",
            maximum=1,
            threshold=ERROR_RATE,
        ),
    ],
)

SPEND = Row(
    20,
    "Tokens and cost",
    [
        time_series(
            21,
            "Tokens per minute",
            "What the tokens are made of; the parts add up to all tokens. From llm_calls_1m. A falling share "
            "from cache makes the same traffic dearer: look for a changed prompt prefix.",
            "tokens",
            "short",
            colors=TOKEN_COLORS,
            stacked=True,
        ),
        time_series(
            22,
            "Cost per hour by model",
            "Spending rate in US dollars an hour for the eight costliest models of the range, and for all "
            "others together. From llm_calls_1m. For a jump, open 'Top services' and 'Top users'.",
            "cost_by_model",
            "currencyUSD",
            stacked=True,
        ),
        table(
            23,
            "Calls without a price",
            "Calls whose model has no known price, or that did not report tokens: they are missing from every "
            "cost. From llm_calls_1m. Add a price for the model, or make its caller report usage.",
            "unpriced_calls",
            [
                Column("Model", "string", links=[only(UID, "model")]),
                Column("Provider", "string", links=[only(UID, "provider")]),
                Column("Unpriced calls", threshold=UNPRICED_CALLS),
                Column("Share of its calls", "percentunit", decimals=1),
            ],
            width=8,
            no_value="Every call has a price",
        ),
    ],
)

WHO = Row(
    30,
    "Who and what",
    [
        table(
            31,
            "Top models",
            "The costliest models of the range. From llm_calls_1m. Click a model or a provider to see only its calls.",
            "top_models",
            [
                Column("Model", "string", links=[only(UID, "model")], width=210),
                Column("Provider", "string", links=[only(UID, "provider")]),
                Column("Calls"),
                Column("Error rate", "percentunit", decimals=2, threshold=ERROR_RATE),
                Column("p50", "s", decimals=2),
                Column("p95", "s", decimals=2),
                Column("First token p95", "s", decimals=2, threshold=FIRST_TOKEN_SECONDS),
                Column("Tokens"),
                Column("Cost", "currencyUSD"),
            ],
            width=12,
        ),
        table(
            32,
            "Top services",
            "The costliest services of the range, with the people and sessions behind them (estimated to "
            "about 1 %). From llm_calls_1m. Click a service to see only its calls.",
            "top_services",
            [
                Column("Service", "string", links=[only(UID, "service")], width=210),
                Column("Calls"),
                Column("Error rate", "percentunit", decimals=2, threshold=ERROR_RATE),
                Column("p95", "s", decimals=2),
                Column("Users"),
                Column("Sessions"),
                Column("Tokens"),
                Column("Cost", "currencyUSD"),
            ],
            width=12,
        ),
        table(
            33,
            "Top users",
            "The costliest users of the range, for calls that name one. From llm_calls. One user far ahead of "
            "the rest is a runaway job, a shared key or abuse: ask the owner of the service.",
            "top_users",
            [
                Column("User", "string", width=210),
                Column("Calls"),
                Column("Error rate", "percentunit", decimals=2, threshold=ERROR_RATE),
                Column("Services"),
                Column("Tokens"),
                Column("Cost", "currencyUSD"),
                Column("Last call", "dateTimeFromNow"),
            ],
            width=12,
        ),
        table(
            34,
            "Errors by class and model",
            "Where the errors of the range come from. From llm_calls_1m. Click a model or a provider to see "
            "only its calls; several services with one class mean the provider, one service means the caller.",
            "top_errors",
            [
                Column("Class", "string"),
                Column("Provider", "string", links=[only(UID, "provider")]),
                Column("Model", "string", links=[only(UID, "model")], width=210),
                Column("Errors"),
                Column("Services"),
                Column("Last minute", "dateTimeFromNow"),
            ],
            width=12,
            no_value="No errors",
        ),
    ],
)

OVERVIEW = Dashboard(
    uid=UID,
    title="LLM / Overview",
    description="Traffic, errors, latency, tokens and cost of all model calls, and who is behind them.",
    rows=[HEALTH, TRAFFIC, SPEND, WHO],
    variables=FILTERS,
    annotations=[Annotation("Changes and serious events", "purple", load("annotation_events"))],
)
