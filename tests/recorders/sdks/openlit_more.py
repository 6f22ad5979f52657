"""OpenLIT on the Groq, Mistral, Cohere and Ollama SDKs."""

import cohere_scripts
import groq_scripts
import mistral_scripts
import ollama_scripts
from common import run
from openlit_sdks import setup

SDKS = {"groq": groq_scripts, "mistral": mistral_scripts, "cohere": cohere_scripts, "ollama": ollama_scripts}
NOT_INSTRUMENTED = {"cohere_chat_first_version", "cohere_rerank", "cohere_error_rerank_429", "ollama_embeddings"}
SCENARIOS = {
    f"error_{sdk}_{name[6:]}" if name.startswith("error") else f"{sdk}_{name}": scenario
    for sdk, scripts in SDKS.items()
    for name, scenario in scripts.SCENARIOS.items()
    if f"{sdk}_{name}" not in NOT_INSTRUMENTED
}

if __name__ == "__main__":
    run(SCENARIOS, setup)
