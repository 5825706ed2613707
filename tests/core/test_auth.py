"""Credentials: where they are read from, which tokens are believed, how keys are kept."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest
from starlette.datastructures import Headers

from core.auth import (
    CLOCK_SKEW_S,
    Credentials,
    TokenVerifier,
    equal,
    hash_key,
    new_key,
    read_credentials,
)
from core.errors import Unauthenticated

SECRET = "a secret of at least thirty-two bytes"


def token(claims: dict[str, Any] | None = None, *, secret: str = SECRET, **without: None) -> str:
    """A valid token but for `claims`; `name=None` leaves a claim out."""
    whole = {"sub": "5f" * 12, "exp": time.time() + 60, "role": "STAFF"} | (claims or {})
    return jwt.encode({k: v for k, v in whole.items() if k not in without}, secret, algorithm="HS256")


@pytest.fixture
def verifier() -> TokenVerifier:
    return TokenVerifier(SECRET)


# -- reading credentials -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, Credentials()),
        ({"X-API-Key": "k"}, Credentials(api_key="k")),
        ({"x-api-key": "k", "Client-X-Api-Key": "c"}, Credentials(api_key="k", client_api_key="c")),
        ({"AUTHORIZATION": "bearer  t "}, Credentials(bearer="t")),
        ({"x-api-key": "", "authorization": "", "other": "x"}, Credentials()),
        ({"x-api-key": None}, Credentials()),
    ],
)
def test_credentials_are_read_by_name_whatever_its_case(headers: dict[str, Any], expected: Credentials) -> None:
    assert read_credentials(headers) == expected
    assert read_credentials(headers).are_none is (expected == Credentials())


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Basic abc"},
        {"authorization": "Bearer"},
        {"authorization": "Bearer  "},
        {"authorization": "token"},
        {"x-api-key": "clé"},
        {"x-api-key": "\ud800"},
        {"x-api-key": {"$ne": ""}},
        {"x-api-key": ["a"]},
        {"x-api-key": True},
        {"x-api-key": "a", "X-API-KEY": "b"},
    ],
)
def test_credentials_that_cannot_be_any_are_refused(headers: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        read_credentials(headers)


def test_a_header_that_comes_twice_must_say_the_same() -> None:
    twice = Headers(raw=[(b"x-api-key", b"a"), (b"x-api-key", b"b")])
    with pytest.raises(Unauthenticated):
        read_credentials(twice)
    assert read_credentials(Headers(raw=[(b"x-api-key", b"a"), (b"x-api-key", b"a")])).api_key == "a"


# -- tokens ------------------------------------------------------------------------------------------------------------


def test_a_valid_token_gives_its_claims(verifier: TokenVerifier) -> None:
    until = int(time.time()) + 60
    read = verifier.verify(token({"exp": until, "scope": "core:read  erp:read"}))
    assert (read.subject, read.role, read.expires_at) == ("5f" * 12, "STAFF", until)
    assert read.scope == frozenset({"core:read", "erp:read"})
    assert verifier.verify(token()).scope is None
    assert verifier.verify(token({"scope": ""})).scope == frozenset()
    assert verifier.verify(token(role=None)).role is None


def test_a_clock_may_be_off_by_the_skew_and_no_more(verifier: TokenVerifier) -> None:
    verifier.verify(token({"exp": time.time() - CLOCK_SKEW_S + 10}))
    with pytest.raises(Unauthenticated):
        verifier.verify(token({"exp": time.time() - CLOCK_SKEW_S - 1}))


@pytest.mark.parametrize(
    "bearer",
    [
        token({"exp": time.time() - 3600}),
        token({"nbf": time.time() + 3600}),
        token(exp=None),
        token(sub=None),
        token({"sub": 7}),
        token({"sub": {"$ne": None}}),
        token({"sub": None}),
        token({"exp": "soon"}),
        token({"exp": float("inf")}),
        token({"exp": float("nan")}),
        token({"exp": 10**400}),
        token({"exp": {"$gt": 0}}),
        token({"scope": ["core:read"]}),
        token({"scope": {}}),
        token({"role": ["ADMIN"]}),
        token(secret="another secret of thirty-two bytes!!"),
        token() + "x",
        token()[:-1],
        "",
        "a.b.c",
        "ä.ö.ü",
        jwt.encode({"sub": "u", "exp": time.time() + 60}, "", algorithm="none"),
        jwt.encode({"sub": "u", "exp": time.time() + 60}, SECRET * 2, algorithm="HS512"),
    ],
)
def test_every_other_token_is_refused_with_one_message(verifier: TokenVerifier, bearer: str) -> None:
    with pytest.raises(Unauthenticated, match=r"^the token is not valid$"):
        verifier.verify(bearer)


def test_an_unsigned_token_is_refused_even_with_the_header_of_a_signed_one(verifier: TokenVerifier) -> None:
    head, claims, _ = token().split(".")
    with pytest.raises(Unauthenticated):
        verifier.verify(f"{head}.{claims}.")


def test_issuer_and_audience_are_checked_where_they_are_configured() -> None:
    strict = TokenVerifier(SECRET, issuer="https://id.example", audience="gateway")
    right = {"iss": "https://id.example", "aud": ["gateway", "other"]}
    strict.verify(token(right))
    for wrong in ({"iss": "https://other.example"}, {"aud": "other"}):
        with pytest.raises(Unauthenticated):
            strict.verify(token(right | wrong))
    with pytest.raises(Unauthenticated):
        strict.verify(token())
    TokenVerifier(SECRET).verify(token(right))


# -- keys --------------------------------------------------------------------------------------------------------------


def test_keys_are_long_random_and_found_by_a_hash_that_depends_on_the_pepper() -> None:
    one, other = new_key(), new_key()
    assert one != other
    assert one.startswith("sk_")
    assert len(bytes.fromhex(one.removeprefix("sk_"))) == 32
    assert hash_key("p", one) == hash_key("p", one)
    assert len({hash_key("p", one), hash_key("q", one), hash_key("p", other)}) == 3
    assert one not in hash_key("p", one)


def test_an_empty_expectation_equals_nothing() -> None:
    assert equal("a", "a")
    assert not equal("a", "b")
    assert not equal("", "")
    assert not equal("a", "")


def test_secrets_are_never_in_a_repr() -> None:
    shown = Credentials("the-api-key", "the-client-key", "the-bearer")
    for secret, holder in [("the-", shown), (SECRET, TokenVerifier(SECRET))]:
        assert secret not in repr(holder)
        assert secret not in f"{holder}"
