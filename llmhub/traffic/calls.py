"""One model call: its tokens, its time and how it ends, drawn from the fit and the world."""

import random
from dataclasses import dataclass

from llmhub.traffic.incidents import Effects
from llmhub.traffic.sampling import LogNormal
from llmhub.traffic.world import Model, PromptCache, Service, World

# The part of a prompt that every request of an application repeats: one block of the Mooncake trace.
SYSTEM_PROMPT_TOKENS = 512
TIMEOUT_S = 60.0

_NOISE = LogNormal(-0.03, 0.25)
_REJECTED_S = LogNormal(-1.4, 0.4)
_BROKEN_S = LogNormal(0.7, 0.6)
_EMBEDDED_TOKENS = LogNormal(3.4, 0.7)
_LARGEST_INPUT = 180_000


@dataclass(frozen=True, slots=True)
class Failure:
    """`kind` is an error class of the world, `type` and `message` what the provider's SDK raises."""

    kind: str
    type: str
    message: str


@dataclass(frozen=True, slots=True)
class Call:
    """Token counts are inclusive: cached and cache-write tokens are part of `input_tokens`, reasoning
    tokens part of `output_tokens`. `first_token` and `seconds` are seconds since the start; `first_token`
    is None unless streaming. A failed call has no tokens.
    """

    model: Model
    response_id: str
    seconds: float
    input_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    first_token: float | None = None
    finish_reason: str = ""
    failure: Failure | None = None
    streaming: bool = False


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is sent: `shared_tokens` of the prompt's beginning were sent before."""

    tokens: int
    shared_tokens: int
    asks_for_tool: bool = False


class Caller:
    """Draws the calls of one service. Not thread-safe: it owns its random generator's sequence."""

    def __init__(self, world: World, service: Service, rng: random.Random) -> None:
        self._fit = world.fit
        self._errors = world.errors
        self._service = service
        self._rng = rng
        self._inputs = world.fit.input_tokens[service.kind]
        self._outputs = world.fit.output_tokens[service.kind]

    def prompt(self, effects: Effects, *, continues: bool) -> Prompt:
        tokens = min(round(self._inputs.draw(self._rng) * effects.input), _LARGEST_INPUT)
        if continues:
            return Prompt(tokens, round(tokens * self._fit.prefixes.draw_share(self._rng)))
        return Prompt(tokens, min(SYSTEM_PROMPT_TOKENS, tokens))

    def chat(self, model: Model, prompt: Prompt, load: float, effects: Effects) -> Call:
        rng = self._rng
        streaming = rng.random() < self._service.streaming
        response_id = f"{model.provider.response_id}{rng.getrandbits(96):024x}"
        failure = self._failure(model, load, effects)
        if failure is not None:
            return Call(model, response_id, _failed_after(failure, rng), failure=failure, streaming=streaming)
        reasoning = round(model.reasoning.draw(rng)) if model.reasoning else 0
        visible = self._outputs.draw(rng)
        cached, written = split_prompt(model.cache, prompt)
        waited, seconds = timing(model, prompt.tokens - cached, visible, reasoning, rng, effects.latency)
        return Call(
            model,
            response_id,
            seconds,
            prompt.tokens,
            cached,
            written,
            visible + reasoning,
            reasoning,
            waited if streaming else None,
            model.provider.tool_finish if prompt.asks_for_tool else self._finish_reason(),
            streaming=streaming,
        )

    def embed(self, model: Model, load: float, effects: Effects) -> Call:
        failure = self._failure(model, load, effects)
        if failure is not None:
            return Call(model, "", _failed_after(failure, self._rng), failure=failure)
        tokens = round(_EMBEDDED_TOKENS.draw(self._rng)) + 1
        seconds = (model.first_token + tokens / model.prefill) * _NOISE.draw(self._rng) * effects.latency
        return Call(model, "", seconds, tokens)

    def _finish_reason(self) -> str:
        luck = self._rng.random()
        if luck < self._errors.content_filter:
            return "content_filter"
        return "length" if luck < self._errors.content_filter + self._errors.cut_by_length else "stop"

    def _failure(self, model: Model, load: float, effects: Effects) -> Failure | None:
        errors = self._errors
        chances = (
            ("rate_limit", errors.rate_limit + errors.rate_limit_by_load * load + effects.rate_limit),
            ("server_error", errors.server_error + effects.server_error),
            ("timeout", errors.timeout + effects.timeout),
            ("context_length", 0.0 if model.embedding else errors.context_length),
        )
        luck = self._rng.random()
        for kind, chance in chances:
            if luck < chance:
                error_type, message = model.provider.errors[kind]
                return Failure(kind, error_type, message.replace("{model}", model.name))
            luck -= chance
        return None


def split_prompt(cache: PromptCache | None, prompt: Prompt) -> tuple[int, int]:
    """Tokens read from the provider's prompt cache and tokens newly written to it."""
    if cache is None or prompt.tokens < cache.minimum:
        return 0, 0
    read = min(prompt.shared_tokens, prompt.tokens) // cache.step * cache.step
    return read, prompt.tokens - read if cache.writes else 0


def timing(
    model: Model, fresh_tokens: int, visible: int, reasoning: int, rng: random.Random, slowdown: float = 1.0
) -> tuple[float, float]:
    """Seconds to the first visible token and to the end. Reasoning comes before the first visible token."""
    waited = model.first_token + fresh_tokens / model.prefill + reasoning / model.speed
    first = waited * _NOISE.draw(rng) * slowdown
    return first, first + visible / model.speed * _NOISE.draw(rng) * slowdown


def _failed_after(failure: Failure, rng: random.Random) -> float:
    if failure.kind == "timeout":
        return TIMEOUT_S
    return (_BROKEN_S if failure.kind == "server_error" else _REJECTED_S).draw(rng)
