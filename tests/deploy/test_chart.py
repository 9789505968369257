"""The chart: linted and rendered by helm, every object checked against Kubernetes' own schemas."""

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml

from deploy.acl.lists import Entry, kafka_entries, kafka_roles, redis_roles
from deploy.settings import HEALTH_PORTS, Settings
from tests.deploy.tools import ROOT, run, tool

CHART: Final = ROOT / "deploy" / "helm" / "drawdown"
CASES: Final = sorted(path.stem for path in (CHART / "ci").glob("*.yaml"))
OF_OTHERS: Final = {"ScaledObject", "TriggerAuthentication", "KafkaUser"}
OF_OTHERS_TOO: Final = {"ServiceMonitor", "PrometheusRule"}
KUBERNETES: Final = "1.31"


def template(values: str, *more: str) -> "subprocess.CompletedProcess[str]":
    """A release as helm renders it; built by Go alone, helm takes the cluster for an old one."""
    version = ("--kube-version", f"{KUBERNETES}.0")
    return run(tool("helm"), "template", "test", str(CHART), "--values", values, *version, *more)


@cache
def rendered(case: str, *more: str) -> list[dict[str, Any]]:
    """Every object of a release."""
    values = str(CHART / "ci" / f"{case}.yaml")
    done = template(values, *more)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def of_kind(case: str, *kinds: str) -> dict[str, dict[str, Any]]:
    """Objects by name."""
    found = (each for each in rendered(case) if each["kind"] in kinds)
    return {each["metadata"]["name"]: each for each in found}


def pods(case: str) -> dict[str, dict[str, Any]]:
    """The specification of each kind of pod, by name."""
    owners = of_kind(case, "StatefulSet", "Deployment", "Job")
    return {name: each["spec"]["template"]["spec"] for name, each in owners.items()}


@pytest.mark.parametrize("case", CASES)
def test_helm_finds_no_fault(case: str) -> None:
    values = str(CHART / "ci" / f"{case}.yaml")
    linted = run(tool("helm"), "lint", "--strict", str(CHART), "--values", values)
    assert linted.returncode == 0, linted.stdout + linted.stderr


@pytest.mark.parametrize("case", CASES)
def test_every_object_is_of_the_form(case: str) -> None:
    for each in rendered(case):
        if each["kind"] not in OF_OTHERS | OF_OTHERS_TOO:
            kubernetes_validate.validate(each, KUBERNETES, strict=True)


def test_an_object_that_is_not_of_the_form_is_found() -> None:
    """Else the test above could not fail."""
    wrong = json.loads(json.dumps(next(iter(of_kind("minimal", "StatefulSet").values()))))
    wrong["spec"]["template"]["spec"]["containers"][0]["livenessProb"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, KUBERNETES, strict=True)


def test_every_option_adds_its_objects() -> None:
    kinds = {each["kind"] for each in rendered("everything")}
    assert kinds >= OF_OTHERS | OF_OTHERS_TOO | {"NetworkPolicy", "PodDisruptionBudget", "Job"}
    assert not {each["kind"] for each in rendered("minimal")} & (OF_OTHERS | OF_OTHERS_TOO)


@pytest.mark.parametrize("case", CASES)
def test_a_pod_may_do_little(case: str) -> None:
    assert pods(case)
    for pod in pods(case).values():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in (*pod["containers"], *pod.get("initContainers", ())):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("case", CASES)
def test_a_process_is_probed_where_it_answers(case: str) -> None:
    for name, owner in of_kind(case, "StatefulSet", "Deployment").items():
        container = owner["spec"]["template"]["spec"]["containers"][0]
        component = name.removeprefix("test-")
        probes = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("liveness", "readiness")}
        assert probes["liveness"] == {"path": "/healthz", "port": "http"}
        assert probes["readiness"] == {"path": "/readyz", "port": "http"}
        port = container["ports"][0]["containerPort"]
        assert port == HEALTH_PORTS.get(component, port)
        assert of_kind(case, "Service")[name]["spec"]["ports"][0]["port"] == port


@pytest.mark.parametrize("case", CASES)
def test_every_setting_exists_and_no_secret_stands_in_it(case: str) -> None:
    known = {f"DRAWDOWN_{name.upper()}" for name in Settings.model_fields}
    known |= {"DRAWDOWN_API_HOST"}
    for pod in pods(case).values():
        given = {each["name"]: each for each in pod["containers"][0]["env"]}
        assert given.keys() <= known
        assert not {"DRAWDOWN_KAFKA_PASSWORD", "DRAWDOWN_REDIS_PASSWORD"} & given.keys()
    assert not of_kind(case, "Secret")


