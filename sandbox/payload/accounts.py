"""Who calls: API keys and tokens. Whoever shows something wrong is nobody, and hears nothing of it."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

import jwt
from starlette.requests import Request

from sandbox.payload.config import Collection
from sandbox.payload.wire import PayloadError, now
from sandbox.store import Row, Store

SECRET = "sandbox-payload-secret-0123456789abcdef"  # noqa: S105 - signs what opens nothing but the sandbox
SESSION_S = 7200
HIDDEN = frozenset({"password", "apiKey"})


class Accounts:
    """The documents of the collections that can sign in."""

    def __init__(self, store: Store, collections: list[Collection]) -> None:
        self._store = store
        self._slugs = [each.slug for each in collections if each.auth]

    def caller(self, request: Request) -> tuple[Row, str, str] | None:
        """The account behind a request, its collection, and how it was recognised."""
        shown = request.headers.get("authorization", "")
        for slug in self._slugs:
            key = shown.removeprefix(f"{slug} API-Key ")
            if key != shown:
                found = next((row for row in self._store.rows(slug) if row.get("apiKey") == key), None)
                return (found, slug, "api-key") if found and found.get("enableAPIKey") else None
        scheme, _, token = shown.partition(" ")
        if scheme not in ("JWT", "Bearer"):
            return None
        try:
            claims = jwt.decode(token, SECRET, algorithms=["HS256"])
        except jwt.InvalidTokenError:
            return None
        found = self._store.get(claims["collection"], str(claims["id"]))
        return (found, claims["collection"], "local-jwt") if found else None

    def me(self, caller: tuple[Row, str, str] | None) -> dict[str, Any]:
        if caller is None:
            return {"user": None, "message": "Account"}
        row, slug, strategy = caller
        user = {**shown_account(row, slug), "_strategy": strategy}
        return {"user": user, "collection": slug, "strategy": strategy, "message": "Account"}

    def login(self, slug: str, body: dict[str, Any]) -> dict[str, Any]:
        """Raises: PayloadError 401."""
        found = next((row for row in self._store.rows(slug) if row["email"] == body.get("email")), None)
        if found is None or found.get("password") is None or found["password"] != body.get("password"):
            raise PayloadError(401, "The email or password provided is incorrect.")
        expires = int(time.time()) + SESSION_S
        session = {"id": str(uuid4()), "createdAt": now(), "expiresAt": now()}
        row = self._store.put(slug, str(found["id"]), {**found, "sessions": [*found["sessions"], session]})
        token = jwt.encode({"id": row["id"], "collection": slug, "exp": expires}, SECRET, algorithm="HS256")
        user = {key: value for key, value in shown_account(row, slug).items() if key != "hasAPIKey"}
        return {
            "message": "Authentication Passed",
            "exp": expires,
            "token": token,
            "user": {**user, "_strategy": "local-jwt"},
        }


def shown_account(row: Row, slug: str) -> dict[str, Any]:
    """An account as its documents show it, sessions and all."""
    shown = {key: value for key, value in row.items() if key not in HIDDEN}
    return {**shown, "collection": slug, "hasAPIKey": bool(row.get("apiKey"))}
