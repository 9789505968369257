"""Changes of subscriptions while others change them, or dispatchers deliver."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deploy.settings import load_settings
from deploy.webhooks import changes
from deploy.webhooks.dispatcher import file_of
from projections.delivery.files import load_subscriptions, save_subscriptions
from projections.delivery.subscriptions import Subscriptions, new_subscription

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
