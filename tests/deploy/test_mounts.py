"""A file that a setting names lies where the process has it: of compose and of the chart."""

import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from projections.delivery.files import load_subscriptions
from projections.delivery.subscriptions import Subscriptions
from schemas.errors import ConfigurationError
from tests.deploy.image import DOCKERFILE
from tests.deploy.test_chart import CASES, pods
from tests.deploy.test_compose import OURS, SERVICES

_FILE: Final = "DRAWDOWN_WEBHOOKS_FILE"


def files_of(environment: dict[str, str | None]) -> list[Path]:
    """The settings that are paths."""
    return [Path(each) for each in environment.values() if each is not None and each[:1] == "/"]


@pytest.mark.parametrize("name", OURS)
def test_compose_mounts_each_file(name: str) -> None:
    service = SERVICES[name]
    mounted = {Path(each.split(":")[1]) for each in service.get("volumes", ())}
    for path in files_of(service.get("environment", {})):
        assert path.parent in mounted, (name, path)


def test_a_fresh_volume_belongs_to_the_user_of_the_image() -> None:
    """It gets the owner of the folder that it is mounted on: root, where the image has none."""
    made = re.search(
        r"for each in ([\w ]+); do \\\n +install -d -o 10001 .+ \"/secrets/\$each\"", DOCKERFILE
    )
    assert made is not None
    written = {
        volume.split(":")[1]
        for name in OURS
        for volume in SERVICES[name].get("volumes", ())
        if not volume.endswith(":ro")
    }
    assert written == {f"/secrets/{each}" for each in made[1].split()}


@pytest.mark.parametrize("case", CASES)
def test_the_chart_mounts_each_file(case: str) -> None:
    """From a Secret that has it, or where a container before it puts it."""
    for name, pod in pods(case).items():
        (container,) = pod["containers"]
        volumes = {each["name"]: each for each in pod["volumes"]}
        mounts = {each["mountPath"]: volumes[each["name"]] for each in container["volumeMounts"]}
        given = {each["name"]: each.get("value") for each in container["env"]}
        for path in files_of(given):
            volume = mounts.get(str(path.parent))
            assert volume is not None, (name, path)
            assert path.name in held_by(volume, pod), (name, path)


def held_by(volume: dict[str, Any], pod: dict[str, Any]) -> set[str]:
    """The names of the files of a volume."""
    if "secret" in volume:
        return {item["path"] for item in volume["secret"]["items"]}
    copies = (
        each["command"]
        for each in pod.get("initContainers", ())
        if any(mount["name"] == volume["name"] for mount in each["volumeMounts"])
    )
    return {Path(command[-2]).name for command in copies}


@pytest.mark.parametrize("case", CASES)
def test_a_dispatcher_has_a_file_or_is_not_there(case: str) -> None:
    """Without one it ends at once, again and again."""
    found = {name: pod for name, pod in pods(case).items() if name.endswith("-webhooks")}
    for pod in found.values():
        assert _FILE in {each["name"] for each in pod["containers"][0]["env"]}
    assert bool(found) is (case in {"everything", "webhooks"})  # it is not taken for granted


def test_the_copy_of_a_secret_is_for_its_owner_only(tmp_path: Path) -> None:
    """The container's command itself: of a Secret's file, which its group may always read."""
    (copies,) = pods("webhooks")["test-webhooks"]["initContainers"]
    secret, kept = tmp_path / "secret", tmp_path / "kept"
    for folder in (secret, kept):
        folder.mkdir()
    given = secret / "subscriptions.json"
    given.write_text('{"subscriptions": []}')
    given.chmod(0o440)
    with pytest.raises(ConfigurationError, match="others may read it"):
        load_subscriptions(given)
    places = {each["mountPath"]: each.get("readOnly", False) for each in copies["volumeMounts"]}
    here = {path: str(secret if only_read else kept) for path, only_read in places.items()}
    longest = "|".join(sorted(map(re.escape, here), key=len, reverse=True))
    mapped = [
        re.sub(rf"^({longest})/", lambda found: f"{here[found[1]]}/", each)
        for each in copies["command"]
    ]
    for _ in range(2):  # a pod may be started again over what is there
        subprocess.run(mapped, check=True)
        assert load_subscriptions(kept / "subscriptions.json") == Subscriptions()
