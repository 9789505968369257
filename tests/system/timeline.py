"""What a partition's logs say: the journal as a scenario, and the result as `simulate` tells it.

The journal is the one order of what happened, so a scenario with its entries, each at the time it
was received, must come to what the workers made of it: accounts, lines, alerts, what was rejected
and what is unrated, to the byte.
"""

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec
import polars as pl

from deploy.reading.evidence import Evidence, Gatherer
from deploy.reading.held import held_accounts
from deploy.simulate.contents import KINDS
from deploy.simulate.report import report, to_json
from deploy.simulate.run import Outcome, run
from deploy.simulate.scenario import parse_scenario
from projections.balances.alerts import Alert, Cause
from projections.fold.log import Read
from schemas.envelope import Usage, decode_event
from schemas.frames import JournalKind, RatedKind, Source
from schemas.numbers import Credits
from schemas.reasons import Reason
from schemas.times import format_instant, parse_instant
from schemas.topics import RATED
from tests.system.pipeline import Pipeline

_SOURCES: Final = {
    JournalKind.USAGE: Source.USAGE,
    JournalKind.TICK: Source.USAGE,
    JournalKind.CREDITS: Source.CREDITS,
    JournalKind.CATALOG: Source.CATALOG,
}
_NAMES: Final = {kind: name for name, kind in KINDS.items()}
_PLACE: Final = ("journal_offset", "row", "ordinal")
_AMOUNTS: Final = ("available", "issued", "amount")
_LOOKED_UP: Final = ("kind", "id", "event", "time", "lines")
_POLL_SECONDS: Final = 0.1
Row = Mapping[str, Any]


class Refused(NamedTuple):
    """A record that admission refused, as the entry of a scenario."""

    received_at: int
    name: str
    content: str
    reason: Reason


@dataclass
class Timeline:
    """A scenario in the making: its entries as texts, and where each stood in the logs."""

    entries: list[str] = field(default_factory=list)
    places: dict[tuple[int, int], int] = field(default_factory=dict)
    contents: dict[tuple[int, bytes], list[int]] = field(default_factory=dict)
    refused: dict[int, Reason] = field(default_factory=dict)
    clock: int = 0

    @property
    def text(self) -> str:
        """The file."""
        return "\n".join(["timeline:", *(f"  - {entry}" for entry in self.entries)])

    def add(self, received_at: int, name: str, content: str) -> int:
        """Append what was received; its time is J. Gives its index."""
        self.clock = max(self.clock, received_at)
        self.entries.append(f'{{"at": "{format_instant(self.clock)}", "{name}": {content}}}')
        return len(self.entries) - 1

    def turn_away(
        self,
        records: Mapping[tuple[int, int], "Refused"],
        source: Source,
        reached: dict[Source, int],
    ) -> None:
        """Append the records of a source that admission refused from where it was reached."""
        while (record := records.get((source, reached[source]))) is not None:
            index = self.add(record.received_at, record.name, record.content)
            self.refused[index] = record.reason
            reached[source] += 1


def timeline_of(evidence: Evidence) -> Timeline:
    """The journal's rows in their order, each with the refused records that came behind it."""
    made = Timeline()
    records, reached = _refused_records(evidence), dict.fromkeys(Source, 0)
    for row in evidence.journal.rows.iter_rows(named=True):
        source = _SOURCES[row["kind"]]
        made.turn_away(records, source, reached)
        place = row["journal_offset"], row["row"]
        made.places[place] = made.add(row["received_at"], *_journalled(row))
        if row["kind"] in {JournalKind.CREDITS, JournalKind.CATALOG}:
            made.contents.setdefault((place[0], row["data"]), []).append(made.places[place])
        reached[source] = row["offset"] + 1
        made.turn_away(records, source, reached)
    assert len(made.refused) == len(records), "a refused record has no place in the journal"
    return made


def outcome_of(evidence: Evidence, made: Timeline, rejected: Iterable[Read]) -> Outcome:
    """What the workers made of it; `rejected` are the records of that topic."""
    rated, ledger = evidence.rated.rows, evidence.ledger.rows
    reasons = dict(made.refused)
    for row in rated.filter(pl.col("kind") == int(RatedKind.REFUSED)).iter_rows(named=True):
        reasons[made.places[row["journal_offset"], row["row"]]] = Reason(row["reason"])
    for offset, value, reason in _refused_by_balances(evidence.partition, rejected):
        free = [index for index in made.contents[offset, value] if index not in reasons]
        reasons[free[0]] = reason
    alerts = {alert["id"]: alert for alert in map(msgspec.json.decode, evidence.alerts)}
    held = held_accounts(evidence.balances.rows)
    return Outcome(
        rated=rated.sort(_PLACE),
        ledger=ledger.sort(_PLACE),
        alerts=[_alert(alert) for alert in alerts.values()],
        rejected=reasons,
        accounts={name: held[name].row for name in sorted(held)},
        retired={name: one.retired for name, one in held.items()},
    )


