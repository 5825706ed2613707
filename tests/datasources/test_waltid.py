"""walt.id's wire: which of its three services is asked what, and every one of its ways that is easily got wrong."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import jwt
import pytest
from pydantic import SecretStr

from core import jwt_credentials, operation
from core.errors import (
    BackendBadResponse,
    BackendError,
    BackendRateLimited,
    BackendRejected,
    BackendTimeout,
    BackendUnavailable,
)
from core.operation import Operation
from datasources.waltid import Policies, WalletLocked, Waltid, readable
from sandbox import keys
from sandbox.faults import Fault
from sandbox.waltid.seeding import credential_id
from tests.callers import person
from tests.identity import BASE, TYPE, Clock, Identity, new, open_identity, settings

ANN, BOB = person("CUSTOMER"), person("CUSTOMER", n=1)
STRANGER = "f" * 24
MINE = f"/wallet/wallet-api/wallet/{ANN.wallet_id}"
USUAL = Policies(["signature", "expired"], ["signature", "expired", "not-before"])


@pytest.fixture
async def identity() -> AsyncIterator[Identity]:
    operation.enter(Operation())
    async with open_identity() as opened:
        yield opened


def answering(answer: Callable[[httpx.Request], httpx.Response], **changes: Any) -> Waltid:
    operation.enter(Operation())
    return Waltid(httpx.AsyncClient(transport=httpx.MockTransport(answer)), settings(**changes))


def wallet_answers(request: httpx.Request) -> httpx.Response | None:
    """What a wallet service says to somebody who signs in."""
    if request.url.path.endswith("/auth/login"):
        return httpx.Response(200, json={"id": "a", "token": "a.b.c", "username": "u"})
    if request.url.path.endswith("/accounts/wallets"):
        found = [{"id": ANN.wallet_id, "permission": "ADMINISTRATE"}]
        return httpx.Response(200, json={"account": "a", "wallets": found})
    if request.url.path.endswith("/dids"):
        return httpx.Response(200, json=[{"did": "did:jwk:x", "document": "{}", "keyId": "k", "default": True}])
    return None


# -- issuing -----------------------------------------------------------------------------------------------------------


async def test_a_credential_goes_into_its_holders_wallet(identity: Identity) -> None:
    issued = await identity.waltid.issue(ANN.id, new())
    assert identity.paths == [
        "POST /wallet/wallet-api/auth/login",
        "GET /wallet/wallet-api/wallet/accounts/wallets",
        f"GET {MINE}/dids",
        "POST /issuer/raw/jwt/sign",
        f"POST {MINE}/credentials/import",
    ]
    held = identity.held(ANN.wallet_id)[-1]
    assert (held["id"], issued.held_as) == (new().id, new().id)
    said = jwt_credentials.read(held["document"])
    assert jwt_credentials.is_signed_by_issuer(said)
    assert said.types == ("VerifiableCredential", TYPE)
    assert said.body["credentialSubject"] == {"level": "gold", "id": issued.subject}
    assert (said.issuer, said.subject) == (identity.waltid.issuer_did, issued.subject)
    assert (said.issued_at, said.expires_at) == (issued.issued_at, issued.expires_at)
    assert issued.issued_at is not None
    assert issued.expires_at is not None
    assert (issued.expires_at - issued.issued_at).days == 365


async def test_what_the_issuer_would_drop_or_leave_out_stands_where_it_is_read(identity: Identity) -> None:
    """Unknown keys beside the credential are ignored, a mapping gets no id and no end of its own accord, and without
    `issuerDid` another identifier of the key is taken."""
    await identity.waltid.issue(ANN.id, new())
    [sent] = [json.loads(each.content) for each in identity.requests if each.url.path.endswith("/sign")]
    assert set(sent) == {"issuerKey", "issuerDid", "subjectDid", "credentialData", "mapping"}
    assert sent["credentialData"]["credentialStatus"] == new().status
    assert sent["mapping"]["jwt:jti"] == sent["credentialData"]["id"] == new().id
    assert {"jwt:exp", "jwt:nbf", "jwt:iat", "issuanceDate", "expirationDate"} <= set(sent["mapping"])
    document = identity.held(ANN.wallet_id)[-1]["document"]
    assert jwt.get_unverified_header(document)["typ"] == "JWT"
    assert "vc" in jwt_credentials.read(document).claims


async def test_issuing_again_finds_it_there(identity: Identity) -> None:
    first = await identity.waltid.issue(ANN.id, new())
    before = identity.held(ANN.wallet_id)
    again = await identity.waltid.issue(ANN.id, new())
    assert identity.held(ANN.wallet_id) == before
    assert again.held_as == first.held_as


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_stumble_while_issuing_is_repeated(identity: Identity, when: Any) -> None:
    identity.line.faults = [Fault("status", when=when, path=f"{MINE}/credentials/import", count=1)]
    await identity.waltid.issue(ANN.id, new())
    assert [row["id"] for row in identity.held(ANN.wallet_id)].count(new().id) == 1


async def test_an_issuer_that_signs_something_else_is_not_believed() -> None:
    other = jwt_credentials.sign(keys.WALTID_ISSUER_KEY, "x", {"jti": "other", "vc": {"credentialSubject": {}}})
    for token in (other, "eyJ.x.y", ""):

        def answer(request: httpx.Request, token: str = token) -> httpx.Response:
            return wallet_answers(request) or httpx.Response(200, text=token)

        with pytest.raises(BackendBadResponse):
            await answering(answer).issue(ANN.id, new())


async def test_an_older_release_takes_credentials_by_offer_only() -> None:
    operation.enter(Operation())
    async with open_identity(has_import=False) as identity:
        issued = await identity.waltid.issue(ANN.id, new())
        assert identity.paths[-4:] == [
            "GET /wallet/api.json",
            f"GET {MINE}/credentials",
            "POST /issuer/openid4vc/jwt/issue",
            f"POST {MINE}/exchange/useOfferRequest",
        ]
        held = identity.held(ANN.wallet_id)[-1]
        assert (held["id"], issued.held_as) == (new().id, new().id)
        assert held["parsedDocument"]["credentialSubject"] == {"level": "gold", "id": issued.subject}
        assert held["parsedDocument"]["credentialStatus"] == new().status
        taken = next(each for each in identity.requests if each.url.path.endswith("useOfferRequest"))
        assert taken.headers["content-type"] == "text/plain; charset=utf-8"
        assert taken.content.startswith(b"openid-credential-offer://")
        offers = len(identity.store.rows("offer"))
        assert (await identity.waltid.issue(ANN.id, new())).held_as == new().id
        assert len(identity.store.rows("offer")) == offers


@pytest.mark.parametrize("kind", ["status", "malformed"])
async def test_an_offer_whose_answer_was_lost_is_not_taken_twice(kind: Any) -> None:
    operation.enter(Operation())
    async with open_identity(has_import=False) as identity:
        path = f"{MINE}/exchange/useOfferRequest"
        identity.line.faults = [Fault(kind, when="after", path=path, count=1)]
        if kind == "status":
            issued = await identity.waltid.issue(ANN.id, new())
        else:
            with pytest.raises(BackendBadResponse):
                await identity.waltid.issue(ANN.id, new())
            issued = await identity.waltid.issue(ANN.id, new())
        assert issued.held_as == new().id
        assert identity.paths.count(f"POST {path}") == 1
        assert [row["id"] for row in identity.held(ANN.wallet_id)].count(new().id) == 1


async def test_an_offer_that_was_not_taken_fails_without_another_try() -> None:
    operation.enter(Operation())
    async with open_identity(has_import=False) as identity:
        path = f"{MINE}/exchange/useOfferRequest"
        identity.line.faults = [Fault("status", path=path)]
        with pytest.raises(BackendUnavailable):
            await identity.waltid.issue(ANN.id, new())
        assert identity.paths.count(f"POST {path}") == 1


async def test_what_is_missing_in_a_wallet_is_no_older_release(identity: Identity) -> None:
    identity.line.faults = [Fault("status", status=404, path=f"{MINE}/credentials/import", count=1)]
    with pytest.raises(BackendRejected):
        await identity.waltid.issue(ANN.id, new())
    assert identity.store.rows("offer") == []


async def test_an_offer_is_an_address_for_any_wallet(identity: Identity) -> None:
    url = await identity.waltid.offer(new())
    [row] = identity.store.rows("offer")
    assert (
        url
        == f"openid-credential-offer://?credential_offer_uri=http%3A%2F%2Fsandbox%2Fwaltid%2Fissuer%2Fdraft13%2FcredentialOffer%3Fid%3D{row['id']}"
    )
    assert row["request"]["issuerDid"] == identity.waltid.issuer_did
    assert row["request"]["credentialConfigurationId"] == f"{TYPE}_jwt_vc_json"
    assert identity.requests[-1].headers["sessionttl"] == "3600"


async def test_an_offer_of_an_unknown_type_is_refused_in_the_issuers_words(identity: Identity) -> None:
    with pytest.raises(BackendRejected, match="Invalid Credential Configuration Id"):
        await identity.waltid.offer(new(type="SomethingElse"))


async def test_an_offer_is_never_made_twice_by_itself(identity: Identity) -> None:
    identity.line.faults = [Fault("status", when="after", path="/issuer/openid4vc/jwt/issue")]
    with pytest.raises(BackendUnavailable):
        await identity.waltid.offer(new())
    assert len(identity.store.rows("offer")) == 1


async def test_a_status_list_is_signed_here_or_where_the_key_is() -> None:
    document = {"credentialSubject": {"id": "http://gateway/status/1#list"}, "type": ["VerifiableCredential"]}
    claims = {"jti": "http://gateway/status/1", "iat": 5}
    async with open_identity() as identity:
        token = await identity.waltid.sign_status_list(document, claims)
        said = jwt_credentials.read(token)
        assert jwt_credentials.is_signed_by_issuer(said)
        assert (said.id, said.body) == ("http://gateway/status/1", document)
        assert identity.paths == []
    asked: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content))
        return httpx.Response(200, text="e.f.g")

    vault = {"type": "tse", "id": "key-1"}
    waltid = answering(answer, issuer_key=SecretStr(json.dumps(vault)), issuer_did="did:web:issuer.example")
    assert await waltid.sign_status_list(document, claims) == "e.f.g"
    assert asked[0]["issuerKey"] == vault
    assert asked[0]["issuerDid"] == asked[0]["subjectDid"] == waltid.issuer_did == "did:web:issuer.example"
    assert asked[0]["mapping"] == {"jwt:jti": "http://gateway/status/1", "jwt:iat": 5}


# -- wallets -----------------------------------------------------------------------------------------------------------


async def test_a_wallet_is_made_once_and_opens_again(identity: Identity) -> None:
    made = await identity.waltid.wallet(STRANGER, is_known=False)
    async with open_identity(store=identity.store) as later:
        assert await later.waltid.wallet(STRANGER, is_known=False) == made
        assert await later.waltid.wallet(STRANGER, is_known=True) == made
    [account] = [row for row in identity.store.rows("account") if STRANGER in row["email"]]
    assert account["email"] == f"{STRANGER}@wallets.invalid"


async def test_accounts_are_named_by_ids_alone_and_no_two_passwords_are_alike(identity: Identity) -> None:
    for user_id in (STRANGER, "e" * 24):
        await identity.waltid.wallet(user_id, is_known=False)
    sent = [json.loads(each.content) for each in identity.requests if each.url.path.endswith("/register")]
    assert [set(each) for each in sent] == [{"type", "name", "email", "password"}] * 2
    assert sent[0]["type"] == "email"
    assert len({each["password"] for each in sent}) == 2
    assert all(len(each["password"]) == 64 for each in sent)


async def test_under_another_secret_a_wallet_does_not_open(identity: Identity) -> None:
    other = settings(wallet_secret=SecretStr("another secret of enough characters"))
    async with open_identity(store=identity.store, configured=other) as opened:
        for is_known in (True, False):
            with pytest.raises(WalletLocked):
                await opened.waltid.wallet(ANN.id, is_known=is_known)


async def test_who_is_said_to_have_a_wallet_gets_no_other(identity: Identity) -> None:
    with pytest.raises(WalletLocked):
        await identity.waltid.wallet(STRANGER, is_known=True)
    assert identity.paths == ["POST /wallet/wallet-api/auth/login"]


async def test_many_at_once_sign_in_once(identity: Identity) -> None:
    await asyncio.gather(*(identity.waltid.credentials(ANN.id) for _ in range(20)))
    assert identity.paths.count("POST /wallet/wallet-api/auth/login") == 1
    assert identity.paths.count(f"GET {MINE}/credentials") == 20


async def test_a_token_that_is_not_taken_any_more_is_replaced_once(identity: Identity) -> None:
    await identity.waltid.dids(ANN.id)
    identity.forget_calls()
    held = identity.waltid._sessions[ANN.id]
    identity.waltid._sessions[ANN.id] = dataclasses.replace(held, token="a.b.c")
    identity.line.faults = [Fault("latency", ms=30, path=f"{MINE}/credentials", count=3)]  # all have asked by then
    both = await asyncio.gather(*(identity.waltid.credentials(ANN.id) for _ in range(3)))
    assert [len(each) for each in both] == [1, 1, 1]
    assert identity.paths.count("POST /wallet/wallet-api/auth/login") == 1
    assert [call.status for call in identity.line.calls].count(401) == 3
    identity.line.faults = [Fault("status", status=401, path=f"{MINE}/credentials")]
    identity.forget_calls()
    with pytest.raises(BackendRejected) as refused:
        await identity.waltid.credentials(ANN.id)
    assert identity.paths.count(f"GET {MINE}/credentials") == 2
    assert "does not let the gateway in" in str(refused.value)


async def test_the_wallets_token_leaves_authorization_to_what_stands_in_front() -> None:
    seen: list[httpx.Headers] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers)
        return wallet_answers(request) or httpx.Response(200, json=[])

    waltid = Waltid.open(settings(api_key=SecretStr("proxy-key")))
    client = httpx.AsyncClient(transport=httpx.MockTransport(answer), headers=waltid._client.headers)
    await waltid.aclose()
    await Waltid(client, settings()).credentials(ANN.id)
    assert {headers["authorization"] for headers in seen} == {"Bearer proxy-key"}
    assert [headers.get("waltid-authorization") for headers in seen] == [None, "Bearer a.b.c", "Bearer a.b.c"]


async def test_a_guarded_issuer_takes_the_key_and_nothing_less() -> None:
    operation.enter(Operation())
    async with open_identity(api_key="proxy-key") as identity:
        with pytest.raises(BackendRejected) as refused:
            await identity.waltid.offer(new())
        assert refused.value.status == 401


async def test_a_login_that_gives_no_token_is_no_login() -> None:
    """Sent back, such a one is answered 500 and not 401."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"id": "a", "token": "opaque"})

    with pytest.raises(BackendBadResponse):
        await answering(answer).dids(ANN.id)


