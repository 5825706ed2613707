"""Credentials: where they are read from, which tokens are believed, how keys are kept."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm
from starlette.datastructures import Headers

from core.auth import (
    CLOCK_SKEW_S,
    Credentials,
    PublicKey,
    TokenVerifier,
    equal,
    hash_key,
    new_key,
    read_credentials,
)
from core.backends import BackendName
from core.errors import BackendUnavailable, Unauthenticated

SECRET = "a secret of at least thirty-two bytes"
ISSUER = "https://id.example"
RSA_KEY, OTHER_RSA_KEY = generate_rsa_key(65537, 2048), generate_rsa_key(65537, 2048)
EC_KEY = generate_ec_key(SECP256R1())


def sign(claims: dict[str, Any], key: Any, algorithm: str, headers: dict[str, Any] | None = None) -> str:
    """Signs claims of any type, as `jwt.encode` would not."""
    return jwt.PyJWS().encode(json.dumps(claims).encode(), key, algorithm, {"typ": "JWT"} | (headers or {}))


def token(claims: dict[str, Any] | None = None, *, secret: str = SECRET, **without: None) -> str:
    """A valid token but for `claims`; `name=None` leaves a claim out."""
    whole = {"sub": "5f" * 12, "exp": time.time() + 60, "role": "STAFF"} | (claims or {})
    return sign({k: v for k, v in whole.items() if k not in without}, secret, "HS256")


def segment(value: Any) -> str:
    """A part of a token, of whatever can be JSON, as attackers write it."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


class Keys:
    """An issuer's keys by name and algorithm; `asked` is what was asked for."""

    def __init__(self, keys: dict[str, dict[str, PublicKey]]) -> None:
        self._keys = keys
        self.asked: list[str | None] = []

    async def key(self, kid: str | None, algorithm: str) -> PublicKey | None:
        self.asked.append(kid)
        if kid is None:
            [*all_keys] = [by for named in self._keys.values() for by in named.items()]
            return all_keys[0][1] if len(all_keys) == 1 and all_keys[0][0] == algorithm else None
        return self._keys.get(kid, {}).get(algorithm)


class Issuer:
    """Signs by `rsa` and `ec`, and is the verifier's only issuer."""

    def __init__(self) -> None:
        self.keys = Keys({"rsa": {"RS256": RSA_KEY.public_key()}, "ec": {"ES256": EC_KEY.public_key()}})
        self.verifier = TokenVerifier(None, ISSUER, keys=self.keys)

    def beside_a_secret(self) -> TokenVerifier:
        return TokenVerifier(SECRET, ISSUER, keys=self.keys)

    def claims(self, claims: dict[str, Any] | None = None, **without: None) -> dict[str, Any]:
        whole = {"iss": ISSUER, "sub": "5f" * 12, "exp": time.time() + 60, "role": "STAFF"} | (claims or {})
        return {name: value for name, value in whole.items() if name not in without}

    def token(
        self, claims: dict[str, Any] | None = None, *, kid: str = "rsa", algorithm: str = "RS256", **without: None
    ) -> str:
        """A valid token but for what is asked; `name=None` leaves a claim out."""
        key = RSA_KEY if algorithm == "RS256" else EC_KEY
        return sign(self.claims(claims, **without), key, algorithm, {"kid": kid})


async def refuse(verifier: TokenVerifier, bearer: str) -> None:
    with pytest.raises(Unauthenticated, match=r"^the token is not valid$"):
        await verifier.verify(bearer)


@pytest.fixture
def verifier() -> TokenVerifier:
    return TokenVerifier(SECRET)


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


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


async def test_a_valid_token_gives_its_claims(verifier: TokenVerifier) -> None:
    until = int(time.time()) + 60
    read = await verifier.verify(token({"exp": until, "scope": "core:read  erp:read"}))
    assert (read.subject, read.role, read.expires_at) == ("5f" * 12, "STAFF", until)
    assert read.scope == frozenset({"core:read", "erp:read"})
    assert (await verifier.verify(token())).scope is None
    assert (await verifier.verify(token({"scope": ""}))).scope == frozenset()
    assert (await verifier.verify(token(role=None))).role is None


async def test_a_clock_may_be_off_by_the_skew_and_no_more(verifier: TokenVerifier) -> None:
    await verifier.verify(token({"exp": time.time() - CLOCK_SKEW_S + 10}))
    await refuse(verifier, token({"exp": time.time() - CLOCK_SKEW_S - 1}))
    for claim in ("nbf", "iat"):
        await verifier.verify(token({claim: time.time() + CLOCK_SKEW_S - 10}))
        await refuse(verifier, token({claim: time.time() + CLOCK_SKEW_S + 10}))


