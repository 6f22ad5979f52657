"""Strands agents of the first releases, which name spans otherwise."""

from common import providers, run
from strands_agents import SCENARIOS

if __name__ == "__main__":
    run(SCENARIOS, lambda name: providers(logs=False))
