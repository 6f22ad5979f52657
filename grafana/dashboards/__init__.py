"""One module a dashboard; beside each its compiled JSON, named by its uid."""

from collections.abc import Sequence

from grafana.dashboards.gaps import GAPS
from grafana.dashboards.overview import OVERVIEW
from grafana.model import Dashboard

DASHBOARDS: Sequence[Dashboard] = (OVERVIEW, GAPS)
