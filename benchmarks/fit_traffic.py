"""Fit the constants of llmhub.traffic to real traces and print them as JSON.

    python benchmarks/fit_traffic.py --code AzureLLMInferenceTrace_code.csv \\
        --conversation AzureLLMInferenceTrace_conv.csv --long-context conversation_trace.jsonl \\
        > llmhub/traffic/fitted.json

The traces are not part of the project. docs/traffic.md says where they come from, what is fitted and how well.
"""

import argparse
import json
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from llmhub.traffic.arrivals import arrive
from llmhub.traffic.fitted import Arrivals
from llmhub.traffic.prefixes import BLOCK_TOKENS
from llmhub.traffic.sampling import LogNormal
from llmhub.traffic.trace_files import Request, read_trace

Floats = npt.NDArray[np.float64]

SILENCE_S = 5.0
WINDOWS_S = (1, 2, 5, 10, 30, 60)
SHAPES = np.geomspace(0.1, 100, 120)
MEMORIES_S = np.geomspace(0.5, 1000, 160)
COMPONENTS = 4
SIMULATED_S = 100_000.0


@dataclass(frozen=True)
class Trace:
    requests: Sequence[Request]

    @property
    def times(self) -> Floats:
        first = self.requests[0].time
        return np.array([request.time - first for request in self.requests])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--code", type=Path, required=True, help="Azure LLM inference trace 2023, code service")
    parser.add_argument("--conversation", type=Path, required=True, help="the same, conversation service")
    parser.add_argument("--long-context", type=Path, required=True, help="Mooncake conversation trace")
    paths = vars(parser.parse_args())
    traces = {kind: Trace(list(read_trace(path))) for kind, path in paths.items()}
    json.dump(fit(traces), sys.stdout, indent=1)
    print()


def fit(traces: dict[str, Trace]) -> dict[str, Any]:
    # Mooncake's timestamps lie on a 3 s grid, so arrivals come from the Azure traces only.
    return {
        "generated_by": "benchmarks/fit_traffic.py",
        "sources": {kind: describe(kind, trace) for kind, trace in traces.items()},
        "arrivals": {kind: fit_arrivals(traces[kind].times) for kind in ("code", "conversation")},
        "lengths": {kind: fit_both_lengths(trace) for kind, trace in traces.items()},
        "prefixes": fit_prefixes(traces["long_context"]),
    }


def describe(kind: str, trace: Trace) -> dict[str, Any]:
    azure = kind != "long_context"
    return {
        "trace": f"Azure LLM inference trace 2023, {kind}" if azure else "Mooncake conversation trace, half an hour",
        "url": "https://github.com/Azure/AzurePublicDataset" if azure else "https://github.com/kvcache-ai/Mooncake",
        "licence": "CC BY 4.0" if azure else "Apache-2.0",
        "requests": len(trace.requests),
        "seconds": round(float(trace.times[-1]), 1),
    }


# Arrivals: gate by silences, then the gamma process by its dispersion curve.


def fit_arrivals(times: Floats) -> dict[str, Any]:
    gaps = np.diff(times)
    silences = gaps[gaps > SILENCE_S]
    bursts = np.split(times, np.where(gaps > SILENCE_S)[0] + 1)
    lengths = np.array([burst[-1] - burst[0] for burst in bursts])
    gated = len(silences) >= 10
    shape, memory = fit_gamma_process(without_silences(bursts))
    process = Arrivals(
        shape, memory, log_normal(lengths[lengths > 0]) if gated else None, log_normal(silences) if gated else None
    )
    return {
        "shape": shape,
        "memory_s": memory,
        "open_s": rounded(process.open_for),
        "closed_s": rounded(process.closed_for),
        "goodness": compare_arrivals(times, process),
    }


def without_silences(bursts: Sequence[Floats]) -> Floats:
    parts, base = [], 0.0
    for burst in bursts:
        parts.append(burst - burst[0] + base)
        base += float(burst[-1] - burst[0]) + 0.1
    return np.concatenate(parts)


def fit_gamma_process(times: Floats) -> tuple[float, float]:
    """Shape and memory whose dispersion over several windows is nearest to the trace's, in logarithms."""
    rate = len(times) / times[-1]
    windows = np.array([window for window in WINDOWS_S if times[-1] / window >= 50], dtype=float)
    wanted = np.log([dispersion(times, window) for window in windows])
    shape, memory, window = np.meshgrid(SHAPES, MEMORIES_S, windows, indexing="ij")
    ratio = window / memory
    curve = 1 + rate / (shape * window) * 2 * memory**2 * (ratio - 1 + np.exp(-ratio))
    error = ((np.log(curve) - wanted) ** 2).sum(axis=2)
    best = np.unravel_index(int(error.argmin()), error.shape)
    return round(float(SHAPES[best[0]]), 3), round(float(MEMORIES_S[best[1]]), 2)


