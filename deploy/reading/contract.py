"""What `drawdown contract show` prints."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.console import Console
from rich.table import Table

_ABSENT: Final = "—"


def show(entry: dict[str, Any], console: Console) -> None:
    """Print the lineage, revision by revision, then the terms in force."""

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    say(f"contract {entry['contract']} of {entry['account']}: revision {entry['revision']}")
    if entry["terminated"] is not None:
        say("terminated {at}, policy {policy}, by command {command}".format(**entry["terminated"]))
    elif entry["ends_at"] is not None:
        say(f"ends {entry['ends_at']}")
    for name in ("renews", "renewed_by"):
        if entry[name]:
            say(f"{name.replace('_', ' ')} {', '.join(entry[name])}")
    table = Table("revision", "in force from", "applied", "replaced", "what changed", "why", "by")
    for revision in entry["revisions"]:
        table.add_row(*_cells(revision))
    console.print(table)
    say("terms in force:")
    terms = {name: value for name, value in entry["terms"].items() if value not in (None, [], {})}
    say(json.dumps(terms, indent=2, sort_keys=True, ensure_ascii=False))
    place = ":".join(map(str, entry["position"]))
    say(f"journal time {entry['journal_time']}, partition {entry['partition']}, position {place}")


def _cells(revision: Mapping[str, Any]) -> Iterator[str]:
    yield str(revision["revision"])
    yield revision["effective_at"]
    yield revision["at"]
    yield str(revision["replaced"] or "")
    yield "\n".join(
        f"{change['path']}: {_text(change['before'])} → {_text(change['after'])}"
        for change in revision["changes"]
    )
    yield revision["reason"] or ""
    yield revision["by"] or ""


def _text(value: Any) -> str:  # noqa: ANN401 - any JSON value
    return _ABSENT if value is None else json.dumps(value, ensure_ascii=False)