def test_a_large_number_is_written_as_it_was_given() -> None:
    """Of a values file helm makes floats, which it would write as 5.12e+08."""
    for pod in pods("everything").values():
        given = {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}
        assert given["DRAWDOWN_GATEWAY_BODY_BYTES"] == "512000000"
        assert given["DRAWDOWN_MAX_EVENT_AGE"] == "P3D"
    for owner in of_kind("everything", "StatefulSet", "Deployment").values():
        pod = owner["spec"]["template"]["spec"]
        assert pod["terminationGracePeriodSeconds"] == 1_000_000
        assert pod["containers"][0]["resources"]["limits"]["memory"] in ("1Gi", 2_000_000_000)
    admission = of_kind("everything", "ScaledObject")["test-admission"]["spec"]
    assert admission["triggers"][0]["metadata"]["lagThreshold"] == "5000000"


def secrets_of(pod: dict[str, Any]) -> dict[str, str]:
    """The Secrets that a pod mounts, by the volume's name."""
    volumes = (each for each in pod["volumes"] if "secret" in each)
    return {each["name"]: each["secret"]["secretName"] for each in volumes}


def test_every_component_is_a_user_of_its_role() -> None:
    """A password in a file and a name from the same Secret, one for each role and no other."""
    found: dict[str, set[str]] = {"kafka": set(), "redis": set()}
    for name, pod in pods("webhooks").items():
        component, secrets = name.removeprefix("test-"), secrets_of(pod)
        worker = component in {"admission", "rating", "balances"}
        wanted = {"kafka": f"drawdown-kafka-{component}"}
        if component not in {"gateway", "topics"}:
            wanted["redis"] = f"drawdown-redis-{'worker' if worker else component}"
        assert {each: secrets[each] for each in found if each in secrets} == wanted
        given = {each["name"]: each for each in pod["containers"][0]["env"]}
        for server, secret in wanted.items():
            username = given[f"DRAWDOWN_{server.upper()}_USERNAME"]
            assert username["valueFrom"]["secretKeyRef"] == {"name": secret, "key": "username"}
            found[server].add(secret.rpartition("-")[2])
    by_hand = {"reader", "operator"}  # whose commands no pod runs
    assert found == {
        "kafka": set(kafka_roles()) - by_hand,
        "redis": set(redis_roles()) - by_hand,
    }


def test_a_component_may_have_another_user_or_share_one() -> None:
    for component in ("admission", "rating", "balances", "topics"):
        secrets = secrets_of(pods("everything")[f"test-{component}"])
        assert secrets["kafka"] == f"kafka-{component}"
    shared = secrets_of(pods("everything")["test-exporter"])
    assert (shared["kafka"], shared["redis"]) == ("drawdown-kafka", "drawdown-redis")


def test_the_dispatcher_has_a_file_that_only_it_may_read() -> None:
    pod = pods("webhooks")["test-webhooks"]
    assert secrets_of(pod)["subscriptions-secret"] == "drawdown-subscriptions"
    (copies,) = pod["initContainers"]
    assert copies["command"][:3] == ["install", "-m", "0600"]
    given = {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}
    file = Path(given["DRAWDOWN_WEBHOOKS_FILE"])
    assert (file.name, copies["command"][-1]) == ("subscriptions.json", f"{file.parent}/")
    mounts = {each["name"]: each for each in pod["containers"][0]["volumeMounts"]}
    assert mounts["subscriptions"]["mountPath"] == str(file.parent)
    assert "subscriptions-secret" not in mounts


def test_a_stage_scales_by_lag_up_to_the_partitions() -> None:
    scaled = of_kind("everything", "ScaledObject")
    assert sorted(scaled) == ["test-admission", "test-rating"]
    spec = scaled["test-rating"]["spec"]
    assert spec["maxReplicaCount"] == 24
    trigger = spec["triggers"][0]["metadata"]
    assert trigger["topic"] == "eu.metering.journal.v1"
    assert trigger["consumerGroup"] == "drawdown-eu.rating"
    assert "replicas" not in of_kind("everything", "StatefulSet")["test-rating"]["spec"]
    assert of_kind("everything", "StatefulSet")["test-balances"]["spec"]["replicas"] == 2