async def test_too_many_logins_are_a_limit() -> None:
    operation.enter(Operation(may_retry=False))
    async with open_identity(clock=Clock(1_900_000_000.0)) as identity:
        for _ in range(30):
            identity.waltid._sessions.clear()
            await identity.waltid.wallet(ANN.id, is_known=True)
        identity.waltid._sessions.clear()
        with pytest.raises(BackendRateLimited):
            await identity.waltid.wallet(ANN.id, is_known=True)


async def test_only_one_of_their_own_wallets_will_do() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/accounts/wallets"):
            odd = [{"id": "../x", "permission": "ADMINISTRATE"}, {"id": BOB.wallet_id, "permission": "READ_ONLY"}]
            return httpx.Response(200, json={"account": "a", "wallets": odd})
        return wallet_answers(request) or httpx.Response(200, json=[])

    with pytest.raises(BackendBadResponse, match="without a wallet"):
        await answering(answer).dids(ANN.id)


async def test_identifiers_are_read_whatever_their_documents_are(identity: Identity) -> None:
    """A text within the JSON in this generation, an object in the next."""
    [found] = await identity.waltid.dids(ANN.id)
    assert (found.alias, found.is_default, found.did[:8]) == ("Onboarding", True, "did:jwk:")
    assert found.key_id

    def answer(request: httpx.Request) -> httpx.Response:
        told = [{"did": "did:jwk:x", "document": {"id": "did:jwk:x"}}]
        return httpx.Response(200, json=told) if request.url.path.endswith("/dids") else wallet_answers(request) or None  # type: ignore[return-value]

    assert (await answering(answer).dids(ANN.id))[0].did == "did:jwk:x"


