"""The Mistral SDK's own spans."""

import os

os.environ["MISTRAL_SDK_TELEMETRY"] = "global"

import mistral_scripts
from common import providers, run

if __name__ == "__main__":
    run(mistral_scripts.SCENARIOS, lambda name: providers(logs=False))
