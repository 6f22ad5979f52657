"""What one request sets off: a chat, a retrieval chain or an agent with its tools."""

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from llmhub.traffic.arrivals import Arrival
from llmhub.traffic.calls import Call, Caller, Failure, Prompt
from llmhub.traffic.incidents import Calendar, Effects
from llmhub.traffic.sampling import Choice, LogNormal
from llmhub.traffic.world import Environment, Model, Service, World

_OPEN_SESSIONS = 64
_MOST_ROUNDS = 40
_MOST_CONTEXT = 180_000
_TOOL_S = LogNormal(-1.0, 0.9)
_TOOL_RESULT_TOKENS = LogNormal(5.5, 1.0)
_RETRIEVAL_S = LogNormal(-2.8, 0.5)
_PAUSE_S = 0.004
_DAY_S = 86_400


class Kind(Enum):
    CHAT = "chat"
    EMBEDDING = "embedding"
    RETRIEVAL = "retrieval"
    TOOL = "tool"
    AGENT = "agent"
    WORKFLOW = "workflow"


@dataclass(frozen=True, slots=True)
class Step:
    """One span in the making. `start` and `end` are unix nanoseconds; chat and embedding steps hold a call."""

    kind: Kind
    name: str
    span_id: bytes
    parent_id: bytes
    start: int
    end: int
    call: Call | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """What the resource says: one service in one environment in one version."""

    service: Service
    environment: str
    version: str


@dataclass(frozen=True, slots=True)
class Session:
    user: str
    id: str


@dataclass(frozen=True, slots=True)
class Trace:
    """One request and what it set off. `start` is unix seconds."""

    start: float
    trace_id: bytes
    deployment: Deployment
    session: Session
    feature: str
    steps: tuple[Step, ...]


class Sessions:
    """The sessions that a request may continue."""

    def __init__(self, users: Choice[str], service: Service, rng: random.Random) -> None:
        self._users = users
        self._rng = rng
        self._open: deque[Session] = deque(maxlen=_OPEN_SESSIONS)
        self._robot = Session(f"job-{service.name}", "") if service.batch else None

    def next(self, *, continues: bool) -> Session:
        if self._robot is not None:
            return self._robot
        if continues and self._open:
            return self._rng.choice(self._open)
        session = Session(self._users.draw(self._rng), f"conv-{self._rng.getrandbits(48):012x}")
        self._open.append(session)
        return session