async def test_deleted_credentials_are_not_in_the_wallet(identity: Identity) -> None:
    """No word of deleted ones means those too."""
    await identity.waltid.issue(ANN.id, new())
    row = identity.store.get("held", f"{ANN.wallet_id}|{new().id}")
    assert row is not None
    identity.store.put("held", f"{ANN.wallet_id}|{new().id}", {**row, "deletedOn": "2026-01-01T00:00:00Z"})
    assert [each.id for each in await identity.waltid.credentials(ANN.id)] == [credential_id(ANN)]
    assert identity.line.calls[-1].query == "showDeleted=false"


async def test_discarding_twice_is_discarding_once(identity: Identity) -> None:
    await identity.waltid.issue(ANN.id, new())
    for _ in range(2):
        await identity.waltid.discard(ANN.id, new().id)
    assert [row["id"] for row in identity.held(ANN.wallet_id)] == [credential_id(ANN)]
    assert identity.line.calls[-1].query == "permanent=true"


@pytest.mark.parametrize("id", ["urn:uuid:1", "https://issuer.example/credentials/1?x=1#y"])
async def test_ids_stay_one_segment_of_a_path(id: str) -> None:
    paths: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.raw_path)
        return wallet_answers(request) or httpx.Response(202)

    await answering(answer).discard(ANN.id, id)
    last = paths[-1].decode().partition("?")[0]
    assert last.count("/") == 7
    assert last.endswith(
        id.replace(":", "%3A").replace("/", "%2F").replace("?", "%3F").replace("=", "%3D").replace("#", "%23")
    )