WRONG_CLAIMS: list[dict[str, Any]] = [
    {"exp": time.time() - 3600},
    {"exp": 0},
    {"exp": -1},
    {"exp": -(10**400)},
    {"exp": None},
    {"exp": True},
    {"exp": False},
    {"exp": "soon"},
    {"exp": "99999999999"},
    {"exp": float("inf")},
    {"exp": float("-inf")},
    {"exp": float("nan")},
    {"exp": 10**400},
    {"exp": {"$gt": 0}},
    {"exp": [99999999999]},
    {"nbf": time.time() + 3600},
    {"nbf": "0"},
    {"nbf": True},
    {"iat": time.time() + 3600},
    {"iat": "0"},
    {"iat": []},
    {"sub": 7},
    {"sub": {"$ne": None}},
    {"sub": ["5f" * 12]},
    {"sub": None},
    {"scope": ["core:read"]},
    {"scope": {}},
    {"role": ["ADMIN"]},
    {"role": 1},
]


@pytest.mark.parametrize("claims", WRONG_CLAIMS, ids=str)
async def test_a_token_with_such_claims_is_refused_whoever_signed_it(
    verifier: TokenVerifier, issuer: Issuer, claims: dict[str, Any]
) -> None:
    await refuse(verifier, token(claims))
    await refuse(issuer.verifier, issuer.token(claims))


async def test_a_token_without_expiry_or_subject_is_refused(verifier: TokenVerifier, issuer: Issuer) -> None:
    for bearer in (token(exp=None), token(sub=None)):
        await refuse(verifier, bearer)
    for bearer in (issuer.token(exp=None), issuer.token(sub=None)):
        await refuse(issuer.verifier, bearer)


@pytest.mark.parametrize(
    "bearer",
    [
        token(secret="another secret of thirty-two bytes!!"),
        token() + "x",
        token()[:-1],
        token() + ".",
        "",
        ".",
        "..",
        "a.b.c",
        "ä.ö.ü",
        token().rpartition(".")[0] + ".ünterschrift",
        token().rpartition(".")[0] + ".\ud800",
        token().rpartition(".")[0] + ".",
        jwt.encode({"sub": "u", "exp": time.time() + 60}, "", algorithm="none"),
        jwt.encode({"sub": "u", "exp": time.time() + 60}, SECRET * 2, algorithm="HS512"),
        token({"note": "x" * 10_000}),
        "x" * 10_000,
        "." * 10_000,
        base64.urlsafe_b64encode(b"[" * 5_000).decode() + ".e30.x",
        "a.b.c" * 2_000,
    ],
    ids=lambda bearer: ascii(bearer[-24:]),
)
async def test_every_other_token_is_refused(verifier: TokenVerifier, issuer: Issuer, bearer: str) -> None:
    for each in (verifier, issuer.verifier, issuer.beside_a_secret()):
        await refuse(each, bearer)


async def test_an_unsigned_token_is_refused_even_with_the_header_of_a_signed_one(
    verifier: TokenVerifier, issuer: Issuer
) -> None:
    for each, signed in [(verifier, token()), (issuer.verifier, issuer.token())]:
        head, claims, _ = signed.split(".")
        await refuse(each, f"{head}.{claims}.")


async def test_issuer_and_audience_are_checked_where_they_are_configured() -> None:
    strict = TokenVerifier(SECRET, issuer="https://id.example", audience="gateway")
    right = {"iss": "https://id.example", "aud": "gateway"}
    await strict.verify(token(right))
    await strict.verify(token(right | {"aud": ["gateway", "other"]}))
    wrong: list[dict[str, Any]] = [
        {"iss": "https://other.example"},
        {"iss": ["https://id.example"]},
        {"iss": None},
        {"aud": "other"},
        {"aud": ["other", "another"]},
        {"aud": []},
        {"aud": "gateway "},
        {"aud": {"gateway": 1}},
        {"aud": [["gateway"]]},
        {"aud": None},
    ]
    for claims in wrong:
        await refuse(strict, token(right | claims))
    await refuse(strict, token())
    await TokenVerifier(SECRET).verify(token(right))


async def test_without_any_source_no_token_is_believed() -> None:
    for secret in (None, ""):
        await refuse(TokenVerifier(secret), token())
        await refuse(TokenVerifier(secret), jwt.encode({"sub": "u", "exp": time.time() + 60}, "", algorithm="none"))


# -- tokens by public keys ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kid", "algorithm"), [("rsa", "RS256"), ("ec", "ES256")])
async def test_a_token_of_the_issuer_is_believed(issuer: Issuer, kid: str, algorithm: str) -> None:
    read = await issuer.verifier.verify(issuer.token(kid=kid, algorithm=algorithm))
    assert (read.subject, read.role) == ("5f" * 12, "STAFF")


