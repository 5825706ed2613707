"""The public keys under which an issuer signs its tokens, from the address where it publishes them (RFC 7517).

Own code, because PyJWT's client blocks the event loop, follows redirects and asks again for every unknown name.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager

import httpx
import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from pydantic import HttpUrl

from core.auth import LONGEST_KID, PublicKey
from core.backends import BackendName
from core.errors import BackendUnavailable
from datasources._http import open_client

log = logging.getLogger("omnistack.jwks")

FRESH_S = 600.0
"""How long keys serve before they are fetched again."""
STALE_S = 24 * 3600.0
"""How long they go on serving while they cannot be."""
BETWEEN_FETCHES_S = 60.0
"""From the start of one fetch to that of the next, whatever came of it and however many tokens wait."""
TIMEOUT_S = 3.0
MAX_BODY_BYTES = 256 * 1024
RSA_BITS = range(2048, 8193)
"""Shorter keys are too weak, longer ones take too long."""


class _Jwk(msgspec.Struct, frozen=True):
    """What is read of a key: its public part, though an issuer should publish the private one by mistake."""

    kty: str
    kid: str | None = None
    use: str = "sig"
    alg: str | None = None
    key_ops: tuple[str, ...] = ("verify",)
    crv: str = ""
    n: str = ""
    e: str = ""
    x: str = ""
    y: str = ""


class _KeySet(msgspec.Struct, frozen=True):
    keys: tuple[msgspec.Raw, ...]


class KeySet:
    """The keys of a set that verify tokens, by name and algorithm. Of two that are called the same the first counts."""

    def __init__(self, keys: Iterable[tuple[str | None, str, PublicKey]]) -> None:
        self._named: dict[str, dict[str, PublicKey]] = {}
        self._all: list[tuple[str, PublicKey]] = []
        for kid, algorithm, key in keys:
            self._all.append((algorithm, key))
            if kid is not None:
                self._named.setdefault(kid, {}).setdefault(algorithm, key)

    def knows(self, kid: str | None) -> bool:
        return kid is None or kid in self._named

    def key(self, kid: str | None, algorithm: str) -> PublicKey | None:
        if kid is not None:
            return self._named.get(kid, {}).get(algorithm)
        if len(self._all) != 1:
            return None
        [(only_algorithm, only_key)] = self._all
        return only_key if only_algorithm == algorithm else None


class Jwks:
    """An issuer's keys, fetched when they are first needed, kept, and fetched again when a token names another."""

    def __init__(self, client: httpx.AsyncClient, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._url = url
        self._clock = clock
        self._keys = KeySet(())
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._is_down = False
        self._fetching: asyncio.Task[None] | None = None

    @classmethod
    def open(cls, url: HttpUrl) -> Jwks:
        return cls(open_client(str(url), {"Accept-Encoding": "identity"}, max_connections=1), str(url))

    async def aclose(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait({self._fetching})
        await self._client.aclose()

    async def key(self, kid: str | None, algorithm: str) -> PublicKey | None:
        """`GET` of the set, at most once in BETWEEN_FETCHES_S, when it is old or does not know `kid`.

        None when the set has no such key for signatures, or `kid` is None and it has not exactly one. Raises
        BackendUnavailable when there is no set younger than STALE_S.
        """
        is_known = self._keys.knows(kid)
        if not is_known or self._age_s() >= FRESH_S:
            fetching = self._fetch_if_due()
            # While the issuer is down nobody whose key is known waits for it.
            if fetching is not None and not (is_known and self._is_down and self._age_s() < STALE_S):
                await asyncio.shield(fetching)
        if self._age_s() >= STALE_S:
            raise BackendUnavailable(
                BackendName.OMNISTACK,
                "the keys that verify tokens cannot be had",
                retry_after_s=max(0.0, self._tried_at + BETWEEN_FETCHES_S - self._clock()),
            )
        return self._keys.key(kid, algorithm)

    def _age_s(self) -> float:
        """Infinite before the first fetch."""
        return self._clock() - self._fetched_at

    def _fetch_if_due(self) -> asyncio.Task[None] | None:
        """The fetch that is under way, begun now if it may be. A task, so that it outlives the caller who began it."""
        if self._fetching is None and self._clock() >= self._tried_at + BETWEEN_FETCHES_S:
            self._tried_at = self._clock()
            self._fetching = asyncio.create_task(self._fetch())
        return self._fetching

    async def _fetch(self) -> None:
        """Take over the published set; one that cannot be had or read changes nothing."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                body = await self._body()
            keys = read_key_set(body)
        except (httpx.HTTPError, OSError, ValueError) as exc:
            self._is_down = True
            log.warning("the keys that verify tokens could not be fetched: %s", str(exc) or type(exc).__name__)
        else:
            self._keys, self._fetched_at, self._is_down = keys, self._clock(), False
        finally:
            self._fetching = None

    async def _body(self) -> bytes:
        """Raises httpx.HTTPError, and ValueError for what is no answer to read."""
        body = b""
        async with self._client.stream("GET", self._url, follow_redirects=False) as response:
            if response.status_code != 200:
                raise ValueError(f"the issuer answered {response.status_code}")
            # A little of it could unfold into much before it is measured.
            if response.headers.get("content-encoding", "identity") != "identity":
                raise ValueError("the issuer answered compressed, unasked")
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise ValueError(f"the issuer answered more than {MAX_BODY_BYTES} bytes")
        return body


def read_key_set(body: bytes) -> KeySet:
    """The usable keys of a published set; those of other kinds and for other uses are left out.

    Raises ValueError when it is no key set.
    """
    try:
        published = msgspec.json.decode(body, type=_KeySet).keys
    except (msgspec.DecodeError, RecursionError) as exc:
        raise ValueError("the issuer's answer is no key set") from exc
    return KeySet(usable for raw in published if (usable := _usable(raw)) is not None)


def _usable(raw: msgspec.Raw) -> tuple[str | None, str, PublicKey] | None:
    """(name, the one algorithm that its type is for, key), or None when it verifies no tokens."""
    try:
        jwk = msgspec.json.decode(raw, type=_Jwk)
        key = _public_key(jwk)
    except (msgspec.DecodeError, jwt.PyJWTError, ValueError):
        return None
    if isinstance(key, RSAPublicKey) and key.key_size not in RSA_BITS:
        return None
    algorithm = "RS256" if isinstance(key, RSAPublicKey) else "ES256"
    is_for_tokens = jwk.use == "sig" and "verify" in jwk.key_ops and jwk.alg in (None, algorithm)
    return (jwk.kid, algorithm, key) if is_for_tokens and len(jwk.kid or "") <= LONGEST_KID else None


def _public_key(jwk: _Jwk) -> PublicKey:
    """Raises InvalidKeyError and ValueError for what is no RSA key and no point of P-256."""
    if jwk.kty == "EC" and jwk.crv == "P-256":
        key: object = ECAlgorithm.from_jwk({"kty": "EC", "crv": jwk.crv, "x": jwk.x, "y": jwk.y})
    else:
        key = RSAAlgorithm.from_jwk({"kty": jwk.kty, "n": jwk.n, "e": jwk.e})
    assert isinstance(key, RSAPublicKey | EllipticCurvePublicKey)  # noqa: S101 - of the public members alone
    return key


@asynccontextmanager
async def open_jwks(url: HttpUrl | None) -> AsyncIterator[Jwks | None]:
    """None without an address."""
    if url is None:
        yield None
        return
    async with aclosing(Jwks.open(url)) as jwks:
        yield jwks
