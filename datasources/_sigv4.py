"""AWS Signature Version 4 as S3 wants it: of a request's headers, and of a URL that works by itself for a while.

Own code, because the clients at hand either sign no response headers into a URL (obstore) or bring thirty megabytes of
other services with them (botocore). The simulator checks what is signed here by botocore's code.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
LONGEST_S = 604_800
"""What a signed URL may live at most: a week."""

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs by one key for one region. Paths are given percent-encoded, as they are sent."""

    access_key: str
    secret_key: str = field(repr=False)
    region: str

    def headers(
        self,
        method: str,
        host: str,
        path: str,
        query: Pairs,
        headers: Mapping[str, str],
        body_sha256: str,
        now: datetime,
    ) -> dict[str, str]:
        """`headers` and those that make the request a signed one; all but `Content-Length` is signed."""
        stamp = _stamp(now)
        told = {**headers, "x-amz-date": stamp, "x-amz-content-sha256": body_sha256}
        signed = {name.lower(): value for name, value in told.items() if name.lower() != "content-length"}
        signed["host"] = host
        names = ";".join(sorted(signed))
        signature = self._signature(_canonical(method, path, _encoded(query), signed, body_sha256), stamp)
        credential = f"{self.access_key}/{self._scope(stamp)}"
        told["Authorization"] = f"{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
        return told

    def query(self, method: str, host: str, path: str, *, expires_s: int, now: datetime, extra: Pairs = ()) -> str:
        """The query that lets whoever has the URL make this one request until `expires_s` seconds from `now`.

        `extra` are other pairs of the query, which nobody can change then.
        """
        stamp = _stamp(now)
        pairs = [
            *extra,
            ("X-Amz-Algorithm", ALGORITHM),
            ("X-Amz-Credential", f"{self.access_key}/{self._scope(stamp)}"),
            ("X-Amz-Date", stamp),
            ("X-Amz-Expires", str(expires_s)),
            ("X-Amz-SignedHeaders", "host"),
        ]
        encoded = _encoded(pairs)
        signature = self._signature(_canonical(method, path, encoded, {"host": host}, UNSIGNED), stamp)
        return f"{encoded}&X-Amz-Signature={signature}"

    def _scope(self, stamp: str) -> str:
        return f"{stamp[:8]}/{self.region}/s3/aws4_request"

    def _signature(self, canonical: str, stamp: str) -> str:
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        key = f"AWS4{self.secret_key}".encode()
        for part in self._scope(stamp).split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        told = "\n".join([ALGORITHM, stamp, self._scope(stamp), digest])
        return hmac.digest(key, told.encode(), "sha256").hex()


def _stamp(now: datetime) -> str:
    return now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _encoded(pairs: Pairs) -> str:
    """Sorted, with %20 for a space: the form that is signed is the form that is sent."""
    return "&".join(sorted(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs))


def _canonical(method: str, path: str, query: str, headers: Mapping[str, str], body_sha256: str) -> str:
    lines = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in sorted(headers))
    return "\n".join([method, path, query, lines, ";".join(sorted(headers)), body_sha256])
