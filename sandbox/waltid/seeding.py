"""The wallets of the demo world, each with a credential that its holder is a customer."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox import keys as sandbox_keys
from sandbox.store import Store
from sandbox.waltid import keys
from sandbox.waltid.accounts import make_account
from sandbox.waltid.wallet import keep
from sandbox.world import Person, World

TYPE = "CustomerCredential"
LIFE_DAYS = 365


def seed(store: Store) -> None:
    for person in World(datetime.now(UTC)).customers:
        email = f"{person.id}@wallets.invalid"
        password = hmac.new(sandbox_keys.WALTID_WALLET_SECRET.encode(), person.id.encode(), hashlib.sha256).hexdigest()
        make_account(store, email, password, "Wallet", person.wallet_id, _key(person))
        wallet = store.get("wallet", person.wallet_id)
        assert wallet is not None  # noqa: S101 - just made
        claims = _claims(person)
        keep(store, wallet, keys.sign(sandbox_keys.WALTID_ISSUER_KEY, claims, kid=issuer_did()), claims)


def issuer_did() -> str:
    return keys.jwk_did(sandbox_keys.WALTID_ISSUER_KEY)


def holder_did(person: Person) -> str:
    return keys.jwk_did(_key(person))


def credential_id(person: Person) -> str:
    return f"urn:uuid:00000000-0000-4000-9000-{person.n:012d}"


def customer_claims(person: Person) -> dict[str, Any]:
    return {"memberSince": f"{person.created_at:%Y-%m-%d}", "client": person.client.name}


def validity(person: Person) -> tuple[datetime, datetime]:
    return person.created_at, person.created_at + timedelta(days=LIFE_DAYS)


def _key(person: Person) -> keys.Jwk:
    return keys.derived_key(f"wallet of person {person.n}")


def _claims(person: Person) -> dict[str, Any]:
    since, until = validity(person)
    document = {
        "@context": ["https://www.w3.org/2018/credentials/v1"],
        "id": credential_id(person),
        "type": ["VerifiableCredential", TYPE],
        "issuer": {"id": issuer_did()},
        "credentialSubject": {**customer_claims(person), "id": holder_did(person)},
        "issuanceDate": f"{since:%Y-%m-%dT%H:%M:%SZ}",
        "expirationDate": f"{until:%Y-%m-%dT%H:%M:%SZ}",
    }
    return {
        "iss": issuer_did(),
        "sub": holder_did(person),
        "jti": credential_id(person),
        "iat": int(since.timestamp()),
        "nbf": int(since.timestamp()),
        "exp": int(until.timestamp()),
        "vc": document,
    }
