"""Each kind of server starts, serves, and leaves nothing behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, Message, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from deploy.servers.apache import ApacheKafka, kafka_folder, kafka_version
from deploy.servers.embedded import Tansu, embedded_valkey
from deploy.servers.find import Kind, addressed_servers, open_servers
from deploy.servers.process import LOOPBACK, ServerError, ServerProcess, answers, free_port
from deploy.servers.redis import RedisServer, installed_redis

TOPIC = "servers"
LONG_AGO = 1_000_000_000_000  # milliseconds: 2001
KINDS = [
    pytest.param("embedded", id="embedded"),
    pytest.param("apache", id="apache", marks=pytest.mark.apache),
]


def append(kafka: str, value: bytes) -> None:
    """Create the topic if need be, and write one record with all acknowledgements."""
    settings: dict[str, str | int | float | bool] = {"bootstrap.servers": kafka, "log_level": 0}
    admin = AdminClient(settings)
    if TOPIC not in admin.list_topics(timeout=60).topics:
        admin.create_topics([NewTopic(TOPIC, 1, 1)])[TOPIC].result(60)
    producer = Producer({**settings, "acks": "all"})
    producer.produce(TOPIC, value, timestamp=LONG_AGO)
    assert producer.flush(60) == 0


def read_one(kafka: str) -> Message:
    """The first record of the topic, through a consumer group."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": "servers",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "session.timeout.ms": 6000,
            "log_level": 0,
        }
    )
    consumer.subscribe([TOPIC])
    message = consumer.poll(120)
    consumer.close()
    assert message is not None
    assert message.error() is None
    return message


def gone(pid: int) -> bool:
    """Has the process ended? One that waits to be reaped has."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def wait_until_gone(pid: int, seconds: float = 60.0) -> bool:
    """Does the process end in time?"""
    deadline = time.monotonic() + seconds
    while not gone(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return gone(pid)


@pytest.mark.integration
@pytest.mark.parametrize("kind", KINDS)
def test_kafka_takes_and_gives_a_record_and_redis_answers(kind: Kind) -> None:
    """Both speak their protocols, and no process is left when the context ends."""
    with open_servers(kind) as servers:
        append(servers.kafka, b"usage")
        assert read_one(servers.kafka).value() == b"usage"
        with redis.Redis.from_url(servers.redis_url) as client:
            assert client.ping()
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert servers.broker is not None
        assert servers.store is not None
        pids = [servers.broker.process.pid, servers.store.process.pid]
    assert all(pid is not None and gone(pid) for pid in pids)


@pytest.mark.integration
@pytest.mark.apache
def test_a_killed_apache_kafka_has_its_records_when_started_again(tmp_path: Path) -> None:
    """The same folder and port: clients need no new address."""
    with ApacheKafka(tmp_path / "kafka", log=tmp_path / "kafka.log") as broker:
        append(broker.address, b"kept")
        address = broker.address
        broker.kill()
        assert not answers(broker.port)
        broker.start()
        assert address == broker.address
        assert read_one(broker.address).value() == b"kept"


@pytest.mark.integration
@pytest.mark.apache
def test_apache_kafka_stamps_records_itself_and_creates_no_topic_unasked(tmp_path: Path) -> None:
    """received_at is the broker's time; a mistyped topic is an error."""
    with ApacheKafka(tmp_path / "kafka", log=tmp_path / "kafka.log") as broker:
        before = time.time_ns() // 1_000_000
        append(broker.address, b"one")
        after = time.time_ns() // 1_000_000
        kind, milliseconds = read_one(broker.address).timestamp()
        assert kind == TIMESTAMP_LOG_APPEND_TIME
        assert before <= milliseconds <= after
        admin = AdminClient({"bootstrap.servers": broker.address, "log_level": 0})
        assert admin.list_topics("mistyped", timeout=60).topics["mistyped"].error is not None


@pytest.mark.integration
@pytest.mark.apache
def test_redis_server_keeps_what_it_flushed(tmp_path: Path) -> None:
    """A persistent redis-server that is killed comes back with its rows."""
    keeps_rows(installed_redis(tmp_path / "redis", log=tmp_path / "redis.log", persistent=True))


@pytest.mark.integration
def test_valkey_keeps_what_it_flushed(tmp_path: Path) -> None:
    """A persistent Valkey that is killed comes back with its rows."""
    keeps_rows(embedded_valkey(tmp_path / "valkey", log=tmp_path / "valkey.log", persistent=True))


