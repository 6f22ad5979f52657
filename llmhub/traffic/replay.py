"""Real trace files played as OTLP."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from llmhub.traffic.calls import Call, Prompt, split_prompt, timing
from llmhub.traffic.exports import Export, pack
from llmhub.traffic.flows import Deployment, Kind, Session, Step, Trace
from llmhub.traffic.rhythm import Rhythm
from llmhub.traffic.sampling import Choice
from llmhub.traffic.trace_files import Request, read_trace
from llmhub.traffic.world import Model, Service
from llmhub.traffic.world_file import default_world

DEFAULT_MODEL = "gpt-4o"


def replay(
    path: Path,
    *,
    end: datetime | None = None,
    service: str | None = None,
    environment: str = "replay",
    model: str = DEFAULT_MODEL,
    max_spans: int = 512,
    max_wait: float = 5.0,
) -> Iterator[Export]:
    """One chat span for each request of a trace file, in the file's rhythm; the last request falls on `end` (now).

    The trace has times and token counts; the model (a chat model of the default world) is chosen by the
    caller, and latency follows from it. Prefix blocks that the trace repeats become cached tokens as far as
    the model's prompt cache goes. `service` is the file's name unless given.
    Reads the file twice, so that TraceFileError (and ValueError for an unknown model or an `end` without
    a time zone) comes before the first export. Memory grows with the file only by its distinct prefix blocks.
    """
    chosen = _chat_model(model)
    if end is not None and end.tzinfo is None:
        raise ValueError("end needs a time zone; pass datetime.now(UTC), not datetime.now()")
    last = _last_time(path)
    shift = (end or datetime.now(UTC)).timestamp() - last
    deployment = Deployment(_service(service or path.stem, chosen), environment, "replay")
    return pack(_traces(path, deployment, chosen, shift), max_spans=max_spans, max_wait=max_wait)


def trace_duration(path: Path) -> timedelta:
    """From the first request of a trace file to the last. Raises TraceFileError."""
    first = next(read_trace(path)).time
    return timedelta(seconds=_last_time(path) - first)


def _last_time(path: Path) -> float:
    last = 0.0
    for request in read_trace(path):
        last = request.time
    return last


def _chat_model(name: str) -> Model:
    models = default_world().models
    known = sorted(key for key, model in models.items() if not model.embedding)
    if name not in known:
        raise ValueError(f"model {name!r} is not known to the replay; choose one of {', '.join(known)}")
    return models[name]


def _service(name: str, model: Model) -> Service:
    return Service(
        name=name,
        team="replay",
        weight=1.0,
        dialect="otel",
        kind="conversation",
        arrivals="conversation",
        rhythm=Rhythm([1] * 24, [1] * 7),
        release_days=1.0,
        version="replay",
        models=Choice([model], [1]),
        features=Choice(["replay"], [1]),
        flows=Choice(["chat"], [1]),
    )


def _traces(path: Path, deployment: Deployment, model: Model, shift: float) -> Iterator[Trace]:
    rng = random.Random(f"replay:{deployment.service.name}:{shift}")
    session = Session("replay", "")
    for request in read_trace(path):
        start = request.time + shift
        call = _call(model, request, rng)
        first, last = int(start * 1e9), int((start + call.seconds) * 1e9)
        step = Step(Kind.CHAT, model.name, rng.randbytes(8), b"", first, last, call)
        yield Trace(start, rng.randbytes(16), deployment, session, "replay", (step,))


def _call(model: Model, request: Request, rng: random.Random) -> Call:
    prompt = Prompt(request.input_tokens, request.shared_tokens)
    cached, written = split_prompt(model.cache, prompt)
    first, seconds = timing(model, prompt.tokens - cached, request.output_tokens, 0, rng)
    return Call(
        model,
        f"{model.provider.response_id}{rng.getrandbits(96):024x}",
        seconds,
        request.input_tokens,
        cached,
        written,
        request.output_tokens,
        first_token=first,
        finish_reason="stop",
        streaming=True,
    )
