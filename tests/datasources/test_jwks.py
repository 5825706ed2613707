"""An issuer's published keys: which are used, how long, and how seldom they are fetched."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from pydantic import HttpUrl

from core.auth import PublicKey, TokenVerifier
from core.errors import BackendUnavailable, Unauthenticated
from datasources.jwks import BETWEEN_FETCHES_S, FRESH_S, MAX_BODY_BYTES, STALE_S, Jwks, open_jwks, read_key_set

URL = "http://127.0.0.1:1/keys"
RSA_KEY, OTHER_RSA_KEY = generate_rsa_key(65537, 2048), generate_rsa_key(65537, 2048)
EC_KEY = generate_ec_key(SECP256R1())
LATER = 4_000_000_000


def jwk(key: Any, kid: str | None = None, **more: Any) -> dict[str, Any]:
    """As an issuer publishes it."""
    published: dict[str, Any]
    if isinstance(key, RSAPrivateKey | RSAPublicKey):
        published = RSAAlgorithm.to_jwk(key, as_dict=True)
    elif isinstance(key, EllipticCurvePrivateKey | EllipticCurvePublicKey):
        published = ECAlgorithm.to_jwk(key, as_dict=True)
    else:
        published = OKPAlgorithm.to_jwk(key, as_dict=True)
    published.pop("key_ops", None)
    return published | ({} if kid is None else {"kid": kid}) | more


RSA, EC = jwk(RSA_KEY.public_key(), "rsa"), jwk(EC_KEY.public_key(), "ec")


def key_set(*keys: Any) -> bytes:
    return json.dumps({"keys": keys}).encode()


class Issuer:
    """Publishes `answer`, which may be an exception, on a clock of its own."""

    def __init__(self, *keys: Any) -> None:
        self.answer: httpx.Response | Exception = httpx.Response(200, content=key_set(*keys))
        self.fetches = 0
        self.now_s = 0.0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.jwks = Jwks(httpx.AsyncClient(transport=httpx.MockTransport(self._handle)), URL, clock=lambda: self.now_s)

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        self.fetches += 1
        await self.may_answer.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return httpx.Response(self.answer.status_code, headers=self.answer.headers, content=self.answer.content)

    def publishes(self, *keys: Any) -> None:
        self.answer = httpx.Response(200, content=key_set(*keys))

    def is_down(self) -> None:
        self.answer = httpx.ConnectError("refused")

    async def key(self, kid: str | None, algorithm: str = "RS256") -> PublicKey | None:
        return await self.jwks.key(kid, algorithm)


# -- which keys --------------------------------------------------------------------------------------------------------


def test_a_key_is_found_by_its_name_for_the_algorithm_of_its_type() -> None:
    keys = read_key_set(key_set(RSA, EC))
    assert keys.key("rsa", "RS256") == RSA_KEY.public_key()
    assert keys.key("ec", "ES256") == EC_KEY.public_key()
    for kid, algorithm in [("rsa", "ES256"), ("ec", "RS256"), ("rsa", "HS256"), ("RSA", "RS256"), ("", "RS256")]:
        assert keys.key(kid, algorithm) is None


@pytest.mark.parametrize(
    "unusable",
    [
        RSA | {"use": "enc"},
        RSA | {"use": "tls"},
        RSA | {"alg": "RS512"},
        RSA | {"alg": "PS256"},
        RSA | {"alg": "ES256"},
        RSA | {"alg": "HS256"},
        RSA | {"key_ops": ["encrypt"]},
        RSA | {"kid": "x" * 257},
        RSA | {"kid": 7},
        RSA | {"kid": ["rsa"]},
        RSA | {"kty": "oct", "k": "c2VjcmV0"},
        RSA | {"kty": 1},
        RSA | {"n": ""},
        RSA | {"n": 5},
        RSA | {"n": "ü"},
        RSA | {"e": "AA"},
        EC | {"kid": "rsa", "alg": "ES384"},
        EC | {"kid": "rsa", "x": EC["y"]},
        EC | {"kid": "rsa", "x": "AAAA"},
        EC | {"kid": "rsa", "crv": "secp256k1"},
        EC | {"kid": "rsa", "use": "enc"},
        jwk(generate_ec_key(SECP384R1()).public_key(), "rsa"),
        jwk(Ed25519PrivateKey.generate().public_key(), "rsa"),
        jwk(generate_rsa_key(65537, 1024).public_key(), "rsa"),
        jwk(Ed25519PrivateKey.generate().public_key(), "rsa") | {"kty": "RSA"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "rsa", "alg": "HS256"},
        {},
        None,
        7,
        "rsa",
        [RSA],
    ],
    ids=lambda key: ascii(key)[-40:],
)
def test_a_key_that_verifies_no_tokens_is_left_out_and_the_others_stay(unusable: Any) -> None:
    keys = read_key_set(key_set(unusable, EC))
    assert not keys.knows("rsa")
    assert keys.key("rsa", "RS256") is keys.key("rsa", "ES256") is None
    assert keys.key(None, "ES256") == EC_KEY.public_key()


@pytest.mark.parametrize(
    "more", [{"use": "sig"}, {"alg": "RS256"}, {"key_ops": ["verify"]}, {"x5c": ["AAAA"], "unheard-of": {}}]
)
def test_a_key_that_says_that_it_verifies_tokens_is_used(more: dict[str, Any]) -> None:
    assert read_key_set(key_set(RSA | more)).key("rsa", "RS256") == RSA_KEY.public_key()


def test_a_private_key_published_by_mistake_is_read_as_the_public_one() -> None:
    keys = read_key_set(key_set(jwk(RSA_KEY, "rsa"), jwk(EC_KEY, "ec")))
    assert keys.key("rsa", "RS256") == RSA_KEY.public_key()
    assert keys.key("ec", "ES256") == EC_KEY.public_key()


def test_a_name_may_be_shared_by_two_types_and_of_one_type_the_first_counts() -> None:
    keys = read_key_set(key_set(RSA, EC | {"kid": "rsa"}, jwk(OTHER_RSA_KEY.public_key(), "rsa")))
    assert keys.key("rsa", "RS256") == RSA_KEY.public_key()
    assert keys.key("rsa", "ES256") == EC_KEY.public_key()


def test_without_a_name_the_only_usable_key_is_meant() -> None:
    nameless = jwk(RSA_KEY.public_key())
    for alone in (key_set(RSA), key_set(nameless), key_set(RSA, EC | {"use": "enc"})):
        assert read_key_set(alone).key(None, "RS256") == RSA_KEY.public_key()
        assert read_key_set(alone).key(None, "ES256") is None
    for several in (key_set(RSA, EC), key_set(RSA, nameless), key_set(nameless, nameless), key_set()):
        assert read_key_set(several).key(None, "RS256") is None


NO_KEY_SETS = [
    b"",
    b"<html>",
    b"null",
    b"[]",
    b"{}",
    b'{"keys": null}',
    b'{"keys": {}}',
    b'{"keys": "x"}',
    b"\xff",
    b'{"keys": [',
    b"[" * 100_000,
    b'{"keys": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
]


@pytest.mark.parametrize("body", NO_KEY_SETS, ids=lambda body: repr(body[:20]))
def test_what_is_no_key_set_is_told_from_an_empty_one(body: bytes) -> None:
    with pytest.raises(ValueError, match="no key set"):
        read_key_set(body)
    assert read_key_set(key_set()).key(None, "RS256") is None


FIELDS = st.sampled_from(["kty", "kid", "use", "alg", "key_ops", "crv", "n", "e", "x", "y", "d"])
VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=50) | st.lists(st.text(max_size=3), max_size=2)


@given(changed=st.dictionaries(FIELDS, VALUES), of=st.sampled_from([RSA, EC]))
def test_no_published_key_is_too_odd_to_be_passed_over(changed: dict[str, Any], of: dict[str, Any]) -> None:
    keys = read_key_set(key_set(of | changed, jwk(OTHER_RSA_KEY.public_key(), "sound")))
    assert keys.key("sound", "RS256") == OTHER_RSA_KEY.public_key()


# -- when they are fetched ---------------------------------------------------------------------------------------------


async def test_keys_are_fetched_when_first_needed_and_then_kept() -> None:
    issuer = Issuer(RSA, EC)
    assert issuer.fetches == 0
    for _ in range(5):
        assert await issuer.key("rsa") == RSA_KEY.public_key()
        assert await issuer.key("ec", "ES256") == EC_KEY.public_key()
        issuer.now_s += FRESH_S / 6
    assert issuer.fetches == 1


async def test_old_keys_are_fetched_again_and_what_was_withdrawn_is_gone() -> None:
    issuer = Issuer(RSA, EC)
    await issuer.key("rsa")
    issuer.publishes(EC)
    issuer.now_s = FRESH_S
    assert await issuer.key("rsa") is None
    assert issuer.fetches == 2
    issuer.publishes()
    issuer.now_s *= 2
    assert await issuer.key("ec", "ES256") is None


async def test_a_rotated_key_is_picked_up_when_a_token_names_it() -> None:
    issuer = Issuer(RSA)
    await issuer.key("rsa")
    issuer.publishes(RSA, EC)
    issuer.now_s = BETWEEN_FETCHES_S
    assert await issuer.key("ec", "ES256") == EC_KEY.public_key()
    assert await issuer.key("rsa") == RSA_KEY.public_key()
    assert issuer.fetches == 2


@pytest.mark.parametrize("is_down", [False, True])
async def test_unknown_names_cost_one_fetch_a_minute_however_many_come(is_down: bool) -> None:
    issuer = Issuer(RSA)
    await issuer.key("rsa")
    if is_down:
        issuer.is_down()
    for minute in range(1, 4):
        for second in range(60):
            issuer.now_s = minute * BETWEEN_FETCHES_S + second
            found = await asyncio.gather(*(issuer.key(f"no-{minute}-{second}-{n}") for n in range(20)))
            assert set(found) == {None}
        assert issuer.fetches == 1 + minute


async def test_the_name_of_another_types_key_is_known_and_costs_no_fetch() -> None:
    issuer = Issuer(RSA)
    await issuer.key("rsa")
    issuer.now_s = FRESH_S - 1
    assert await issuer.key("rsa", "ES256") is None
    assert await issuer.key(None, "ES256") is None
    assert issuer.fetches == 1


async def test_tokens_that_come_while_keys_are_fetched_wait_for_the_same_fetch() -> None:
    issuer = Issuer(RSA, EC)
    issuer.may_answer.clear()
    waiting = [asyncio.create_task(issuer.key("rsa")) for _ in range(50)]
    await asyncio.sleep(0)
    waiting[0].cancel()  # the one that began it goes away; the others still get their answer
    while not issuer.fetches:
        await asyncio.sleep(0)
    issuer.may_answer.set()
    found = await asyncio.gather(*waiting[1:])
    assert {key == RSA_KEY.public_key() for key in found} == {True}
    assert waiting[0].cancelled()
    assert issuer.fetches == 1


async def test_known_keys_serve_at_once_while_a_name_is_looked_for() -> None:
    issuer = Issuer(RSA)
    await issuer.key("rsa")
    issuer.now_s = BETWEEN_FETCHES_S
    issuer.may_answer.clear()
    looking = asyncio.create_task(issuer.key("ec", "ES256"))
    while issuer.fetches < 2:
        await asyncio.sleep(0)
    async with asyncio.timeout(1):
        assert await issuer.key("rsa") == RSA_KEY.public_key()
    assert not looking.done()
    issuer.may_answer.set()
    assert await looking is None


# -- when they cannot be had -------------------------------------------------------------------------------------------


async def test_without_any_keys_the_refusal_says_whose_fault_it_is_and_when_to_come_back() -> None:
    issuer = Issuer()
    issuer.is_down()
    for second in (0, 20, 59):
        issuer.now_s = second
        with pytest.raises(BackendUnavailable, match=r"^the keys that verify tokens cannot be had$") as refused:
            await issuer.key("rsa")
        assert refused.value.retry_after_s == BETWEEN_FETCHES_S - second
        assert refused.value.extensions["retryable"]
    assert issuer.fetches == 1
    issuer.publishes(RSA)
    issuer.now_s = BETWEEN_FETCHES_S
    assert await issuer.key("rsa") == RSA_KEY.public_key()


async def test_old_keys_serve_for_a_day_while_the_issuer_is_down() -> None:
    issuer = Issuer(RSA)
    await issuer.key("rsa")
    issuer.is_down()
    for issuer.now_s in (FRESH_S, 3600.0, STALE_S - 1):
        assert await issuer.key("rsa") == RSA_KEY.public_key()
        while issuer.jwks._fetching is not None:
            await asyncio.sleep(0)
    assert issuer.fetches == 4
    issuer.now_s = STALE_S
    with pytest.raises(BackendUnavailable):
        await issuer.key("rsa")


async def test_while_the_issuer_is_down_who_names_a_known_key_does_not_wait() -> None:
    issuer = Issuer(RSA)
    await issuer.key("rsa")
    issuer.is_down()
    issuer.now_s = FRESH_S
    await issuer.key("rsa")
    issuer.now_s += BETWEEN_FETCHES_S
    issuer.may_answer.clear()
    async with asyncio.timeout(1):
        assert await issuer.key("rsa") == RSA_KEY.public_key()
    while issuer.fetches < 3:
        await asyncio.sleep(0)
    await issuer.jwks.aclose()


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500, content=key_set(RSA)),
        httpx.Response(404),
        httpx.Response(204),
        httpx.Response(302, headers={"Location": "http://evil.example/keys"}),
        httpx.Response(200, content=b"<html>"),
        httpx.Response(200, content=key_set(RSA) + b" " * MAX_BODY_BYTES),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("garbled"),
        OSError("no route"),
        TimeoutError(),
        UnicodeError("no host"),
    ],
    ids=repr,
)
async def test_every_failure_to_fetch_is_the_same_to_the_caller_and_told_in_the_log(
    answer: httpx.Response | Exception, caplog: pytest.LogCaptureFixture
) -> None:
    issuer = Issuer()
    issuer.answer = answer
    with caplog.at_level(logging.WARNING, "omnistack.jwks"), pytest.raises(BackendUnavailable):
        await issuer.key("rsa")
    [record] = caplog.records
    assert record.getMessage().startswith("the keys that verify tokens could not be fetched: ")
    assert not record.getMessage().endswith(": ")


# -- over a wire -------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def served(answer: bytes, *, then_hang: bool = False) -> AsyncIterator[tuple[HttpUrl, list[bytes]]]:
    """A server on loopback that answers every request so; its address and the requests."""
    heard: list[bytes] = []
    over = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            heard.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
            await writer.drain()
            if then_hang:
                await over.wait()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield HttpUrl(f"http://127.0.0.1:{port}/realms/demo/certs?v=1"), heard
    finally:
        over.set()
        server.close()
        await server.wait_closed()


def http(status: str, body: bytes, *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(head).encode() + body


async def test_a_token_is_verified_by_keys_from_a_real_server() -> None:
    async with served(http("200 OK", key_set(RSA, EC))) as (url, heard), open_jwks(url) as jwks:
        verifier = TokenVerifier(None, keys=jwks)
        keys: list[tuple[RSAPrivateKey | EllipticCurvePrivateKey, str, str]]
        keys = [(RSA_KEY, "rsa", "RS256"), (EC_KEY, "ec", "ES256")]
        for key, kid, algorithm in keys:
            signed = jwt.encode({"sub": "u", "exp": LATER}, key, algorithm=algorithm, headers={"kid": kid})
            assert (await verifier.verify(signed)).subject == "u"
        forged = jwt.encode({"sub": "u", "exp": LATER}, OTHER_RSA_KEY, algorithm="RS256", headers={"kid": "rsa"})
        with pytest.raises(Unauthenticated):
            await verifier.verify(forged)
        [request] = heard
        assert request.startswith(b"GET /realms/demo/certs?v=1 HTTP/1.1\r\n")
        assert b"accept-encoding: identity\r\n" in request.lower()


async def test_a_redirect_is_not_followed() -> None:
    async with served(http("200 OK", key_set(RSA))) as (target, followed):
        moved = http("302 Found", b"", f"Location: {target}")
        async with served(moved) as (url, heard), open_jwks(url) as jwks:
            assert jwks is not None
            with pytest.raises(BackendUnavailable):
                await jwks.key("rsa", "RS256")
            assert (len(heard), followed) == (1, [])


async def test_an_answer_that_unfolds_is_not_read() -> None:
    bomb = gzip.compress(key_set(RSA) + b" " * 10_000_000)
    async with served(http("200 OK", bomb, "Content-Encoding: gzip")) as (url, heard), open_jwks(url) as jwks:
        assert jwks is not None
        with pytest.raises(BackendUnavailable):
            await jwks.key("rsa", "RS256")
        assert len(heard) == 1


async def test_an_issuer_that_does_not_finish_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasources.jwks.TIMEOUT_S", 0.05)
    head = http("200 OK", key_set(RSA))[:-10]
    async with served(head, then_hang=True) as (url, _), open_jwks(url) as jwks:
        assert jwks is not None
        with pytest.raises(BackendUnavailable):
            await jwks.key("rsa", "RS256")


async def test_a_fetch_that_is_under_way_ends_with_the_gateway() -> None:
    async with served(b"", then_hang=True) as (url, heard):
        async with open_jwks(url) as jwks:
            assert jwks is not None
            waiting = asyncio.create_task(jwks.key("rsa", "RS256"))
            while not heard:
                await asyncio.sleep(0.001)
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_without_an_address_there_are_no_keys() -> None:
    async with open_jwks(None) as jwks:
        assert jwks is None
