"""The imaginary company: services, models, users, rhythm. Values only; world_file reads them."""

from collections.abc import Mapping
from dataclasses import dataclass

from llmhub.traffic.fitted import Fit
from llmhub.traffic.incidents import Incidents
from llmhub.traffic.rhythm import Rhythm
from llmhub.traffic.sampling import Choice, LogNormal


@dataclass(frozen=True, slots=True, eq=False)
class Provider:
    """`errors` maps an error class to the exception type and message that the provider's SDK raises,
    `tool_finish` is the finish reason when the model asks for a tool, `response_id` what ids begin with.
    """

    name: str
    address: str
    scope: str
    operation: str
    response_id: str
    tool_finish: str
    errors: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class PromptCache:
    """`minimum` and `step` are tokens; `writes` when the provider bills what it newly caches."""

    minimum: int
    step: int = 1
    writes: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """Seconds for `first_token`, tokens a second for `prefill` and `speed`."""

    name: str
    response: str
    provider: Provider
    first_token: float
    prefill: float
    speed: float = 100.0
    embedding: bool = False
    reasoning: LogNormal | None = None
    cache: PromptCache | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Service:
    """One application. `release_days` is the time between versions, `version` a pattern for the release number."""

    name: str
    team: str
    weight: float
    dialect: str
    kind: str
    arrivals: str
    rhythm: Rhythm
    release_days: float
    version: str
    models: Choice[Model]
    features: Choice[str]
    flows: Choice[str]
    streaming: float = 0.0
    temperature: float | None = None
    max_tokens: int | None = None
    embedding: Model | None = None
    data_source: str = ""
    agent: str = ""
    tools: tuple[str, ...] = ()
    tool_rounds: Choice[int] | None = None
    batch: bool = False


@dataclass(frozen=True, slots=True)
class Environment:
    name: str
    releases_ahead: int


@dataclass(frozen=True, slots=True)
class Errors:
    """Chances a call, except `rate_limit_by_load`, which is a chance for each unit of relative load."""

    rate_limit: float
    rate_limit_by_load: float
    server_error: float
    timeout: float
    context_length: float
    tool: float
    cut_by_length: float
    content_filter: float


@dataclass(frozen=True)
class World:
    """All that `generate` needs to know. Immutable, safe to share."""

    services: tuple[Service, ...]
    environments: Choice[Environment]
    users: Choice[str]
    models: Mapping[str, Model]
    errors: Errors
    incidents: Incidents
    fit: Fit