def keeps_rows(store: RedisServer) -> None:
    """Write, wait out the flush of each second, kill, start again, read."""
    with store, redis.Redis.from_url(store.address) as client:
        client.set("row", "1")
        time.sleep(1.5)
        store.kill()
        client.connection_pool.disconnect()
        store.start()
        assert client.get("row") == b"1"


@pytest.mark.integration
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's promise is Linux's")
def test_servers_end_with_a_parent_that_is_killed() -> None:
    """A parent that dies by SIGKILL cannot stop them; they end all the same."""
    program = (
        "import time\n"
        "from deploy.servers.find import open_servers\n"
        "with open_servers('embedded') as s:\n"
        "    print(s.broker.process.pid, s.store.process.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 2
        parent.kill()
    assert all(wait_until_gone(pid) for pid in pids)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's namespace is Linux's")
def test_a_port_that_was_drawn_is_drawn_by_no_other_process() -> None:
    """Though nobody listens on it yet."""
    port = free_port()
    program = (
        "import itertools\n"
        "from deploy.servers import process\n"
        f"process._TURNS = itertools.count({port} - process._FIRST_PORT)\n"
        "print(process.free_port())\n"
    )
    drawn = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert int(drawn.stdout) != port


@pytest.mark.integration
def test_a_ctrl_c_in_the_terminal_does_not_reach_the_servers(tmp_path: Path) -> None:
    """They have a session of their own: workers drain before the servers are stopped."""
    with Tansu(log=tmp_path / "tansu.log") as broker:
        assert broker.process.pid is not None
        assert os.getsid(broker.process.pid) == broker.process.pid


def sleeper(tmp_path: Path, program: str, *, ready: bool = True) -> ServerProcess:
    """A server that is a few lines of Python."""
    command = [sys.executable, "-c", program]
    process = ServerProcess("sleeper", command, tmp_path / "log", lambda: ready)
    process.ready_seconds = 0.5
    process.stop_seconds = 0.5
    return process


def test_a_server_that_ends_at_once_says_why(tmp_path: Path) -> None:
    """The end of its log is in the error."""
    process = sleeper(tmp_path, "print('no licence'); raise SystemExit(3)", ready=False)
    process.ready_seconds = 60.0
    with pytest.raises(ServerError, match=r"(?s)ended with status 3.*no licence"):
        process.start()


def test_a_server_that_never_answers_is_not_left_running(tmp_path: Path) -> None:
    """It is killed, and the error says how long it was given."""
    process = sleeper(tmp_path, "import time; time.sleep(60)", ready=False)
    with pytest.raises(ServerError, match="did not answer within"):
        process.start()
    assert process.pid is None


def test_a_server_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """`stop` returns only when it is gone."""
    program = (
        "import pathlib, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"pathlib.Path({str(tmp_path / 'deaf')!r}).touch()\n"
        "time.sleep(60)\n"
    )
    process = sleeper(tmp_path, program)
    process.ready = (tmp_path / "deaf").exists
    process.ready_seconds = 60.0
    process.start()
    pid = process.pid
    assert pid is not None
    process.stop()
    assert gone(pid)


def test_a_free_port_can_be_listened_on() -> None:
    """Nobody has it."""
    with socket.create_server((LOOPBACK, free_port())):
        pass


def test_a_port_is_not_given_to_two() -> None:
    """A broker and its controller are told their ports before either listens."""
    given = [free_port() for _ in range(1_000)]
    assert len({*given}) == len(given)


def test_addresses_in_the_environment_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both, or neither: half an environment is not used."""
    monkeypatch.delenv("DRAWDOWN_REDIS_URL", raising=False)
    monkeypatch.setenv("DRAWDOWN_KAFKA", "kafka:9092")
    assert addressed_servers() is None
    monkeypatch.setenv("DRAWDOWN_REDIS_URL", "redis://redis:6379/0")
    found = addressed_servers()
    assert found is not None
    assert (found.kafka, found.redis_url) == ("kafka:9092", "redis://redis:6379/0")


def test_kafka_is_cached_by_its_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another version is another folder."""
    monkeypatch.setenv("DRAWDOWN_CACHE", str(tmp_path))
    assert kafka_folder() == tmp_path / f"kafka-{kafka_version()}"


def test_signals_reach_the_server_itself(tmp_path: Path) -> None:
    """The leash becomes the server: its process id is the server's."""
    process = sleeper(tmp_path, "import time; time.sleep(60)")
    process.start()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    assert wait_until_gone(process.pid)
    process.stop()
