"""`python -m grafana.compile` writes the compiled JSON that is checked in beside the dashboards."""

import json
from collections.abc import Iterator
from pathlib import Path

from grafana.dashboards import DASHBOARDS
from grafana.model import DATASOURCE_UID


def compiled(datasource_uid: str = DATASOURCE_UID) -> Iterator[tuple[str, str]]:
    """File name and text of every dashboard."""
    for dashboard in DASHBOARDS:
        content = dashboard.compile(datasource_uid)
        yield f"{dashboard.uid}.json", json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> None:
    folder = Path(__file__).with_name("dashboards")
    for name, text in compiled():
        (folder / name).write_text(text, encoding="utf-8")
        print(folder / name)


if __name__ == "__main__":
    main()
