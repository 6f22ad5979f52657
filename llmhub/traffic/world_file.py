"""Reads a world from YAML and checks it."""

from collections.abc import Callable, Collection, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

import yaml

from llmhub.traffic.errors import WorldError
from llmhub.traffic.fitted import Fit, load_fit
from llmhub.traffic.incidents import Effects, IncidentKind, Incidents
from llmhub.traffic.rhythm import Rhythm
from llmhub.traffic.sampling import Choice, LogNormal
from llmhub.traffic.world import Environment, Errors, Model, PromptCache, Provider, Service, World

T = TypeVar("T")

FLOWS = ("chat", "rag", "agent")
DIALECTS = ("otel", "openllmetry", "openinference")


@cache
def default_world() -> World:
    """The world that the demo plays."""
    return parse_world(yaml.safe_load(files(__package__).joinpath("world.yaml").read_text("utf-8")))


def parse_world(data: Mapping[str, Any]) -> World:
    """Raises WorldError naming the part that is missing or wrong."""
    fit = load_fit()
    providers = {name: _checked(f"providers.{name}", _provider, name, part) for name, part in data["providers"].items()}
    models = {name: _checked(f"models.{name}", _model, name, part, providers) for name, part in data["models"].items()}
    rhythms: Mapping[str, Any] = data["rhythms"]
    services = tuple(
        _checked(f"services.{part.get('name')}", _service, part, models, rhythms, fit) for part in data["services"]
    )
    return World(
        services=services,
        environments=_checked("environments", _environments, data["environments"]),
        users=_checked("users", _users, data["users"], data["zipf_exponent"]),
        models=models,
        errors=_checked("errors", lambda part: Errors(**part), data["errors"]),
        incidents=_checked("incidents", _incidents, data["incidents"], services),
        fit=fit,
    )


def _checked(where: str, build: Callable[..., T], *parts: Any) -> T:
    try:
        return build(*parts)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise WorldError(f"world: {where} is wrong: {error!r}. Compare it with llmhub/traffic/world.yaml") from error


def _provider(name: str, part: Mapping[str, Any]) -> Provider:
    errors = {key: (kind, message) for key, (kind, message) in part["errors"].items()}
    return Provider(name, **{**part, "errors": errors})


def _model(name: str, part: Mapping[str, Any], providers: Mapping[str, Provider]) -> Model:
    fields = dict(part, provider=providers[part["provider"]])
    if "reasoning" in fields:
        fields["reasoning"] = LogNormal(**fields["reasoning"])
    if "cache" in fields:
        fields["cache"] = PromptCache(**fields["cache"])
    return Model(name, **fields)


def _service(part: Mapping[str, Any], models: Mapping[str, Model], rhythms: Mapping[str, Any], fit: Fit) -> Service:
    fields = dict(part)
    fields.setdefault("arrivals", part["kind"])
    _one_of("kind", part["kind"], fit.input_tokens)
    _one_of("arrivals", fields["arrivals"], fit.arrivals)
    _one_of("dialect", part["dialect"], DIALECTS)
    for flow in part["flows"]:
        _one_of("flows", flow, FLOWS)
    _needs(fields, "rag", "embedding")
    _needs(fields, "agent", "tools", "tool_rounds")
    fields["rhythm"] = Rhythm(**rhythms[part["rhythm"]], utc_offset=fields.pop("utc_offset"))
    fields["models"] = Choice([models[name] for name in part["models"]], list(part["models"].values()))
    for key in ("features", "flows", "tool_rounds"):
        if key in fields:
            fields[key] = Choice(list(part[key]), list(part[key].values()))
    if "embedding" in fields:
        fields["embedding"] = models[part["embedding"]]
    if "tools" in fields:
        fields["tools"] = tuple(part["tools"])
    return Service(**fields)


def _one_of(name: str, value: str, known: Collection[str]) -> None:
    if value not in known:
        raise ValueError(f"{name} is {value!r}, known are {', '.join(sorted(known))}")


def _needs(fields: Mapping[str, Any], flow: str, *names: str) -> None:
    missing = [name for name in names if not fields.get(name)]
    if flow in fields["flows"] and missing:
        raise ValueError(f"the flow {flow} needs {', '.join(missing)}")


def _environments(parts: list[Mapping[str, Any]]) -> Choice[Environment]:
    return Choice(
        [Environment(part["name"], part["releases_ahead"]) for part in parts], [part["share"] for part in parts]
    )


def _users(count: int, exponent: float) -> Choice[str]:
    ranks = range(1, count + 1)
    return Choice([f"user-{rank:03}" for rank in ranks], [rank**-exponent for rank in ranks])


def _incidents(part: Mapping[str, Any], services: tuple[Service, ...]) -> Incidents:
    kinds = tuple(
        IncidentKind(kind["name"], kind["scope"], tuple(kind["minutes"]), Effects(**kind["effects"]))
        for kind in part["kinds"]
    )
    providers = sorted({model.provider.name for service in services for model in service.models.items})
    targets = {"provider": tuple(providers), "service": tuple(service.name for service in services)}
    return Incidents(part["per_day"], kinds, targets)