class Flows:
    """Turns arrivals of one service into traces. Not thread-safe."""

    def __init__(self, world: World, service: Service, calendar: Calendar, rng: random.Random) -> None:
        self._world = world
        self._service = service
        self._calendar = calendar
        self._rng = rng
        self._caller = Caller(world, service, rng)
        self._sessions = Sessions(world.users, service, rng)

    def trace(self, arrival: Arrival) -> Trace:
        rng, service = self._rng, self._service
        model = service.models.draw(rng)
        effects = self._calendar.effects(arrival.time, service.name, model.provider.name)
        continues = rng.random() < self._world.fit.prefixes.continues
        flow = {"chat": self._chat, "rag": self._rag, "agent": self._agent}[service.flows.draw(rng)]
        return Trace(
            arrival.time,
            rng.randbytes(16),
            deployment(service, self._world.environments.draw(rng), arrival.time),
            self._sessions.next(continues=continues),
            service.features.draw(rng),
            tuple(flow(arrival, model, effects, continues)),
        )

    def _chat(self, arrival: Arrival, model: Model, effects: Effects, continues: bool) -> Iterator[Step]:
        prompt = self._caller.prompt(effects, continues=continues)
        yield self._called(self._caller.chat(model, prompt, arrival.load, effects), arrival.time, b"")

    def _rag(self, arrival: Arrival, model: Model, effects: Effects, continues: bool) -> Iterator[Step]:
        service, caller, root = self._service, self._caller, self._rng.randbytes(8)
        assert service.embedding is not None
        embedding = self._called(caller.embed(service.embedding, arrival.load, effects), arrival.time, root)
        steps = [embedding]
        if embedding.failure is None:
            found = _after(embedding) + _RETRIEVAL_S.draw(self._rng)
            steps.append(self._plain(Kind.RETRIEVAL, service.data_source, _after(embedding), found, root))
            prompt = caller.prompt(effects, continues=continues)
            steps.append(self._called(caller.chat(model, prompt, arrival.load, effects), found + _PAUSE_S, root))
        yield from steps
        yield _around(Kind.WORKFLOW, f"{service.name}-rag", root, arrival.time, steps)

    def _agent(self, arrival: Arrival, model: Model, effects: Effects, continues: bool) -> Iterator[Step]:
        service, root = self._service, self._rng.randbytes(8)
        assert service.tool_rounds is not None
        rounds = min(round(service.tool_rounds.draw(self._rng) * effects.rounds), _MOST_ROUNDS)
        prompt = self._caller.prompt(effects, continues=continues)
        steps: list[Step] = []
        now = arrival.time
        for left in range(rounds, -1, -1):
            prompt = Prompt(prompt.tokens, prompt.shared_tokens, asks_for_tool=left > 0)
            call = self._caller.chat(model, prompt, arrival.load, effects)
            steps.append(self._called(call, now, root))
            if call.failure is not None or left == 0:
                break
            tool = self._tool(_after(steps[-1]), root)
            steps.append(tool)
            # The next prompt repeats this one and adds the answer and the tool's result.
            grown = prompt.tokens + call.output_tokens + round(_TOOL_RESULT_TOKENS.draw(self._rng))
            prompt = Prompt(min(grown, _MOST_CONTEXT), min(prompt.tokens, _MOST_CONTEXT))
            now = _after(tool)
        yield from steps
        yield _around(Kind.AGENT, service.agent, root, arrival.time, steps)

    def _tool(self, start: float, root: bytes) -> Step:
        rng, name = self._rng, self._rng.choice(self._service.tools)
        broken = rng.random() < self._world.errors.tool
        failure = Failure("tool", "ToolError", f"{name}: upstream returned 502") if broken else None
        return self._plain(Kind.TOOL, name, start, start + _TOOL_S.draw(rng), root, failure)

    def _called(self, call: Call, start: float, parent: bytes) -> Step:
        kind = Kind.EMBEDDING if call.model.embedding else Kind.CHAT
        first, last = _nanoseconds(start), _nanoseconds(start + call.seconds)
        return Step(kind, call.model.name, self._rng.randbytes(8), parent, first, last, call, call.failure)

    def _plain(
        self, kind: Kind, name: str, start: float, end: float, parent: bytes, failure: Failure | None = None
    ) -> Step:
        span_id = self._rng.randbytes(8)
        return Step(kind, name, span_id, parent, _nanoseconds(start), _nanoseconds(end), None, failure)


def calls_per_request(service: Service) -> float:
    """Expected model calls that one request sets off when nothing fails."""
    rounds = service.tool_rounds
    of_agent = 1 + sum(n * w for n, w in zip(rounds.items, rounds.weights, strict=True)) if rounds else 1.0
    calls = {"chat": 1.0, "rag": 2.0, "agent": of_agent}
    return sum(calls[flow] * weight for flow, weight in zip(service.flows.items, service.flows.weights, strict=True))


def deployment(service: Service, environment: Environment, time: float) -> Deployment:
    release = int(time // (service.release_days * _DAY_S)) % 1000 + environment.releases_ahead
    return Deployment(service, environment.name, service.version.format(release))


def _around(kind: Kind, name: str, span_id: bytes, start: float, steps: list[Step]) -> Step:
    """The parent of `steps`. It fails with its last child, as the exception goes up."""
    end = steps[-1].end + _nanoseconds(_PAUSE_S)
    return Step(kind, name, span_id, b"", _nanoseconds(start), end, None, steps[-1].failure)


def _after(step: Step) -> float:
    return step.end / 1e9 + _PAUSE_S


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