def dispersion(times: Floats, window: float) -> float:
    """Variance over mean of the counts in whole windows; 1 for a Poisson process."""
    counts = np.bincount((times // window).astype(int))[:-1]
    return float(counts.var() / counts.mean())


def compare_arrivals(times: Floats, process: Arrivals) -> dict[str, Any]:
    rate = (len(times) - 1) / float(times[-1])
    simulated = np.array(
        [arrival.time for arrival in arrive(process, lambda _: rate, 0, SIMULATED_S, random.Random(1))]
    )
    return {
        "requests_per_s": {"trace": round(rate, 3), "model": round(len(simulated) / SIMULATED_S, 3)},
        "ks_gaps": ks_two_samples(np.diff(times), np.diff(simulated)),
        "dispersion": both(dispersion, times, simulated, (1, 10, 60)),
        "empty_10s_windows": both(empty_share, times, simulated, (10,))["10"],
    }


def both(
    measure: Callable[[Floats, float], float], trace: Floats, model: Floats, windows: Sequence[int]
) -> dict[str, dict[str, float]]:
    return {
        str(window): {"trace": round(measure(trace, window), 2), "model": round(measure(model, window), 2)}
        for window in windows
    }


def empty_share(times: Floats, window: float) -> float:
    return float((np.bincount((times // window).astype(int)) == 0).mean())


def ks_two_samples(left: Floats, right: Floats) -> float:
    points = np.concatenate([left, right])
    left_cdf = np.searchsorted(np.sort(left), points, "right") / len(left)
    right_cdf = np.searchsorted(np.sort(right), points, "right") / len(right)
    return round(float(np.abs(left_cdf - right_cdf).max()), 3)


# Token counts: log-normal mixtures by expectation maximisation.


def fit_both_lengths(trace: Trace) -> dict[str, Any]:
    inputs = np.array([request.input_tokens for request in trace.requests], dtype=float)
    outputs = np.array([request.output_tokens for request in trace.requests], dtype=float)
    correlation = np.corrcoef(np.log(inputs), np.log(outputs))[0, 1]
    return {
        "input": fit_lengths(inputs),
        "output": fit_lengths(outputs),
        "log_correlation": round(float(correlation), 3),
    }


def fit_lengths(tokens: Floats) -> dict[str, Any]:
    weights, means, deviations = fit_mixture(np.log(tokens), COMPONENTS)
    components = [
        {"weight": round(float(w), 4), "mu": round(float(m), 4), "sigma": round(float(d), 4)}
        for w, m, d in sorted(zip(weights, means, deviations, strict=True), key=lambda part: -part[0])
    ]
    smallest, largest = int(tokens.min()), int(tokens.max())
    return {
        "components": components,
        "smallest": smallest,
        "largest": largest,
        "goodness": compare_lengths(tokens, components, smallest, largest),
    }


def fit_mixture(values: Floats, count: int) -> tuple[Floats, Floats, Floats]:
    """Weights, means and deviations of a one-dimensional Gaussian mixture; starts from quantiles."""
    means = np.quantile(values, (np.arange(count) + 0.5) / count)
    deviations = np.full(count, values.std() / count)
    weights = np.full(count, 1 / count)
    for _ in range(500):
        density = weights * np.exp(-0.5 * ((values[:, None] - means) / deviations) ** 2) / deviations
        member = density / np.maximum(density.sum(axis=1, keepdims=True), 1e-300)
        mass = np.maximum(member.sum(axis=0), 1e-9)
        weights = mass / mass.sum()
        means = (member * values[:, None]).sum(axis=0) / mass
        deviations = np.sqrt((member * (values[:, None] - means) ** 2).sum(axis=0) / mass)
        # Without a floor a component collapses onto one frequent prompt length.
        deviations = np.maximum(deviations, 0.02)
    return weights, means, deviations


def compare_lengths(
    tokens: Floats, components: Sequence[dict[str, float]], smallest: int, largest: int
) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    weights = np.array([part["weight"] for part in components])
    chosen = rng.choice(len(components), size=200_000, p=weights / weights.sum())
    mu, sigma = (np.array([part[key] for part in components])[chosen] for key in ("mu", "sigma"))
    drawn = np.clip(np.round(rng.lognormal(mu, sigma)), smallest, largest)
    return {
        "ks": ks_two_samples(tokens, drawn),
        "mean": {"trace": round(float(tokens.mean()), 1), "model": round(float(drawn.mean()), 1)},
        "p50": {"trace": float(np.median(tokens)), "model": float(np.median(drawn))},
        "p95": {"trace": float(np.quantile(tokens, 0.95)), "model": float(np.quantile(drawn, 0.95))},
    }


def log_normal(values: Floats) -> LogNormal:
    logs = np.log(values)
    return LogNormal(float(logs.mean()), float(logs.std()))


def rounded(period: LogNormal | None) -> dict[str, float] | None:
    return {"mu": round(period.mu, 4), "sigma": round(period.sigma, 4)} if period else None


# Prefixes: the first block is the system prompt that every request shares.


def fit_prefixes(trace: Trace) -> dict[str, Any]:
    shares = np.array([request.shared_tokens / request.input_tokens for request in trace.requests])
    continues = np.array([request.shared_tokens > BLOCK_TOKENS for request in trace.requests])
    inputs = np.array([request.input_tokens for request in trace.requests])
    deciles = np.quantile(shares[continues], np.linspace(0, 1, 11))
    drawn = np.interp(np.random.default_rng(1).random(200_000) * 10, np.arange(11), deciles)
    return {
        "continues": round(float(continues.mean()), 4),
        "shared_share_deciles": [round(float(value), 4) for value in deciles],
        "goodness": {
            "ks": ks_two_samples(shares[continues], drawn),
            "shared_share_mean": {
                "trace": round(float(shares[continues].mean()), 4),
                "model": round(float(drawn.mean()), 4),
            },
            "shared_token_share": round(float((shares * inputs).sum() / inputs.sum()), 4),
            "log_input_share_correlation": round(
                float(np.corrcoef(np.log(inputs[continues]), shares[continues])[0, 1]), 3
            ),
        },
    }


if __name__ == "__main__":
    main()
