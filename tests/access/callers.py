"""Who asks: every kind of principal, by the credentials that make somebody one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt

from core.auth import hash_key, new_key
from core.demo import DemoCredentials
from sandbox.world import Client, Person, object_id
from tests.callers import WORLD, person

SHOP, SISTER_SHOP, HERE, THERE = WORLD.clients
"""Two clients of a platform whose key stands in browsers, and two of one that runs on servers."""
BARE, CLOSED = object_id(2, 90), object_id(2, 91)
"""More clients of the server-side platform: one that no part of any backend was given to, and one that is inactive."""
BARE_ADMIN, BARE_CUSTOMER, CLOSED_CUSTOMER, SUSPENDED = (object_id(3, n) for n in (900, 901, 902, 903))
CUSTOMER, NEIGHBOUR, STAFF, MANAGER, ADMIN = (
    person(role, client=2, n=n)
    for role, n in (("CUSTOMER", 0), ("CUSTOMER", 1), ("STAFF", 0), ("MANAGER", 0), ("ADMIN", 0))
)
STRANGER, OUTSIDER = person("CUSTOMER", client=3), person("CUSTOMER", client=0)

COLUMNS = ("service", "browser", "server", "client", "customer", "staff", "manager", "admin")
"""Kinds of principal, as the tables of decisions have them."""


@dataclass(frozen=True)
class Caller:
    """`kind` is a column of the tables; the ids are those of its platform, client and user, where it has them."""

    name: str
    kind: str
    headers: Mapping[str, str] = field(repr=False)
    app: str | None = None
    client: str | None = None
    user: str | None = None


NAMES = (
    "service", "browser", "server", "shop", "sister shop", "here", "there", "bare client",
    "customer", "neighbour", "stranger", "outsider", "bare customer", "staff", "manager", "admin", "bare admin",
)  # fmt: skip
REFUSED = (
    "nobody", "a wrong key", "an expired key", "a revoked key", "a key of an inactive client", "an expired token",
    "a token of another issuer", "a suspended user", "a user of an inactive client", "a client of another platform",
)  # fmt: skip


class Credentials:
    """Keys and tokens of everybody, and the documents by which the gateway knows the keys."""

    def __init__(self, demo: DemoCredentials) -> None:
        self._demo = demo
        self._keys = {**demo.keys, "bare": new_key(), "expired": new_key(), "revoked": new_key(), "closed": new_key()}

    def key_documents(self, pattern: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Besides the demo's; `pattern` is one of those."""

        def document(name: str, owner_id: str, **more: Any) -> dict[str, Any]:
            key = hash_key(self._demo.key_pepper, self._keys[name])
            return {**pattern, "_id": key, "ownerKind": "client", "ownerId": owner_id, **more}

        past = WORLD.anchor
        return [
            document("bare", BARE),
            document("closed", CLOSED),
            document("expired", HERE.id, expiresAt=past),
            document("revoked", HERE.id, revokedAt=past),
        ]

    def callers(self) -> dict[str, Caller]:
        """By name, in the order of NAMES."""
        server = HERE.app
        made = [
            Caller("service", "service", {"x-api-key": self._demo.service_key}),
            Caller("browser", "browser", self._platform(SHOP.app.name), SHOP.app.id),
            Caller("server", "server", self._platform(server.name), server.id),
            *(
                Caller(name, "client", self._client(of), of.app.id, of.id)
                for name, of in (("shop", SHOP), ("sister shop", SISTER_SHOP), ("here", HERE), ("there", THERE))
            ),
            Caller("bare client", "client", self._with(server.name, "bare"), server.id, BARE),
            *(
                self._person(name, of)
                for name, of in (
                    ("customer", CUSTOMER), ("neighbour", NEIGHBOUR), ("stranger", STRANGER), ("outsider", OUTSIDER),
                    ("staff", STAFF), ("manager", MANAGER), ("admin", ADMIN),
                )
            ),
            Caller("bare customer", "customer", self._token(BARE_CUSTOMER), server.id, BARE, BARE_CUSTOMER),
            Caller("bare admin", "admin", self._token(BARE_ADMIN, "ADMIN"), server.id, BARE, BARE_ADMIN),
        ]  # fmt: skip
        by_name = {caller.name: caller for caller in made}
        return {name: by_name[name] for name in NAMES}

    def refused(self) -> dict[str, dict[str, str]]:
        """What those show who are nobody, by the names in REFUSED."""
        server = HERE.app.name
        other = jwt.encode({"sub": CUSTOMER.id, "exp": int(time.time()) + 600}, "x" * 64, algorithm="HS256")
        shown: tuple[dict[str, str], ...] = (
            {},
            {"x-api-key": new_key()},
            self._with(server, "expired"),
            self._with(server, "revoked"),
            self._with(server, "closed"),
            self._token(CUSTOMER.id, life_s=-3600),
            {"authorization": f"Bearer {other}"},
            self._token(SUSPENDED),
            self._token(CLOSED_CUSTOMER),
            self._with(server, SHOP.code),
        )
        return dict(zip(REFUSED, shown, strict=True))

    def _platform(self, name: str) -> dict[str, str]:
        return {"x-api-key": self._keys[name]}

    def _client(self, of: Client) -> dict[str, str]:
        return self._with(of.app.name, of.code)

    def _with(self, app: str, client: str) -> dict[str, str]:
        return {"x-api-key": self._keys[app], "client-x-api-key": self._keys[client]}

    def _person(self, name: str, of: Person) -> Caller:
        return Caller(name, of.role.lower(), self._token(of.id, of.role), of.client.app.id, of.client.id, of.id)

    def _token(self, user_id: str, role: str = "CUSTOMER", *, life_s: int = 3600) -> dict[str, str]:
        now = int(time.time())
        claims = {"sub": user_id, "role": role, "iat": now - 7200, "exp": now + life_s}
        return {"authorization": f"Bearer {jwt.encode(claims, self._demo.jwt_secret, algorithm='HS256')}"}
