"""Anthropic's SDK alone, with its own spans."""

import openllmetry_anthropic as scripts
from common import providers, run

if __name__ == "__main__":
    run(scripts.SCENARIOS, lambda name: providers(logs=False))
