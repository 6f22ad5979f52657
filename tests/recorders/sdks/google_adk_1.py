"""Google's Agent Development Kit 1."""

from common import providers, run
from google_adk_agent import SCENARIOS

if __name__ == "__main__":
    run(SCENARIOS, lambda name: providers())