async def test_what_a_wallet_finds_in_the_status_list(identity: Identity) -> None:
    from resolvers.status_lists import encoded_list

    await identity.waltid.issue(ANN.id, new(place=5))
    assert await identity.waltid.statuses(ANN.id, credential_id(ANN)) == []
    with pytest.raises(BackendRejected):  # nobody has published the list
        await identity.waltid.statuses(ANN.id, new().id)
    for revoked, expected in (([], False), ([5], True), ([4, 6], False)):
        about = {"id": "x", "type": "BitstringStatusList", "statusPurpose": "revocation"}
        document = {"credentialSubject": {**about, "encodedList": encoded_list(revoked)}}
        identity.lists["http://gateway/status/1"] = await identity.waltid.sign_status_list(document, {})
        [found] = await identity.waltid.statuses(ANN.id, new().id)
        assert (found.type, found.is_set) == ("revocation", expected)


# -- verifying and presenting ------------------------------------------------------------------------------------------


async def test_a_presentation_is_asked_for_made_and_checked(identity: Identity) -> None:
    url = await identity.waltid.open_verification("session-1", "CustomerCredential", USUAL)
    assert url.startswith("openid4vp://authorize?")
    before = await identity.waltid.verification("session-1")
    assert before is not None
    assert (before.verified, before.checked.results) == (None, [])
    await identity.waltid.present(ANN.id, url, [credential_id(ANN)])
    after = await identity.waltid.verification("session-1")
    assert after is not None
    assert after.verified is True
    told = {(part.credential, each.policy): each.passed for part in after.checked.results for each in part.outcomes}
    assert told == {
        ("VerifiablePresentation", "signature"): True,
        ("VerifiablePresentation", "expired"): True,
        ("VerifiableCredential", "signature"): True,
        ("VerifiableCredential", "expired"): True,
        ("VerifiableCredential", "not-before"): True,
    }


