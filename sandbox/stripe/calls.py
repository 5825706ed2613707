"""What a handler gets to work with, and how an endpoint is declared."""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from sandbox.store import Row, Store
from sandbox.stripe.errors import no_such
from sandbox.stripe.forms import Check, array, text
from sandbox.stripe.headers import VERSION

ALPHANUMERICS = string.ascii_letters + string.digits


def new_id(prefix: str, length: int = 24) -> str:
    return f"{prefix}_{''.join(secrets.choice(ALPHANUMERICS) for _ in range(length))}"


@dataclass(frozen=True)
class Call:
    """One request, checked: typed `params`, the ids of its path, the time in Unix seconds.

    A handler raises before it changes anything, with one exception: a declined card is recorded, then raised.
    """

    store: Store
    now: int
    request_id: str
    idempotency_key: str | None
    base_url: str
    """Where the simulator can be reached, ending in a slash."""
    url: str
    path: Mapping[str, str]
    params: Row

    def load(self, kind: str, id: str, param: str, *, status: int = 400) -> Row:
        """A copy of a row, to be changed and saved. Raises: StripeError `resource_missing`."""
        row = self.store.get(kind, id)
        if row is None:
            raise no_such(kind, id, param, status=status)
        return deepcopy(row)

    def save(self, row: Row) -> Row:
        return self.store.put(row["object"], row["id"], row)

    def emit(self, type: str, row: Row, before: Row | None = None) -> None:
        """Record an event about `row`; `before` is the row that an update replaced."""
        data: Row = {"object": deepcopy(row)}
        if before is not None:
            data["previous_attributes"] = {
                name: value for name, value in before.items() if name in row and row[name] != value
            }
        self.save(
            {
                "id": new_id("evt"),
                "object": "event",
                "api_version": VERSION,
                "created": self.now,
                "data": data,
                "livemode": False,
                "pending_webhooks": 0,
                "request": {"id": self.request_id, "idempotency_key": self.idempotency_key},
                "type": type,
            }
        )


@dataclass(frozen=True)
class Operation:
    """An endpoint. `kind` is the object it answers, or of which it answers a list."""

    method: str
    template: str
    kind: str
    run: Callable[[Call], Row]
    params: Mapping[str, Check] = field(default_factory=dict)
    required: Sequence[str] = ()
    listing: bool = False

    @property
    def spec(self) -> Mapping[str, Check]:
        return {**self.params, "expand": array(text())}

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """The ids in the path, if this is the endpoint that it names."""
        if method != self.method:
            return None
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.template)
        found = re.fullmatch(pattern, path)
        return found.groupdict() if found else None


def given(params: Mapping[str, Any], *names: str) -> Row:
    """The named parameters that were sent, None included."""
    return {name: params[name] for name in names if name in params}