@pytest.mark.parametrize(
    ("kid", "algorithm"), [("rsa", "RS512"), ("rsa", "PS256"), ("ec", "ES256K"), ("rsa", "none"), ("ec", "EdDSA")]
)
async def test_the_issuer_signs_by_no_other_algorithm(issuer: Issuer, kid: str, algorithm: str) -> None:
    head = segment({"alg": algorithm, "typ": "JWT", "kid": kid})
    _, claims, signature = issuer.token(kid="rsa").split(".")
    await refuse(issuer.verifier, f"{head}.{claims}.{signature}")
    if algorithm in ("RS512", "PS256"):
        signed = jwt.encode(issuer.claims(), RSA_KEY, algorithm=algorithm, headers={"kid": kid})
        await refuse(issuer.verifier, signed)


async def test_a_token_stands_by_the_key_that_it_names_and_its_type(issuer: Issuer) -> None:
    await refuse(issuer.verifier, issuer.token(kid="rsa", algorithm="ES256"))
    await refuse(issuer.verifier, issuer.token(kid="ec", algorithm="RS256"))
    await refuse(issuer.verifier, jwt.encode(issuer.claims(), OTHER_RSA_KEY, algorithm="RS256", headers={"kid": "rsa"}))
    await refuse(issuer.verifier, issuer.token(kid="unheard-of"))


@pytest.mark.parametrize("with_secret", [False, True])
async def test_a_public_key_is_no_secret(issuer: Issuer, with_secret: bool) -> None:
    """HS256 under what everybody can read, in every form in which it might be taken for the secret."""
    verifier = issuer.beside_a_secret() if with_secret else issuer.verifier
    public = RSA_KEY.public_key()
    forms = [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.PEM, PublicFormat.PKCS1),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(RSAAlgorithm.to_jwk(public, as_dict=True)).encode(),
        b"",
    ]
    for form in forms:
        for kid in ({"kid": "rsa"}, {}):
            for claims in (issuer.claims(), issuer.claims(iss=None)):
                signed = f"{segment({'alg': 'HS256', 'typ': 'JWT', **kid})}.{segment(claims)}"
                mac = hmac.new(form, signed.encode(), hashlib.sha256).digest()
                await refuse(verifier, f"{signed}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}")


async def test_a_secret_that_looks_like_a_public_key_believes_nothing() -> None:
    pem = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    await refuse(TokenVerifier(pem), token())


async def test_each_source_judges_the_tokens_of_its_own_issuer_alone(issuer: Issuer) -> None:
    both = issuer.beside_a_secret()
    await both.verify(token())
    await both.verify(issuer.token())
    await refuse(both, token({"iss": ISSUER}))
    await refuse(both, token({"iss": "https://other.example"}))
    await refuse(both, token({"iss": ""}))
    await refuse(both, issuer.token(iss=None))
    await refuse(both, issuer.token({"iss": "https://other.example"}))


async def test_without_a_configured_issuer_naming_one_still_decides_the_source(issuer: Issuer) -> None:
    both = TokenVerifier(SECRET, keys=issuer.keys)
    await both.verify(token())
    await both.verify(issuer.token())
    await refuse(both, token({"iss": ISSUER}))
    await refuse(both, issuer.token(iss=None))


async def test_with_public_keys_alone_the_issuer_is_theirs(issuer: Issuer) -> None:
    await refuse(issuer.verifier, token())
    await refuse(issuer.verifier, issuer.token(iss=None))
    await refuse(issuer.verifier, issuer.token({"iss": "https://other.example"}))
    await TokenVerifier(None, keys=issuer.keys).verify(issuer.token(iss=None))


@pytest.mark.parametrize(
    "kid",
    [
        "../../../../dev/null",
        "/proc/self/environ",
        "rsa' OR '1'='1",
        "x'; DROP TABLE keys; --",
        "https://evil.example/jwks.json",
        "rsa\u0000",
        "rsa ",
        "RSA",
        "",
        "\ud800",
        "x" * 257,
        "x" * 4000,
        7,
        True,
        0.5,
        None,
        ["rsa"],
        {"$ne": None},
    ],
    ids=lambda kid: ascii(kid)[:24],
)
async def test_the_name_of_a_key_is_a_name_and_nothing_else(issuer: Issuer, kid: Any) -> None:
    signed = f"{segment({'alg': 'RS256', 'typ': 'JWT', 'kid': kid})}.{segment(issuer.claims())}"
    signature = RSA_KEY.sign(signed.encode(), PKCS1v15(), SHA256())
    await refuse(issuer.verifier, f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}")
    assert all(isinstance(asked, str) and len(asked) <= 256 for asked in issuer.keys.asked)


