"""Idempotency keys: the first answer of an executed POST is kept with its effect, and repeated."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from sandbox.store import Row, Store
from sandbox.stripe.errors import StripeError
from sandbox.stripe.forms import Form

KIND = "idempotency_key"
LIFETIME_S = 24 * 3600
LONGEST_KEY = 255


@dataclass(frozen=True)
class Answer:
    status: int
    body: Row
    request_id: str


class Keys:
    """The keys of one account. `running` ones belong to requests that have not ended; they die with the process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.running: set[str] = set()

    def recall(self, key: str, url: str, form: Form, now: int) -> Answer | None:
        """The answer this key already got, or None when the request is to be executed.

        Raises: StripeError when the key was used for another request, or its first request still runs.
        """
        if not key or len(key) > LONGEST_KEY:
            raise StripeError(400, f"An idempotency key has 1 to {LONGEST_KEY} characters.", type="idempotency_error")
        kept = self._store.get(KIND, key)
        if kept and now - kept["created"] < LIFETIME_S:
            if kept["url"] != url:
                message = f"The key was first used for the endpoint '{kept['url']}'; use another one for '{url}'."
                raise StripeError(400, message, type="idempotency_error")
            if kept["fingerprint"] != _fingerprint(form):
                message = f"The key was first used with other parameters; use one other than '{key}' for these."
                raise StripeError(400, message, type="idempotency_error")
            return Answer(kept["status"], kept["body"], kept["request_id"])
        if key in self.running:
            raise StripeError(409, f"A request with the key '{key}' is still running.", code="idempotency_key_in_use")
        return None

    def keep(self, key: str, url: str, form: Form, answer: Answer, now: int) -> None:
        """Remember an answer. Call it in the transaction of the effect that the answer reports."""
        self._store.put(
            KIND,
            key,
            {
                "url": url,
                "fingerprint": _fingerprint(form),
                "status": answer.status,
                "body": answer.body,
                "request_id": answer.request_id,
                "created": now,
            },
        )


def _fingerprint(form: Form) -> str:
    return hashlib.sha256(json.dumps(form, sort_keys=True).encode()).hexdigest()
