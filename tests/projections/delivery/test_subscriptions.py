import json
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from pydantic import ValidationError
from standardwebhooks import Webhook, WebhookVerificationError

from projections.balances.alerts import DEPLETED, LOW
from projections.delivery.deliveries import DeadLetter, Delivery, read_letter
from projections.delivery.files import load_subscriptions, save_subscriptions
from projections.delivery.signing import headers
from projections.delivery.sorting import Logged, sort
from projections.delivery.subscriptions import (
    MOST_ALERT_BYTES,
    MOST_SECRETS,
    MOST_SUBSCRIPTIONS,
    Subscription,
    Subscriptions,
    head_of,
    new_secret,
    new_subscription,
)
from schemas.errors import ConfigurationError
from schemas.times import SECOND
from tests.projections.delivery.processes import alert

NOW = time.time_ns() // 1_000
URL = "https://example.com/hook"


def subscription(
    name: str = "crm",
    types: Iterable[str] = (),
    accounts: Iterable[str] = (),
    contracts: Iterable[str] = (),
) -> Subscription:
    """One that was made now."""
    return new_subscription(name, URL, NOW, types, accounts, contracts)[0]


def wants(one: Subscription, body: bytes, logged: int = NOW) -> bool:
    """Whether it is told."""
    head = head_of(body)
    assert head is not None
    return one.wants(head, logged)


def test_without_filters_everything_is_wanted() -> None:
    assert wants(subscription(), alert(1))
    assert wants(subscription(), alert(1, "other", DEPLETED, contract="c-1"))


def test_each_filter_lets_through_what_it_names_and_all_must() -> None:
    one = subscription(types=[LOW], accounts=["acme", "b"], contracts=["c-1"])
    assert wants(one, alert(1, "acme", LOW, contract="c-1"))
    assert wants(one, alert(1, "b", LOW, contract="c-1"))
    assert not wants(one, alert(1, "c", LOW, contract="c-1"))
    assert not wants(one, alert(1, "acme", DEPLETED, contract="c-1"))
    assert not wants(one, alert(1, "acme", LOW, contract="c-2"))
    assert not wants(one, alert(1, "acme", LOW))


def test_alerts_from_before_it_was_made_are_not_sent_but_for_clocks_that_differ() -> None:
    assert not wants(subscription(), alert(1), NOW - 301 * SECOND)
    assert wants(subscription(), alert(1), NOW - 299 * SECOND)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[1]",
        b"\xff",
        b'{"id": "a.b", "type": "t", "subject": "s"}',
        b'{"id": "", "type": "t", "subject": "s"}',
        b'{"id": "a\\nb", "type": "t", "subject": "s"}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_alert_has_no_head(body: bytes) -> None:
    assert head_of(body) is None