@pytest.mark.parametrize("kid", ["mine", None])
async def test_a_key_that_a_token_brings_along_is_not_used(issuer: Issuer, kid: str | None) -> None:
    public = OTHER_RSA_KEY.public_key()
    headers: dict[str, Any] = {
        "jwk": RSAAlgorithm.to_jwk(public, as_dict=True) | {"kid": "mine"},
        "jku": "https://evil.example/jwks.json",
        "x5u": "https://evil.example/cert.pem",
        "x5c": [base64.b64encode(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()],
    } | ({} if kid is None else {"kid": kid})
    await refuse(issuer.verifier, jwt.encode(issuer.claims(), OTHER_RSA_KEY, algorithm="RS256", headers=headers))
    mine = headers | {"kid": "rsa"}
    await issuer.verifier.verify(jwt.encode(issuer.claims(), RSA_KEY, algorithm="RS256", headers=mine))


async def test_a_token_names_no_key_only_where_there_is_one(issuer: Issuer) -> None:
    without = jwt.encode(issuer.claims(), RSA_KEY, algorithm="RS256")
    await refuse(issuer.verifier, without)
    alone = TokenVerifier(None, ISSUER, keys=Keys({"rsa": {"RS256": RSA_KEY.public_key()}}))
    await alone.verify(without)


async def test_a_signature_of_the_wrong_shape_is_refused(issuer: Issuer) -> None:
    signed = issuer.token(kid="ec", algorithm="ES256").rpartition(".")[0]
    shapes = [b"", b"\0" * 64, b"\0" * 63, b"\xff" * 64, b"\0" * 65, b"\0" * 4096]
    for shape in (*shapes, EC_KEY.sign(signed.encode(), ECDSA(SHA256()))):
        await refuse(issuer.verifier, f"{signed}.{base64.urlsafe_b64encode(shape).decode().rstrip('=')}")


async def test_no_key_is_asked_for_on_behalf_of_another_issuer_or_algorithm(issuer: Issuer) -> None:
    for bearer in (token(), issuer.token({"iss": "https://other.example"}), issuer.token(iss=None), "x" * 10_000):
        await refuse(issuer.verifier, bearer)
    assert issuer.keys.asked == []


async def test_keys_that_cannot_be_had_are_not_the_callers_fault(issuer: Issuer) -> None:
    class Gone:
        async def key(self, kid: str | None, algorithm: str) -> PublicKey | None:
            raise BackendUnavailable(BackendName.OMNISTACK, "the keys cannot be had")

    with pytest.raises(BackendUnavailable):
        await TokenVerifier(SECRET, ISSUER, keys=Gone()).verify(issuer.token())
    await TokenVerifier(SECRET, ISSUER, keys=Gone()).verify(token())


LOOP = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)


@LOOP
@given(bearer=st.text() | st.from_regex(r"[\w-]{0,40}\.[\w-]{0,40}\.[\w-]{0,40}", fullmatch=True))
async def test_whatever_text_it_is_it_is_refused(issuer: Issuer, bearer: str) -> None:
    for each in (TokenVerifier(SECRET), issuer.verifier, issuer.beside_a_secret()):
        await refuse(each, bearer)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@LOOP
@given(header=JSON, claims=JSON, at=st.sampled_from(["alg", "kid", "crit", "b64", "typ", "zip"]), value=JSON)
async def test_whatever_json_it_holds_it_is_refused(
    issuer: Issuer, header: Any, claims: Any, at: str, value: Any
) -> None:
    """A signature of neither source beside every header and every claims."""
    ours: dict[str, Any] = {"alg": "RS256", "kid": "rsa", "typ": "JWT"}
    for head, body in [(header, issuer.claims()), (ours, claims), (ours | {at: value}, issuer.claims())]:
        bearer = f"{segment(head)}.{segment(body)}.{'A' * 342}"
        for each in (TokenVerifier(SECRET), issuer.verifier, issuer.beside_a_secret()):
            await refuse(each, bearer)


SIGNED = [
    token({"exp": time.time() + 3600}),
    Issuer().token({"exp": time.time() + 3600}),
    Issuer().token({"exp": time.time() + 3600}, kid="ec", algorithm="ES256"),
]
"""Signed once: hypothesis wants the same text to change in every run."""


@LOOP
@given(which=st.integers(0, 2), at=st.integers(0, 10_000), other=st.characters())
async def test_a_token_with_one_character_changed_is_refused(issuer: Issuer, which: int, at: int, other: str) -> None:
    whole, verifier = SIGNED[which], issuer.beside_a_secret()
    await verifier.verify(whole)
    at %= len(whole)
    assume(other != whole[at])
    await refuse(verifier, whole[:at] + other + whole[at + 1 :])


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
