"""Every number at which a panel changes colour, with its reason."""

from grafana.panels import Threshold

# A hub under any traffic hears of a call more often; past five minutes the pipeline is suspect.
SILENCE_SECONDS = Threshold(300, "orange")

# Below it, providers' own hiccups and the callers' retries account for most errors.
ERROR_RATE = Threshold(0.10, "red")

# People stop waiting for the first word of a streamed answer at about three seconds.
FIRST_TOKEN_SECONDS = Threshold(3, "red")

# One call without a price makes every cost figure too low.
UNPRICED_CALLS = Threshold(1, "orange")
