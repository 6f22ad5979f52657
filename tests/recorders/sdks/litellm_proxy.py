"""LiteLLM's proxy with its OpenTelemetry callback, and with Arize's, Phoenix's and Langfuse's."""

import litellm_proxy_scripts as scripts
from common import run

if __name__ == "__main__":
    run(scripts.SCENARIOS, scripts.setup)
