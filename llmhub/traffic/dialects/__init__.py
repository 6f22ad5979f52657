"""How an instrumentation library writes a step down. One module a dialect, as the recorded exports show it."""

from llmhub.traffic.dialects.dialect import Dialect, Encoded
from llmhub.traffic.dialects.openinference import OpenInference
from llmhub.traffic.dialects.openllmetry import OpenLLMetry
from llmhub.traffic.dialects.otel import OTel

DIALECTS: dict[str, type[Dialect]] = {"otel": OTel, "openllmetry": OpenLLMetry, "openinference": OpenInference}

__all__ = ["DIALECTS", "Dialect", "Encoded"]