@pytest.mark.parametrize("case", CASES)
def test_a_drain_takes_one_at_a_time(case: str) -> None:
    budgets = of_kind(case, "PodDisruptionBudget")
    assert {"test-admission", "test-rating", "test-balances", "test-gateway"} <= budgets.keys()
    assert {each["spec"]["maxUnavailable"] for each in budgets.values()} == {1}


def test_the_lists_of_what_is_allowed_are_those_that_are_tested() -> None:
    data = of_kind("everything", "ConfigMap")["test-acl"]["data"]
    for name in ("kafka.yaml", "redis.yaml"):
        assert yaml.safe_load(data[name]) == yaml.safe_load(
            (ROOT / "deploy" / "acl" / name).read_text()
        )
    users = of_kind("everything", "KafkaUser")
    assert sorted(users) == sorted(f"test-{role}" for role in kafka_roles())
    found = {
        Entry(name.removeprefix("test-"), acl["resource"]["type"], acl["resource"]["name"], each)
        for name, user in users.items()
        for acl in user["spec"]["authorization"]["acls"]
        for each in acl["operations"]
    }
    assert found == set(kafka_entries("eu.", "drawdown"))


def test_nobody_is_let_in_who_is_not_named() -> None:
    policies = of_kind("everything", "NetworkPolicy")
    gateway, rating = policies["test-gateway"]["spec"], policies["test-rating"]["spec"]
    assert len(gateway["ingress"][0]["from"]) == 2
    assert len(rating["ingress"][0]["from"]) == 1
    alone = rendered("everything", "--set-json", "networkPolicy.scrapers=[]")
    named = {each["metadata"]["name"]: each for each in alone if each["kind"] == "NetworkPolicy"}
    assert named["test-rating"]["spec"]["ingress"] == []


def ports_of(*more: str) -> dict[str, set[int]]:
    """Where each component of `everything` may connect to, beside names (53)."""
    policies = [each for each in rendered("everything", *more) if each["kind"] == "NetworkPolicy"]
    return {
        each["metadata"]["name"].removeprefix("test-"): {
            port["port"] for way in each["spec"]["egress"] for port in way["ports"]
        }
        - {53}
        for each in policies
    }


def test_a_component_reaches_kafka_and_redis_where_they_are() -> None:
    ports = ports_of()
    assert ports["rating"] == {9093, 6380}
    assert ports["gateway"] == {9093}
    assert ports["webhooks"] == {9093, 6380, 443}


@pytest.mark.parametrize(
    ("given", "kafka", "redis"),
    [
        ("kafka.address=a:9093\\,b:9094", {9093, 9094}, {6380}),
        ("kafka.address=a", {9092}, {6380}),
        ("redis.url=rediss://redis/0", {9093}, {6379}),
        ("redis.url=redis://[::1]:6381", {9093}, {6381}),
        ("networkPolicy.kafkaPort=19093", {19093}, {6380}),
        ("networkPolicy.redisPort=16380", {9093}, {16380}),
    ],
)
def test_ports_are_those_of_the_addresses_or_given(
    given: str, kafka: set[int], redis: set[int]
) -> None:
    ports = ports_of("--set", given)
    assert (ports["gateway"], ports["rating"]) == (kafka, kafka | redis)


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ("redis.url=redis://me:secret@redis:6379/0", "url"),
        ("kafka.adress=kafka:9093", "adress"),
        ("kafka.security=sasl_plaintext", "security"),
        ("settings.DRAWDOWN_REDIS_PASSWORD=secret", "DRAWDOWN_REDIS_PASSWORD"),
        ("partitions=0", "partitions"),
        *(
            (f"{name}.scaling.enabled=true", "scaling")  # which is by lag, and they have none
            for name in ("gateway", "api", "webhooks", "exporter")
        ),
        ("rating.scaling.minReplicas=2000", "minReplicas"),
        ("kafka.address=", "kafka.address must be given"),
    ],
)
def test_values_that_cannot_be_meant_are_refused(given: str, fault: str) -> None:
    values = str(CHART / "ci" / "minimal.yaml")
    done = template(values, "--set", given)
    assert done.returncode != 0
    assert fault in done.stderr


def test_files_are_links_to_those_that_are_tested() -> None:
    files = {
        "acl": ("kafka.yaml", "redis.yaml"),
        "prometheus": ("alerting.yaml", "recording.yaml"),
    }
    for folder, names in files.items():
        for name in names:
            assert Path(CHART / "files" / name).resolve() == ROOT / "deploy" / folder / name