async def test_what_does_not_pass_is_refused_and_stands_in_the_session(identity: Identity) -> None:
    policies = Policies(["signature"], ["signature", {"policy": "allowed-issuer", "args": "did:key:zNobody"}])
    url = await identity.waltid.open_verification("session-1", "CustomerCredential", policies)
    with pytest.raises(BackendRejected, match="allowed-issuer"):
        await identity.waltid.present(ANN.id, url, [credential_id(ANN)])
    session = await identity.waltid.verification("session-1")
    assert session is not None
    assert session.verified is False


async def test_a_session_is_forgotten_sooner_once_it_has_a_result() -> None:
    operation.enter(Operation())
    clock = Clock(1_900_000_000.0)
    async with open_identity(clock=clock) as identity:
        url = await identity.waltid.open_verification("fast", "CustomerCredential", Policies())
        await identity.waltid.open_verification("slow", "CustomerCredential", Policies())
        await identity.waltid.present(ANN.id, url, [credential_id(ANN)])
        assert await identity.waltid.verification("fast")
        clock.now_s += 61
        assert await identity.waltid.verification("fast") is None
        assert await identity.waltid.verification("slow")
        clock.now_s += 240
        assert await identity.waltid.verification("slow") is None


async def test_opening_a_session_may_be_repeated_and_presenting_may_not(identity: Identity) -> None:
    identity.line.faults = [Fault("status", when="after", path="/verifier/openid4vc/verify", count=1)]
    url = await identity.waltid.open_verification("session-1", "CustomerCredential", USUAL)
    assert len(identity.store.rows("session")) == 1
    path = f"{MINE}/exchange/usePresentationRequest"
    identity.line.faults = [Fault("status", when="after", path=path)]
    with pytest.raises(BackendUnavailable):
        await identity.waltid.present(ANN.id, url, [credential_id(ANN)])
    assert identity.paths.count(f"POST {path}") == 1
    session = await identity.waltid.verification("session-1")
    assert session is not None
    assert session.verified is True