def test_signed_with_every_secret_each_of_which_verifies() -> None:
    body, secrets = alert(1), [new_secret(), new_secret()]
    now = time.time_ns() // 1_000  # not NOW: the library verifies no more than five minutes later
    signed = headers("id1", body, now, secrets)
    assert signed["webhook-id"] == "id1"
    assert signed["webhook-timestamp"] == str(now // SECOND)
    for secret in secrets:
        assert Webhook(secret).verify(body, signed) == json.loads(body)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(body, signed)
    with pytest.raises(WebhookVerificationError):
        Webhook(secrets[0]).verify(body + b" ", signed)
    with pytest.raises(WebhookVerificationError):
        Webhook(secrets[0]).verify(body, {**signed, "webhook-id": "id2"})


def test_the_specs_own_signature() -> None:
    """The example of the specification's libraries."""
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    signed = headers("msg_p5jXN8AQM9LWM0D4loKWxJek", body, 1_614_265_330 * SECOND, [secret])
    assert signed["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_an_old_secret_signs_until_its_instant() -> None:
    one, old = new_subscription("crm", URL, NOW)
    fresh = new_secret()
    rotated = one.rotated(fresh, NOW, keep=60 * SECOND)
    assert rotated.signing(NOW) == [fresh, old]
    assert rotated.signing(NOW + 60 * SECOND - 1) == [fresh, old]
    assert rotated.signing(NOW + 60 * SECOND) == [fresh]
    again = rotated.rotated(new_secret(), NOW + SECOND, keep=3600 * SECOND)
    assert again.signing(NOW + 61 * SECOND)[1:] == [fresh], "the oldest is not prolonged"
    assert one.rotated(fresh, NOW, keep=0).signing(NOW) == [fresh]


def test_too_many_kept_secrets_are_refused() -> None:
    one = subscription()
    for _ in range(MOST_SECRETS - 1):
        one = one.rotated(new_secret(), NOW, keep=60 * SECOND)
    with pytest.raises(ValidationError, match="at most"):
        one.rotated(new_secret(), NOW, keep=60 * SECOND)
    later = one.rotated(new_secret(), NOW + 60 * SECOND, keep=SECOND)
    assert len(later.secrets) == 2


@pytest.mark.parametrize(
    ("name", "url", "types", "accounts"),
    [
        ("Crm", URL, (), ()),
        ("", URL, (), ()),
        ("a:b", URL, (), ()),
        ("crm", "http://example.com", (), ()),
        ("crm", "https://10.0.0.1/", (), ()),
        ("crm", f"https://example.com/{'x' * 2_048}", (), ()),
        ("crm", URL, ("credits.balance.high",), ()),
        ("crm", URL, (), ("not an id",)),
        ("crm", URL, (), [f"a{n}" for n in range(10_001)]),
    ],
)
def test_subscriptions_that_make_no_sense_are_refused(
    name: str, url: str, types: Iterable[str], accounts: Iterable[str]
) -> None:
    with pytest.raises(ValidationError):
        new_subscription(name, url, NOW, types, accounts)


def test_two_of_one_id_and_too_many_are_refused() -> None:
    one = subscription()
    with pytest.raises(ValidationError, match="same id"):
        Subscriptions(subscriptions=(one, one))
    with pytest.raises(ValidationError):
        Subscriptions(
            subscriptions=tuple(subscription(f"s{n}") for n in range(MOST_SUBSCRIPTIONS + 1))
        )


def test_the_file_is_its_owners_and_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "subscriptions.json"
    one, secret = new_subscription("crm", URL, NOW, [LOW], ["acme"], ["c-1"])
    several = Subscriptions().with_one(one.rotated(new_secret(), NOW, 60 * SECOND))
    save_subscriptions(path, several.with_one(subscription("b").stopped(NOW, "asked to")))
    assert path.stat().st_mode & 0o777 == 0o600
    found = load_subscriptions(path)
    assert found.find("crm") == several.find("crm")
    stopped = found.find("b")
    assert stopped is not None
    assert stopped.disabled is not None
    assert stopped.disabled.why == "asked to"
    assert secret in path.read_text()
    assert secret not in repr(found)
    assert secret not in str(found.model_dump())


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "subscriptions.json"
    save_subscriptions(path, Subscriptions())
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        load_subscriptions(path)


def test_no_secret_is_told_by_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    path = tmp_path / "subscriptions.json"
    one, secret = new_subscription("crm", URL, NOW)
    save_subscriptions(path, Subscriptions(subscriptions=(one,)))
    path.write_text(path.read_text().replace(secret, secret[:-9]))
    with pytest.raises(ConfigurationError) as caught:
        load_subscriptions(path)
    assert "secrets.0.value" in str(caught.value)
    assert secret[:20] not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_batch_is_sorted_to_whom_it_goes() -> None:
    low, depleted = alert(1), alert(2, "b", DEPLETED)
    subscriptions = [subscription("all"), subscription("b", accounts=["b"]), subscription("off")]
    batch = [Logged(low, NOW), Logged(b"?", NOW), Logged(depleted, NOW + 1)]
    found = sort(batch, subscriptions, {"off"}, {}, 10, NOW + 5)
    assert {each.taken for several in found.taken.values() for each in several} == {NOW + 5}
    bodies = {name: [each.body for each in several] for name, several in found.taken.items()}
    assert bodies == {"all": [low, depleted], "b": [depleted]}
    assert found.skipped == {"off": [NOW, NOW + 1]}
    assert [(each.subscription, each.cause) for each in found.dead] == [("", "invalid")]


def test_what_is_too_much_or_too_large_is_dead_and_the_rest_goes_on() -> None:
    large = alert(1, grant="g" * MOST_ALERT_BYTES)
    batch = [Logged(large, NOW), *(Logged(alert(n), NOW) for n in range(2, 6))]
    found = sort(batch, [subscription("a"), subscription("b")], set(), {"a": 8, "b": 0}, 10, NOW)
    assert {name: len(several) for name, several in found.taken.items()} == {"a": 2, "b": 4}
    causes = [(each.subscription, each.cause) for each in found.dead]
    assert causes == [("a", "too_large"), ("b", "too_large"), ("a", "overflow"), ("a", "overflow")]


def test_a_dead_letter_comes_back_as_it_was() -> None:
    body = alert(1)
    head = head_of(body)
    assert head is not None
    letter = DeadLetter(
        "crm", Delivery(head.id, "acme", body, NOW, 7), "exhausted", NOW, "status 500"
    )
    assert read_letter(body, b"acme", dict(letter.headers())) == letter
