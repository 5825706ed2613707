"""Credentials that the gateway has issued, or offered: what they say, who holds them, and whether they still count."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from uuid import uuid4

import msgspec
import orjson

from core.errors import Conflict
from datasources.mongo.driver import Document, Store, among, matching, moment, one
from datasources.mongo.records import Keyset, Record

LIST_SIZE = 131_072
"""Entries of one status list: so many, as W3C asks, that a reader tells nobody which one they are after."""
TRIES_IN_A_LIST = 8
"""Before it is taken to be full: by then nearly all of it is used."""
MOST_LISTS = 1_000


class CredentialStatus(Enum):
    """UNKNOWN: whether it came into being, or was taken, cannot be told."""

    OFFERED = "OFFERED"
    VALID = "VALID"
    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"
    UNKNOWN = "UNKNOWN"


class CredentialRecord(Record, frozen=True, kw_only=True):
    """`id` is the credential's own, `key` the document's. `claims_text` is JSON, because a field of a document has not
    every name that a claim may have; `held_as` is what the wallet calls it, None until it is there; `offered_until`: it
    is for whoever takes it until then."""

    key: str = msgspec.field(name="_id")
    id: str = msgspec.field(name="credentialId")
    type: tuple[str, ...]
    format: str = "jwt_vc_json"
    issuer: str
    claims_text: str
    status_list: int | None = None
    status_list_index: int | None = None
    client_id: str | None = None
    user_id: str | None = None
    subject: str | None = None
    held_as: str | None = None
    issued_at: datetime | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    offered_until: datetime | None = None
    offer: str | None = None
    created_at: datetime
    updated_at: datetime

    @property
    def claims(self) -> dict[str, Any]:
        claims: dict[str, Any] = orjson.loads(self.claims_text)
        return claims

    @property
    def status(self) -> CredentialStatus:
        """As of now."""
        now = datetime.now(UTC)
        if self.revoked_at is not None:
            return CredentialStatus.REVOKED
        if self.held_as is None:
            is_open = self.offered_until is not None and now < self.offered_until
            return CredentialStatus.OFFERED if is_open else CredentialStatus.UNKNOWN
        if self.expires_at is not None and self.expires_at <= now:
            return CredentialStatus.EXPIRED
        return CredentialStatus.VALID

    @property
    def offer_url(self) -> str | None:
        """What a wallet opens to take it; None once that is over."""
        return self.offer if self.status is CredentialStatus.OFFERED else None


@dataclass(frozen=True, slots=True)
class CredentialToIssue:
    """`type` is the last and most special of its types."""

    type: str
    issuer: str
    claims: Mapping[str, Any]
    client_id: str | None = None
    user_id: str | None = None
    id: str = field(default_factory=lambda: f"urn:uuid:{uuid4()}")


class Credentials(Store):
    """The collection `credentials`."""

    async def credentials_by_ids(self, ids: Sequence[str]) -> list[CredentialRecord]:
        return await self._in("credentials", CredentialRecord, "credentialId", list(ids))

    async def credential(self, id: str) -> CredentialRecord | None:
        return one(await self.credentials_by_ids([id]))

    async def credentials(self, *, limit: int, after: Keyset | None = None, **filter: Any) -> list[CredentialRecord]:
        """Newest first. `filter` as for `count_credentials`."""
        return await self._page("credentials", CredentialRecord, _credential_filter(**filter), limit, after)

    async def count_credentials(self, **filter: Any) -> int:
        """Of these `client_ids` and `user_ids` (None: all)."""
        return await self._count("credentials", _credential_filter(**filter))

    async def reserve_credential(self, new: CredentialToIssue) -> CredentialRecord:
        """Its row, before there is anything else of it, so that it can be revoked whatever happens then. It has a place
        of its own in a status list; where in the list is left to chance, and tells nothing of its age.

        The row that is there already, where there is one of this id.
        """
        document: Document = {
            "credentialId": new.id,
            "type": ["VerifiableCredential", new.type],
            "issuer": new.issuer,
            "claimsText": orjson.dumps(new.claims).decode(),
            **matching(clientId=new.client_id, userId=new.user_id),
        }
        for number in range(1, MOST_LISTS + 1):
            for _ in range(TRIES_IN_A_LIST):
                if (there := await self.credential(new.id)) is not None:
                    return there
                place = {"statusList": number, "statusListIndex": secrets.randbelow(LIST_SIZE)}
                try:
                    return await self._insert_new("credentials", {**document, **place}, CredentialRecord)
                except Conflict:
                    continue
        raise Conflict("all status lists are full")

    async def credential_issued(
        self,
        id: str,
        *,
        held_as: str,
        subject: str | None,
        issued_at: datetime | None,
        expires_at: datetime | None,
    ) -> CredentialRecord | None:
        """It is in its holder's wallet. None when there is no such row."""
        told = matching(heldAs=held_as, subject=subject, issuedAt=issued_at, expiresAt=expires_at)
        return await self._change_credential(id, lambda found: {**found, **told})

    async def credential_offered(self, id: str, offer: str, until: datetime) -> CredentialRecord | None:
        """Whoever opens this address may take it until then. None when there is no such row."""
        return await self._change_credential(id, lambda found: {**found, "offer": offer, "offeredUntil": until})

    async def forget_credential(self, id: str) -> None:
        """There has never been more of it than its row; nothing happens where there is."""
        async with self._call("delete", "credentials"):
            await self._db.credentials.delete_one({"credentialId": id, "heldAs": {"$exists": False}})

    async def revoke_credential(self, id: str) -> CredentialRecord | None:
        """It does not count any more, from the first time on that this is said. None when there is no such row."""

        def change(found: Document) -> Document | None:
            return None if "revokedAt" in found else {**found, "revokedAt": moment()}

        return await self._change_credential(id, change)

    async def revoked_in_list(self, number: int) -> list[int] | None:
        """Which places of a status list are revoked; None: no credential has ever been given a place in it."""
        async with self._call("find", "credentials"):
            if await self._db.credentials.find_one({"statusList": number}, {"_id": 1}) is None:
                return None
        conditions = {"statusList": number, "revokedAt": {"$exists": True}}
        async with self._call("find", "credentials"):
            found = self._db.credentials.find(conditions, {"statusListIndex": 1}).batch_size(LIST_SIZE + 1)
            return [row["statusListIndex"] for row in await found.to_list(None)]

    async def _change_credential(
        self, id: str, change: Callable[[Document], Document | None]
    ) -> CredentialRecord | None:
        found = await self.credential(id)
        return None if found is None else await self._revise("credentials", found.key, change, CredentialRecord)


def _credential_filter(*, client_ids: Sequence[str] | None = None, user_ids: Sequence[str] | None = None) -> Document:
    return matching(clientId=among(client_ids), userId=among(user_ids))
