"""Commands of the traffic, many of what is not there."""

import json
from random import Random

from schemas.times import DAY, format_instant
from tests.simulation import documents, terms
from tests.simulation.clock import HOUR
from tests.simulation.terms import Fields


def command(chance: Random, account: str, name: str, now: int, sent: list[Fields]) -> Fields:
    """One of the commands, or a further contract or grant."""
    base: Fields = {"id": name, "account": account}
    which = f"g{chance.randint(0, 2)}"
    vary = terms.beside(chance)
    later = format_instant(now + chance.choice((-HOUR, 0, 5 * HOUR)))
    choices: list[Fields] = [
        terms.grant(chance, account, name, now),
        terms.grant(chance, account, which, now),
        terms.contract(chance, account, chance.choice(("c1", "c2")), now),
        {"kind": "void_grant", "grant": which} | base,
        {"kind": "refund_grant", "grant": which} | base,
        {"kind": "adjust_grant", "grant": which, "amount": chance.choice(("2", "-1.5"))} | base,
        {"kind": "fund_grant", "grant": which} | base,
        {"kind": "purchase", "pack": "pack", "quantity": str(chance.randint(1, 2))} | base,
        {"kind": "settle_overage", "amount": chance.choice(("0.3", "2", "50"))} | base,
        {"kind": "set_seats", "contract": "c1", "seats": chance.randint(0, 3)} | base,
        {"kind": "top_up_failed", "request": vary.choice(terms.REQUESTS)} | base,
        {
            "kind": "amend_contract",
            "contract": "c1",
            "effective_at": later,
            "changes": chance.choice(
                (
                    {"overrides": [terms.override(chance)]},
                    {"overage": {"mode": "block"}},
                    {"ends_at": format_instant(now + 3 * DAY)},
                    {"covers": {"products": ["tokens"]}},
                    {"recurring": None, "fees": None},
                )
            )
            | vary.choice(({}, {}, {"limits": [vary.choice(terms.LIMITS)]})),
        }
        | base,
        {
            "kind": "terminate_contract",
            "contract": "c1",
            "at": later,
            "policy": chance.choice(("expire", "refund", "to_account")),
        }
        | base,
        _backfill(chance, account, now) | base,
    ]
    if sent:
        event = chance.choice(sent)
        replay = {"kind": "replay", "source": event["source"], "event": event["id"]} | base
        choices += [replay, replay]
    return chance.choice(choices)


def hold(chance: Random, account: str, name: str, placed: list[str]) -> Fields:
    """Credits are held, or one of the last holds is ended: perhaps twice, or too late."""
    base: Fields = {"id": name, "account": account}
    if not placed or chance.random() < 0.5:
        amount = chance.choice(("0.5", "2", "6", "25"))
        found = {
            "kind": "place_hold",
            "product": chance.choice(documents.METERED),
            "amount": amount,
        }
        if chance.random() < 0.6:
            found["expires_in"] = chance.choice(("PT1S", "PT5M", "PT3H", "P2D"))
        if chance.random() < 0.15:
            found["contract"] = chance.choice(("c1", "c2"))
        if placed and chance.random() < 0.1:
            found["id"] = chance.choice(placed)
        return base | found
    found = {"kind": chance.choice(("capture_hold", "capture_hold", "release_hold"))}
    found["hold"] = chance.choice(placed[-4:])
    if found["kind"] == "capture_hold" and chance.random() < 0.5:
        found["amount"] = chance.choice(("0.1", "0.5", "2", "30"))
    return base | found


def _backfill(chance: Random, account: str, now: int) -> Fields:
    event: Fields = {
        "specversion": "1.0",
        "id": f"old-{chance.randint(1, 3)}",
        "source": "api",
        "type": chance.choice(documents.EVENT_TYPES),
        "subject": account,
        "time": format_instant(now - chance.randint(0, 10) * DAY),
        "data": documents.data(chance),
    }
    return {"kind": "backfill", "event": json.dumps(event)}
