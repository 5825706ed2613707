"""Accounts of the wallet service, and who is asking."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import jwt

from sandbox.rate import FixedWindow
from sandbox.store import Row, Store
from sandbox.waltid import keys
from sandbox.waltid.errors import WaltError, bad_request

TOKEN_SECRET = "the secret of a wallet service that nobody needs to trust"  # noqa: S105
TOKEN_LIFE_S = 30 * 24 * 3600
LOGINS_A_MINUTE = 30
_TIMELESS: Any = dict.fromkeys(("verify_exp", "verify_nbf", "verify_iat", "verify_aud"), False)


class Logins:
    """Logs people in, each so often a minute."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self._store, self._clock = store, clock
        self._windows: dict[str, FixedWindow] = {}

    def login(self, body: Any) -> Row:
        email, password = _email_and_password(body)
        window = self._windows.setdefault(email, FixedWindow(LOGINS_A_MINUTE, 60, self._clock))
        if not window.take().granted:
            raise WaltError(429, "Too many login attempts")
        account = self._store.get("account", email)
        if account is None or account["password"] != _digest(email, password):
            raise WaltError(401, "Invalid password or unknown account")
        now = int(self._clock())
        claims = {"sub": account["id"], "iss": "http://localhost:3000", "aud": "http://localhost:3000", "iat": now,
                  "nbf": now, "exp": now + TOKEN_LIFE_S, "jti": str(uuid4())}  # fmt: skip
        token = jwt.encode(claims, TOKEN_SECRET, "HS256")
        return {"id": account["id"], "token": token, "username": email}


def register(store: Store, body: Any) -> None:
    email, password = _email_and_password(body)
    if store.get("account", email) is not None:
        raise WaltError(409, "Account already exists: email already in use")
    with store.transaction():
        make_account(store, email, password, str(body.get("name") or ""), str(uuid4()), keys.new_key())


def make_account(store: Store, email: str, password: str, name: str, wallet_id: str, key: keys.Jwk) -> str:
    """An account with its wallet, key and identifier. The identifier."""
    now, did = iso_now(), keys.jwk_did(key)
    account = {"id": str(uuid4()), "email": email, "name": name, "password": _digest(email, password), "createdOn": now}
    store.put("account", email, account)
    store.put(
        "wallet", wallet_id, {"id": wallet_id, "account": account["id"], "name": f"Wallet of {name}", "createdOn": now}
    )
    row = {
        "wallet": wallet_id,
        "did": did,
        "alias": "Onboarding",
        "keyId": key["kid"],
        "default": True,
        "createdOn": now,
    }
    store.put("did", f"{wallet_id}|{did}", {**row, "key": key})
    return did


def account_of(store: Store, headers: Mapping[str, str]) -> Row:
    """Raises WaltError. Whether a token has expired is not looked at."""
    shown = headers.get("waltid-authorization") or headers.get("authorization") or ""
    scheme, _, token = shown.partition(" ")
    if scheme.lower() != "bearer":
        raise WaltError(401, "Login Required")
    if token.count(".") != 2:
        raise WaltError(500, "Invalid serialized unsecured/JWS/JWE object: Missing part delimiters")
    try:
        claims = jwt.decode(token, TOKEN_SECRET, ["HS256"], options=_TIMELESS)
    except (jwt.PyJWTError, ValueError) as exc:
        raise WaltError(401, "Login Required") from exc
    for account in store.rows("account"):
        if account["id"] == claims["sub"]:
            return account
    raise WaltError(401, "Login Required")


def wallets_of(store: Store, account: Row) -> list[Row]:
    return [row for row in store.rows("wallet") if row["account"] == account["id"]]


def wallet_of(store: Store, headers: Mapping[str, str], wallet_id: str) -> Row:
    """One's own. Raises WaltError."""
    account = account_of(store, headers)
    try:
        UUID(wallet_id)
    except ValueError as exc:
        raise bad_request(f"Invalid wallet id: {wallet_id}") from exc
    wallet = store.get("wallet", wallet_id)
    if wallet is None or wallet["account"] != account["id"]:
        raise WaltError(403, "This account does not have access to the specified wallet.")
    return wallet


def iso_now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _email_and_password(body: Any) -> tuple[str, str]:
    kinds = ("email", "oidc", "oidc-unique-subject", "keycloak", "x5c")
    if not isinstance(body, dict) or body.get("type") not in kinds:
        raise bad_request("Serializer for subclass is not found: the field type is missing or unknown")
    if body["type"] != "email" or not body.get("email") or not body.get("password"):
        raise bad_request("email and password are required")
    return str(body["email"]), str(body["password"])


def _digest(email: str, password: str) -> str:
    return hashlib.sha256(f"{email}\0{password}".encode()).hexdigest()