async def test_another_session_than_the_one_asked_for_is_not_used() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["stateid"] == "mine"
        return httpx.Response(200, text="openid4vp://authorize?state=theirs")

    with pytest.raises(BackendBadResponse):
        await answering(answer).open_verification("mine", TYPE, Policies())


async def test_an_unknown_policy_is_refused_in_the_verifiers_words(identity: Identity) -> None:
    with pytest.raises(BackendRejected, match="No policy found by name: nonsense"):
        await identity.waltid.open_verification("x", TYPE, Policies(["nonsense"]))


@pytest.mark.parametrize(
    ("url", "is_ours"),
    [
        (f"{BASE}/verifier/openid4vc/pd/1", True),
        (f"{BASE}/verifier", False),
        (f"{BASE}/verifier/../issuer/raw/jwt/sign", False),
        (f"{BASE}/verifier/%2e%2e/issuer/raw/jwt/sign", False),
        (f"{BASE}/verifiers/x", False),
        (f"{BASE}/wallet/x", False),
        ("http://sandbox:81/waltid/verifier/x", False),
        ("https://sandbox/waltid/verifier/x", False),
        ("http://me@sandbox/waltid/verifier/x", False),
        ("http://sandbox.example/waltid/verifier/x", False),
        ("http://sandbox@evil.example/waltid/verifier/x", False),
        ("//sandbox/waltid/verifier/x", False),
        ("http://[::1/waltid/verifier/x", False),
        ("", False),
    ],
)
def test_what_belongs_to_our_verifier(url: str, is_ours: bool) -> None:
    assert answering(lambda request: httpx.Response(200)).is_of_verifier(url) is is_ours


# -- errors and secrets ------------------------------------------------------------------------------------------------

ENVELOPE = {"exception": True, "id": "X", "status": "Bad Request", "code": "400", "message": "It is wrong"}


@pytest.mark.parametrize(
    ("answer", "message", "reason"),
    [
        (httpx.Response(400, json=ENVELOPE), "It is wrong", "X"),
        (httpx.Response(400, json={"errorMessage": "Presentation policies failed: x"}), "Presentation policies", None),
        (httpx.Response(400, json={"exception": True}), "waltid answered 400", None),
        (httpx.Response(400, text="Status entry not found"), "Status entry not found", None),
        (httpx.Response(400, text="java.lang.IllegalStateException: Nothing\n\tat id.walt.X(X.kt:1)"), "Nothing", None),
        (httpx.Response(400, text="\tat id.walt.X(X.kt:1)"), "waltid answered 400", None),
        (httpx.Response(400, text="Bad token eyJhbGciOi.eyJzdWIiOi.c2ln here"), "Bad token … here", None),
        (httpx.Response(403, json=ENVELOPE), "does not let the gateway in", "X"),
        (httpx.Response(401), "does not let the gateway in", None),
    ],
)
async def test_refusals_are_told_without_what_java_prints(
    answer: httpx.Response, message: str, reason: str | None
) -> None:
    with pytest.raises(BackendRejected) as refused:
        await answering(lambda request: answer).offer(new())
    assert message in str(refused.value)
    assert "id.walt" not in str(refused.value)
    assert refused.value.reason == reason


