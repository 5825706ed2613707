"""The status lists in which it stands which credentials are revoked, for whoever checks one.

https://www.w3.org/TR/vc-bitstring-status-list/
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from core.dids import encoded
from datasources import Sources
from datasources.mongo import LIST_SIZE
from datasources.waltid import CONTEXT, STATUS_LIST, STATUS_PURPOSE, list_url

FRESH_S = 5.0
"""How long a signed list is given to everybody who asks: it is public, and costs a signature."""
MOST_KEPT = 100


def encoded_list(revoked: Iterable[int]) -> str:
    """Place 0 is the most significant bit of the first byte; compressed, in base64 for URLs, and marked as such."""
    bits = bytearray(LIST_SIZE // 8)
    for place in revoked:
        bits[place // 8] |= 0x80 >> place % 8
    return f"u{encoded(gzip.compress(bytes(bits), mtime=0))}"


@dataclass
class _Kept:
    token: str
    until: float


class StatusLists:
    """The signed lists, each kept for a moment."""

    def __init__(self, sources: Sources, clock: Callable[[], float] = time.monotonic) -> None:
        self._sources = sources
        self._clock = clock
        self._kept: dict[int, _Kept] = {}

    async def token(self, number: int) -> str | None:
        """A list as a signed credential; None: there is no such list. Raises BackendError."""
        kept = self._kept.get(number)
        if kept is not None and kept.until > self._clock():
            return kept.token
        revoked = await self._sources.mongo.revoked_in_list(number)
        if revoked is None:
            return None
        token = await self._signed(list_url(self._sources.settings.public_base, number), revoked)
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        self._kept[number] = _Kept(token, self._clock() + FRESH_S)
        return token

    async def _signed(self, url: str, revoked: Iterable[int]) -> str:
        now = datetime.now(UTC).replace(microsecond=0)
        waltid = self._sources.waltid
        document = {
            "@context": [CONTEXT, "https://www.w3.org/ns/credentials/status/v1"],
            "id": url,
            "type": ["VerifiableCredential", f"{STATUS_LIST}Credential"],
            "issuer": waltid.issuer_did,
            "issuanceDate": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            "credentialSubject": {
                "id": f"{url}#list",
                "type": STATUS_LIST,
                "statusPurpose": STATUS_PURPOSE,
                "encodedList": encoded_list(revoked),
            },
        }
        seconds = int(now.timestamp())
        return await waltid.sign_status_list(document, {"jti": url, "iat": seconds, "nbf": seconds})
