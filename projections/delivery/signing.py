"""The headers of one attempt, as Standard Webhooks has them. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from standardwebhooks import Webhook

from schemas.times import SECOND

CONTENT_TYPE: Final = "application/cloudevents+json"


def headers(alert: str, body: bytes, now: int, secrets: Sequence[str]) -> dict[str, str]:
    """What goes with `body`, a JSON text, at the instant `now`: signed with each of `secrets`.

    The time is the attempt's, so that receivers may refuse old ones; the id is the alert's, the
    same at each attempt.
    """
    at = datetime.fromtimestamp(now // SECOND, UTC)
    text = body.decode()
    return {
        "content-type": CONTENT_TYPE,
        "webhook-id": alert,
        "webhook-timestamp": str(now // SECOND),
        "webhook-signature": " ".join(Webhook(each).sign(alert, at, text) for each in secrets),
    }