def settled(pipeline: Pipeline, partition: int, timeout: float) -> Evidence:
    """The partition's logs and rows, all as of one place, a tick: all that is due has happened."""
    around = pipeline.around
    window = pipeline.settings.duration("dedupe_window")
    gatherer = Gatherer(around.log, around.snapshots, around.claims, window)
    give_up = time.monotonic() + timeout
    while True:
        evidence = gatherer.gather(partition)
        offset, kind = evidence.journal.rows.select("journal_offset", "kind").row(-1)
        if kind == JournalKind.TICK and evidence.balances.position.reached[0] > offset:
            return evidence
        assert time.monotonic() < give_up, pipeline.said()
        pipeline.poll()
        time.sleep(_POLL_SECONDS)


def check_same(text: str, outcome: Outcome) -> None:
    """The outcome, as `drawdown simulate --json` prints it, is what that prints of the file.

    The first difference of a part is told, not all of it.
    """
    entries = parse_scenario(text)
    simulated, piped = to_json(report(entries, run(entries))), to_json(report(entries, outcome))
    if simulated == piped:
        return
    expected, actual = json.loads(simulated), json.loads(piped)
    for name, entry in expected["accounts"].items():
        assert actual["accounts"].get(name) == entry, name
    for part in ("accounts", "rejected", "unrated", "lines", "alerts"):
        for wanted, found in zip(expected[part], actual[part], strict=False):
            assert found == wanted, f"{part}: {found}, expected {wanted}"
        assert len(actual[part]) == len(expected[part]), part
    raise AssertionError("the bytes differ, and no part does")


def _journalled(row: Row) -> tuple[str, str]:
    """The name and the content of an entry, as a scenario has them."""
    kind = JournalKind(row["kind"])
    if kind is JournalKind.TICK:
        return "tick", "{}"
    if kind is JournalKind.CATALOG:
        return "catalog", row["data"].decode()
    if kind is JournalKind.CREDITS:
        return _credits(row["data"])
    return "usage", _usage(Usage(*(row[name] for name in Usage.__struct_fields__)))


def _credits(data: bytes) -> tuple[str, str]:
    fields = json.loads(data)
    name = _NAMES[fields["kind"]]
    if name not in {"void_usage", "replay"}:
        return name, data.decode()
    kept = {field: value for field, value in fields.items() if field not in _LOOKED_UP}
    return name, json.dumps({**kept, "id": fields["event"]})


def _usage(usage: Usage) -> str:
    attributes = {
        "id": usage.id,
        "source": usage.source,
        "type": usage.type,
        "subject": usage.account,
        "time": format_instant(usage.time),
    }
    if usage.contract is not None:
        attributes["contract"] = usage.contract
    text = json.dumps(attributes)
    return text if usage.data is None else f'{text[:-1]}, "data": {usage.data.decode()}}}'


def _refused_records(evidence: Evidence) -> dict[tuple[int, int], Refused]:
    """What admission refused, by source and offset."""
    reasons = {(of, offset): Reason(reason) for of, offset, reason in evidence.journal.refused}
    found: dict[tuple[int, int], Refused] = {}
    for source in Source:
        for offset, stamp, value, _, headers in evidence.raw[source].records():
            if (source, offset) not in reasons:
                continue
            if source is Source.USAGE:
                usage = decode_event(value, headers)
                assert isinstance(usage, Usage), usage
                name, content = "usage", _usage(usage)
            else:
                catalog = source is Source.CATALOG
                name, content = ("catalog", value.decode()) if catalog else _credits(value)
            reason = reasons[source, offset]
            found[source, offset] = Refused(stamp * 1_000, name, content, reason)
    return found


def _refused_by_balances(
    partition: int, rejected: Iterable[Read]
) -> Iterator[tuple[int, bytes, Reason]]:
    """(journal offset, document, reason), each once: what rating refused says so in its rows."""
    seen = set()
    for _, _, value, _, headers in rejected:
        said = {name.removeprefix("__connect.errors."): text or b"" for name, text in headers or ()}
        if said["topic"] != RATED.name.encode() or int(said["partition"]) != partition:
            continue
        one = int(said["offset"]), value, Reason(said["drawdown-reason"].decode())
        if one not in seen:
            seen.add(one)
            yield one


def _alert(event: Mapping[str, Any]) -> Alert:
    data = dict(event["data"])
    cause = Cause(parse_instant(data.pop("at")), "", data.pop("position"))
    fields: dict[str, Any] = {
        name: Credits.parse(value).units if name in _AMOUNTS else value
        for name, value in data.items()
    }
    return Alert(event["type"], event["subject"], cause, **fields)
