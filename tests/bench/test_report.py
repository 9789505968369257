import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

from schemas.times import format_instant
from tests.bench.environment import environment
from tests.bench.load import usage
from tests.bench.pace import scheduled
from tests.bench.processes import Meter, cpu_seconds, memory_bytes, tree
from tests.bench.report import JSON, MARKDOWN, PLOT, write
from tests.bench.session import Section
from tests.latency import event_id

_SPEED = {"events/s": 100_000, "CPU-s per million": 20.5}
_THROUGHPUT = Section("throughput", "Throughput", "A note.", [{"load": "plain", **_SPEED}])
_LATENCY = Section(
    "latency", "Latency", "", [{"events/s": 5_000, "p50": 10, "p99": 20, "p99.9": 30}]
)
_GROWTH = Section("growth", "Growth", "", [{"accounts": 10, "workers a stage": 1, **_SPEED}])
_OTHERS = Section(
    "alternatives",
    "Others",
    "",
    [{"contender": "Drawdown", **_SPEED}, {"contender": "absent", "exact": "left out: no Java"}],
)


def test_sections_are_written_one_by_one_into_one_report(tmp_path: Path) -> None:
    around = environment("embedded")
    write(tmp_path, [_THROUGHPUT, _LATENCY], around)
    again = Section("throughput", "Throughput", "", [{"load": "plain", **_SPEED, "events/s": 9}])
    files = write(tmp_path, [again, _GROWTH, _OTHERS], around)
    held = json.loads((tmp_path / JSON).read_text())
    assert list(held) == ["throughput", "latency", "growth", "alternatives"]
    assert held["throughput"]["rows"][0]["events/s"] == 9
    assert held["latency"]["environment"]["cores"] == str(len(os.sched_getaffinity(0)))
    text = (tmp_path / MARKDOWN).read_text()
    assert (
        "| load | events/s | CPU-s per million |\n| --- | --- | --- |\n| plain | 9 | 20.5 |" in text
    )
    assert "| absent |  |  | left out: no Java |" in text
    assert (tmp_path / PLOT in files) == (find_spec("matplotlib") is not None)
    assert all(file.stat().st_size for file in files)


def test_an_event_says_when_it_is_due_and_a_repeat_says_the_same() -> None:
    values = [value for _, value in usage(400, 10, 0)]
    sent = [scheduled(value, 5_000_000, 100) for value in values]
    assert f'"id":"{event_id(5_030_000, 3)}"'.encode() in sent[3]
    assert sent[3].replace(event_id(5_030_000, 3).encode(), b"1-3") == values[3]
    assert len(set(sent)) == len(set(values)) < len(values)


def test_a_meter_counts_a_process_and_its_children() -> None:
    burn = "import time\nwhile time.process_time() < 0.5: pass"
    script = (
        "import subprocess, sys, time\nsys.stdin.readline()\n"
        f"subprocess.run([sys.executable, '-c', {burn!r}])\ntime.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE)
    try:
        meter = Meter({"parent": parent.pid})
        meter.start()
        assert parent.stdin is not None
        parent.stdin.close()  # it begins: what was used before is not counted
        give_up = time.monotonic() + 60
        while meter.cpu()["parent"] < 0.3:
            assert time.monotonic() < give_up
            time.sleep(0.05)
        meter.sample()
        assert meter.megabytes()["parent"] > 0
        assert memory_bytes(parent.pid) > 0
        assert parent.pid in set(tree(os.getpid()))
    finally:
        parent.kill()
        parent.wait()
    assert cpu_seconds(parent.pid) == memory_bytes(parent.pid) == 0


def test_usage_is_dated_when_it_was_written() -> None:
    _, value = next(usage(1, 1, 1_000_000))
    assert format_instant(1_000_000).encode() in value
