"""Changes of subscriptions while others change them, or dispatchers deliver."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy.settings import load_settings
from deploy.webhooks import changes
from deploy.webhooks.dispatcher import file_of, store_of
from projections.delivery.files import load_subscriptions, save_subscriptions
from projections.delivery.subscriptions import Subscriptions, new_subscription
from schemas.times import format_instant
from tests.projections.delivery.processes import until

URL = "https://example.com/hook"


def test_no_change_is_lost_when_several_are_made_at_once(tmp_path: Path) -> None:
    """What was shown as the secret is the secret, and what was disabled stays so."""
    names, now = [f"s{number}" for number in range(12)], time.time_ns() // 1_000
    settings = load_settings(webhooks_file=tmp_path / "subscriptions.json")
    several = tuple(new_subscription(name, URL, now)[0] for name in names)
    save_subscriptions(file_of(settings), Subscriptions(subscriptions=several))
    with ThreadPoolExecutor(4) as threads:
        rotated = {name: threads.submit(changes.rotate, settings, name, "P1D") for name in names}
        stopped = [threads.submit(changes.disable, settings, name, "asked to") for name in names]
        for each in stopped:
            each.result()
        secrets = {name: each.result() for name, each in rotated.items()}
    found = {each.id: each for each in load_subscriptions(file_of(settings)).subscriptions}
    assert {name: found[name].signing(now)[0] for name in names} == secrets
    assert all(each.disabled is not None for each in found.values())


@pytest.mark.integration
def test_what_is_skipped_after_the_file_says_enabled_is_told(
    redis_url: str, topic_prefix: str, tmp_path: Path
) -> None:
    """As a dispatcher does that has not read it again yet."""
    path, now = tmp_path / "subscriptions.json", time.time_ns() // 1_000
    settings = load_settings(webhooks_file=path, redis_url=redis_url, key_prefix=topic_prefix)
    one = new_subscription("crm", URL, now)[0].stopped(now, "asked to")
    save_subscriptions(path, Subscriptions(subscriptions=(one,)))
    before, store = path.stat().st_ino, store_of(settings)

    def skip() -> None:
        until(lambda: path.stat().st_ino != before, "the file says that it is enabled", 0.001)
        time.sleep(0.5)
        store.skip({"crm": now + 7})

    with ThreadPoolExecutor(1) as threads:
        skipping = threads.submit(skip)
        changes.enable(settings, "crm")
        told = changes.skipped(settings, "crm")
        skipping.result()
    assert told == format_instant(now + 7)
    assert store.skipped() == {}
