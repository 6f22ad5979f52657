"""OpenLIT on the OpenAI and Anthropic SDKs."""

import openai_scripts
import openllmetry_anthropic
from common import URL, run


def setup(name):
    import openlit

    openlit.init(
        otlp_endpoint=f"{URL}/otlp",
        application_name="assistant",
        environment="test",
        disable_batch=True,
        disable_metrics=True,
    )


SCENARIOS = {
    **{
        f"openai_{name}" if not name.startswith("error") else name: scenario
        for name, scenario in openai_scripts.SCENARIOS.items()
    },
    **{
        f"anthropic_{name}" if not name.startswith("error") else f"error_anthropic_{name[6:]}": scenario
        for name, scenario in openllmetry_anthropic.SCENARIOS.items()
    },
}

if __name__ == "__main__":
    run(SCENARIOS, setup)