def test_a_reason_is_its_first_line() -> None:
    assert readable("java.security.SignatureException: Signature is invalid\n\tat id.walt.A(B.kt:1)") == (
        "Signature is invalid"
    )
    assert readable("\n") == ""


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(500, text="boom"), BackendUnavailable),
        (httpx.Response(503), BackendUnavailable),
        (httpx.Response(200, text='{"id": "tru'), BackendBadResponse),
        (httpx.Response(200, json={"id": 5}), BackendBadResponse),
        (httpx.Response(302, headers={"location": "http://elsewhere"}), BackendBadResponse),
    ],
)
async def test_a_verifier_on_a_bad_day(answer: httpx.Response, error: type[BackendError]) -> None:
    waltid = answering(lambda request: answer)
    operation.enter(Operation(may_retry=False))
    with pytest.raises(error):
        await waltid.verification("x")


async def test_a_service_that_hangs_is_left_in_time() -> None:
    async with open_identity() as identity:
        identity.line.faults = [Fault("hang")]
        operation.enter(operation.within(0.2))
        with pytest.raises(BackendTimeout):
            await identity.waltid.verification("x")
        identity.line.replace([])


@pytest.mark.parametrize("service", ["issuer", "verifier", "wallet"])
async def test_every_service_must_be_there(identity: Identity, service: str) -> None:
    await identity.waltid.ping()
    identity.line.faults = [Fault("status", status=500, path=f"/{service}/livez")]
    with pytest.raises(BackendUnavailable):
        await identity.waltid.ping()


async def test_a_trace_names_the_service_and_no_address(identity: Identity) -> None:
    running = Operation()
    operation.enter(running)
    await identity.waltid.dids(ANN.id)
    assert [(call.method, call.path) for call in running.calls] == [
        ("POST", "/wallet/wallet-api/auth/login"),
        ("GET", "/wallet/wallet-api/wallet/accounts/wallets"),
        ("GET", "/wallet/wallet-api/wallet/{wallet}/dids"),
    ]


def test_the_key_stays_where_it_is(identity: Identity) -> None:
    private = str(keys.WALTID_ISSUER_KEY["d"])
    shown = [repr(identity.waltid._key), repr(settings()), str(settings()), repr(identity.waltid.__dict__["_key"])]
    assert all(private not in each for each in shown)
    assert private not in identity.waltid.issuer_did


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"issuer_key": None}, "WALTID_ISSUER_KEY"),
        ({"wallet_secret": None}, "WALTID_WALLET_SECRET"),
        ({"issuer_key": "no json s3cret"}, "WALTID_ISSUER_KEY"),
        ({"issuer_key": '["s3cret"]'}, "WALTID_ISSUER_KEY"),
        ({"issuer_key": '{"type": "jwk", "jwk": "s3cret"}'}, "WALTID_ISSUER_KEY"),
        ({"issuer_key": '{"kty": "OKP", "crv": "Ed25519", "x": "s3cret"}'}, "WALTID_ISSUER_KEY"),
        ({"issuer_key": '{"kty": "oct", "k": "s3cret"}'}, "WALTID_ISSUER_KEY"),
        ({"issuer_key": '{"type": "tse", "id": "s3cret"}'}, "WALTID_ISSUER_DID"),
    ],
)
def test_settings_that_cannot_work_are_refused_without_telling_them(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError) as refused:
        Waltid(httpx.AsyncClient(), settings(**changes))
    assert told in str(refused.value)
    assert "s3cret" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_key_may_be_given_as_walt_id_has_it() -> None:
    wrapped = json.dumps({"type": "jwk", "jwk": keys.WALTID_ISSUER_KEY})
    plain, as_theirs = (Waltid(httpx.AsyncClient(), settings(**changes)) for changes in ({}, {"issuer_key": wrapped}))
    assert plain.issuer_did == as_theirs.issuer_did
