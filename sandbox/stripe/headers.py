"""What a request's headers say: whose account, which version of the API, and which POST may not happen twice.

Keys come as a Bearer token or as the user of HTTP Basic. A version is a date, and since 2024 the name of a release. Of
an idempotency key the first answer of an executed POST is kept with its effect, and repeated.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import secrets
from dataclasses import dataclass

from starlette.datastructures import Headers

from sandbox.keys import STRIPE_SECRET_KEY
from sandbox.store import Row, Store
from sandbox.stripe.errors import StripeError, not_simulated
from sandbox.stripe.forms import Form


def authenticate(headers: Headers) -> None:
    """Raises: StripeError 401 without the account's key, 403 for another account than the key's."""
    key = _key(headers.get("authorization", ""))
    if not key:
        raise StripeError(
            401, "You did not provide an API key, as a Bearer token or as the user of Basic authentication."
        )
    if not secrets.compare_digest(key.encode(), STRIPE_SECRET_KEY.encode()):
        raise StripeError(401, f"Invalid API Key provided: {key[:8]}{'*' * 8}{key[-4:]}")
    if account := headers.get("stripe-account"):
        message = f"The provided key does not have access to account '{account}' (or that account does not exist)."
        raise StripeError(403, message, code="account_invalid")


def _key(authorization: str) -> str:
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""


VERSION = "2026-09-30.endive"
"""The account's version, for requests that name none. Older ones have other shapes, which are not simulated."""


def effective_version(header: str | None) -> str:
    """The version a request runs under. Raises: StripeError for one that is none, or is too old."""
    if header is None:
        return VERSION
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}(\.[a-z]+)?", header):
        raise StripeError(400, f"Invalid Stripe API version: {header}")
    if header[:10] < VERSION[:10]:
        raise not_simulated(f"API versions before {VERSION}")
    return header


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
