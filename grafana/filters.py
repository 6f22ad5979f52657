"""The variables that every dashboard opens with, from general to specific, and links that set one of them."""

from grafana.model import Json, Variable
from grafana.query_files import load

FILTERS = (
    Variable("tenant", "Tenant", load("variable_tenant"), multi=False, follows_time_range=False),
    Variable("environment", "Environment", load("variable_environment")),
    Variable("service", "Service", load("variable_service")),
    Variable("provider", "Provider", load("variable_provider")),
    Variable("model", "Model", load("variable_model")),
)


def only(dashboard_uid: str, variable: str) -> Json:
    """A table link that opens the dashboard with `variable` set to the clicked cell and all else as it is."""
    kept = [f"${{{name}:queryparam}}" for name in ("datasource", *(each.name for each in FILTERS)) if name != variable]
    arguments = "&".join([*kept, f"var-{variable}=${{__value.raw:percentencode}}", "${__url_time_range}"])
    return {"title": "Show only ${__value.text}", "url": f"/d/{dashboard_uid}?{arguments}"}
