"""`python -m deploy.grafana.generate`: writes `dashboards/*.json`; with --check, 1 if they differ.

Made of `deploy.grafana.panel` and the three dashboards, laid out here. Nothing in the output
depends on when or where it is made.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from deploy.grafana.credits import CREDITS
from deploy.grafana.on_call import ON_CALL
from deploy.grafana.panel import Dashboard, Panel
from deploy.grafana.pipeline import PIPELINE

DASHBOARDS: Final = (PIPELINE, CREDITS, ON_CALL)
FOLDER: Final = Path(__file__).with_name("dashboards")
_COLUMNS: Final = 24
_HEIGHTS: Final = {"timeseries": 8, "heatmap": 8, "stat": 4}
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_TIME: Final = "?${__url_time_range}"


def dashboard_json(dashboard: Dashboard) -> dict[str, Any]:
    """Grafana's model of a dashboard."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["drawdown"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [_datasource()]},
        "links": [_link(other) for other in DASHBOARDS if other is not dashboard],
        "panels": list(_panels(dashboard)),
    }


def _datasource() -> dict[str, Any]:
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "refresh": 1,
    }


def _link(to: Dashboard) -> dict[str, Any]:
    return {
        "type": "link",
        "title": to.title,
        "tooltip": to.description,
        "url": f"/d/{to.uid}",
        "keepTime": True,
        "includeVars": True,
    }


def _panels(dashboard: Dashboard) -> Iterator[dict[str, Any]]:
    further = PIPELINE if dashboard is ON_CALL else ON_CALL
    number, top = 0, 0
    for row in dashboard.rows:
        number += 1
        place = {"x": 0, "y": top, "w": _COLUMNS, "h": 1}
        yield {"id": number, "type": "row", "title": row.title, "gridPos": place, "panels": []}
        top, left, height = top + 1, 0, 0
        for panel in row.panels:
            if left + panel.width > _COLUMNS:
                top, left = top + height, 0
            number, height = number + 1, _HEIGHTS[panel.kind]
            place = {"x": left, "y": top, "w": panel.width, "h": height}
            yield _panel(panel, number, place, further)
            left += panel.width
        top += height


def _panel(panel: Panel, number: int, place: dict[str, int], further: Dashboard) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": _field(panel, further), "overrides": []},
        "options": _options(panel),
        "targets": [
            {
                "refId": chr(ord("A") + at),
                "datasource": _SOURCE,
                "expr": query.expr,
                "legendFormat": query.legend,
                "exemplar": panel.exemplars,
                **({"format": "heatmap"} if panel.kind == "heatmap" else {}),
            }
            for at, query in enumerate(panel.queries)
        ],
    }


def _field(panel: Panel, further: Dashboard) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    limits = (("yellow", panel.warn), ("red", panel.alarm))
    steps += [{"color": color, "value": at} for color, at in limits if at is not None]
    field: dict[str, Any] = {
        "unit": panel.unit,
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    if panel.alarm is not None:
        field["links"] = [{"title": further.title, "url": f"/d/{further.uid}{_TIME}"}]
    if panel.kind == "timeseries":
        shown = "off" if panel.alarm is None else "dashed"
        field["min"] = 0
        field["custom"] = {"fillOpacity": 10, "thresholdsStyle": {"mode": shown}}
    return field


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "stat":
        return {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value"}
    if panel.kind == "heatmap":
        return {"calculate": False, "yAxis": {"unit": panel.unit}}
    return {
        "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def files() -> dict[Path, str]:
    """Each dashboard's file and what it holds."""
    return {
        FOLDER / f"{each.name}.json": json.dumps(dashboard_json(each), indent=1) + "\n"
        for each in DASHBOARDS
    }


def main() -> int:
    """Write the files, or compare them."""
    check = "--check" in sys.argv[1:]
    stale = [
        path
        for path, text in files().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        if not check:
            path.write_text(files()[path], encoding="utf-8")
        sys.stdout.write(f"{'stale' if check else 'wrote'}: {path.name}\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
