"""The simulator of walt.id, where the gateway itself does not go: what it refuses, and how it says so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from core import jwt_credentials
from sandbox import waltid
from sandbox.keys import WALTID_ISSUER_KEY
from sandbox.store import Store
from sandbox.waltid import keys
from sandbox.waltid.accounts import make_account
from sandbox.waltid.seeding import credential_id, holder_did, issuer_did
from sandbox.world import Person
from tests.callers import person
from tests.identity import Clock

ANN: Person = person("CUSTOMER")
KEY = {"type": "jwk", "jwk": WALTID_ISSUER_KEY}
DATA = {"@context": ["https://www.w3.org/2018/credentials/v1"], "type": ["VerifiableCredential", "T"],
        "credentialSubject": {"level": "gold"}}  # fmt: skip
LOGIN = {"type": "email", "email": "ann@new.example", "password": "secret"}
WALLET = "11111111-1111-4111-8111-111111111111"


@asynccontextmanager
async def client_of(store: Store, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(waltid.create_app(store, waltid.Options(**options)))
    async with httpx.AsyncClient(base_url="http://sandbox", transport=transport) as client:
        yield client


@pytest.fixture
def store() -> Store:
    seeded = Store(None)
    seeded.seed(waltid.seed)
    make_account(seeded, LOGIN["email"], LOGIN["password"], "Ann", WALLET, keys.new_key())
    return seeded


@pytest.fixture
async def api(store: Store) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(store) as client:
        yield client


async def signed_in(api: httpx.AsyncClient) -> tuple[dict[str, str], str]:
    """What shows who it is, and the identifier in their wallet."""
    token = (await api.post("/wallet/wallet-api/auth/login", json=LOGIN)).json()["token"]
    api.cookies.clear()
    headers = {"authorization": f"Bearer {token}"}
    [did] = (await api.get(f"/wallet/wallet-api/wallet/{WALLET}/dids", headers=headers)).json()
    return headers, did["did"]


def sign_body(**changes: Any) -> dict[str, Any]:
    return {"issuerKey": KEY, "issuerDid": issuer_did(), "subjectDid": "did:jwk:x", "credentialData": DATA, **changes}


# -- issuer ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key_type", ["Ed25519", "secp256r1"])
@pytest.mark.parametrize("method", ["jwk", "key"])
async def test_an_issuer_is_made_anew_every_time(api: httpx.AsyncClient, key_type: str, method: str) -> None:
    asked = {"key": {"backend": "jwk", "keyType": key_type}, "did": {"method": method}}
    made = [(await api.post("/issuer/onboard/issuer", json=asked)).json() for _ in range(2)]
    assert made[0]["issuerDid"] != made[1]["issuerDid"]
    body = sign_body(issuerKey=made[0]["issuerKey"], issuerDid=made[0]["issuerDid"])
    token = (await api.post("/issuer/raw/jwt/sign", json=body)).text
    assert jwt_credentials.is_signed_by_issuer(jwt_credentials.read(token))


async def test_a_signed_credential_is_text_without_quotes(api: httpx.AsyncClient) -> None:
    answer = await api.post("/issuer/raw/jwt/sign", json=sign_body())
    assert answer.headers["content-type"].startswith("text/plain")
    said = jwt_credentials.read(answer.text)
    assert said.claims == {"iss": issuer_did(), "sub": "did:jwk:x", "vc": DATA}


async def test_without_an_identifier_one_is_derived(api: httpx.AsyncClient) -> None:
    body = {name: value for name, value in sign_body().items() if name != "issuerDid"}
    said = jwt_credentials.read((await api.post("/issuer/raw/jwt/sign", json=body)).text)
    assert (said.issuer or "").startswith("did:key:z6Mk")
    assert jwt_credentials.is_signed_by_issuer(said)


async def test_a_mapping_is_merged_and_filled_in(store: Store) -> None:
    mapping = {
        "jwt:exp": "<timestamp-in-seconds:2d>",
        "jwt:jti": "urn:x",
        "id": "<uuid>",
        "credentialSubject": {"id": "<subjectDid>", "seen": "<timestamp-before:1h>"},
        "type": ["Another"],
        "left": "<alone",
    }
    async with client_of(store, clock=Clock(1_800_000_000.0)) as api:
        answer = await api.post("/issuer/raw/jwt/sign", json=sign_body(mapping=mapping))
    said = jwt_credentials.read(answer.text)
    assert (said.claims["exp"], said.claims["jti"]) == (1_800_172_800, "urn:x")
    assert said.body["id"].startswith("urn:uuid:")
    assert said.body["credentialSubject"] == {"level": "gold", "id": "did:jwk:x", "seen": "2027-01-15T07:00:00Z"}
    assert said.types == ("VerifiableCredential", "T", "Another")
    assert said.body["left"] == "<alone"


async def test_data_model_two_is_not_wrapped(api: httpx.AsyncClient) -> None:
    data = {**DATA, "@context": ["https://www.w3.org/ns/credentials/v2"]}
    token = (
        await api.post(
            "/issuer/raw/jwt/sign", json=sign_body(credentialData=data, mapping={"expirationDate": "<timestamp>"})
        )
    ).text
    said = jwt_credentials.read(token)
    assert "vc" not in said.claims
    assert "validUntil" in said.claims


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({"issuerKey": None}, 400, "Missing issuerKey in the request body."),
        ({"subjectDid": ""}, 400, "Missing subjectDid in the request body."),
        ({"credentialData": {}}, 400, "Missing credentialData in the request body."),
        ({"issuerKey": {"type": "tse"}}, 400, "Invalid issuerKey Format"),
        ({"credentialData": {"type": []}}, 400, "Invalid credential format"),
        ({"mapping": {"x": "<nonsense>"}}, 400, "No such data function"),
        ({"mapping": {"x": "<webhook:http://x>"}}, 501, "does not support"),
    ],
)
async def test_what_cannot_be_signed_is_refused_in_an_envelope(
    api: httpx.AsyncClient, changes: dict[str, Any], status: int, message: str
) -> None:
    answer = await api.post("/issuer/raw/jwt/sign", json=sign_body(**changes))
    told = answer.json()
    assert answer.status_code == status
    assert told["exception"] is True
    assert told["code"] == str(status)
    assert message in told["message"]


async def test_an_offer_is_taken_once_and_in_time(store: Store) -> None:
    clock = Clock(1_800_000_000.0)
    async with client_of(store, clock=clock) as api:
        headers, did = await signed_in(api)
        body = {
            "issuerKey": KEY,
            "issuerDid": issuer_did(),
            "credentialConfigurationId": "TicketCredential_jwt_vc_json",
            "credentialData": {**DATA, "id": "urn:uuid:1"},
            "mapping": {"jwt:jti": "urn:uuid:1"},
        }
        url = (await api.post("/issuer/openid4vc/jwt/issue", json=body)).text
        inner = parse_qs(urlsplit(url).query)["credential_offer_uri"][0]
        offer = (await api.get(inner)).json()
        assert offer["credential_configuration_ids"] == ["TicketCredential_jwt_vc_json"]
        assert offer["credential_issuer"] == "http://sandbox/issuer/draft13"
        text = {**headers, "content-type": "text/plain"}
        path = f"/wallet/wallet-api/wallet/{WALLET}/exchange/useOfferRequest?did={did}"
        taken = await api.post(path, content=url, headers=text)
        assert [each["id"] for each in taken.json()] == ["urn:uuid:1"]
        again = await api.post(path, content=url, headers=text)
        assert (again.status_code, again.text.partition(":")[0]) == (400, "invalid_grant")
        assert (await api.post(path, content=url, headers={**headers, "content-type": "x/y"})).status_code == 415
        late = (await api.post("/issuer/openid4vc/jwt/issue", json=body, headers={"sessionTtl": "10"})).text
        clock.now_s += 10
        assert (await api.post(path, content=late, headers=text)).status_code == 400
        assert (await api.get(parse_qs(urlsplit(late).query)["credential_offer_uri"][0])).status_code == 404


async def test_an_offer_without_an_identifier_fails_only_when_it_is_taken(api: httpx.AsyncClient) -> None:
    headers, did = await signed_in(api)
    body = {"issuerKey": KEY, "credentialConfigurationId": "TicketCredential_jwt_vc_json", "credentialData": DATA}
    made = await api.post("/issuer/openid4vc/jwt/issue", json=body)
    assert made.status_code == 200
    path = f"/wallet/wallet-api/wallet/{WALLET}/exchange/useOfferRequest?did={did}"
    taken = await api.post(path, content=made.text, headers={**headers, "content-type": "text/plain"})
    assert taken.status_code == 400


# -- wallets -----------------------------------------------------------------------------------------------------------


async def test_an_account_is_made_once(api: httpx.AsyncClient) -> None:
    body = {"type": "email", "name": "Bob", "email": "bob@new.example", "password": "secret"}
    made = await api.post("/wallet/wallet-api/auth/register", json=body)
    assert (made.status_code, made.text) == (201, "Registration succeeded ")
    again = await api.post("/wallet/wallet-api/auth/register", json=body)
    assert (again.status_code, again.json()["code"]) == (409, "409")
    told = (await api.post("/wallet/wallet-api/auth/login", json={**LOGIN, "email": body["email"]})).json()
    headers = {"waltid-authorization": f"Bearer {told['token']}"}
    info = (await api.get("/wallet/wallet-api/auth/user-info", headers=headers)).json()
    assert (info["email"], info["name"]) == ("bob@new.example", "Bob")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"password": "wrong"}, 401),
        ({"email": "nobody@new.example"}, 401),
        ({"type": "address"}, 400),
        ({"type": None}, 400),
        ({"password": ""}, 400),
    ],
)
async def test_who_does_not_get_in(api: httpx.AsyncClient, changes: dict[str, Any], status: int) -> None:
    answer = await api.post("/wallet/wallet-api/auth/login", json={**LOGIN, **changes})
    assert (answer.status_code, answer.json()["code"]) == (status, str(status))


async def test_thirty_logins_a_minute(store: Store) -> None:
    clock = Clock(1_800_000_000.0)
    async with client_of(store, clock=clock) as api:
        answers = [await api.post("/wallet/wallet-api/auth/login", json=LOGIN) for _ in range(31)]
        assert [answer.status_code for answer in answers] == [200] * 30 + [429]
        clock.now_s += 60
        assert (await api.post("/wallet/wallet-api/auth/login", json=LOGIN)).status_code == 200


async def test_a_wallet_is_its_accounts_alone(api: httpx.AsyncClient) -> None:
    headers, _ = await signed_in(api)
    for wallet_id, shown, status in (
        (WALLET, headers, 200), (ANN.wallet_id, headers, 403), ("x", headers, 400), (WALLET, {}, 401),
        (WALLET, {"authorization": "Bearer a.b.c"}, 401), (WALLET, {"authorization": "Bearer opaque"}, 500),
    ):  # fmt: skip
        answer = await api.get(f"/wallet/wallet-api/wallet/{wallet_id}/credentials", headers=shown)
        assert answer.status_code == status


async def test_imports_are_checked(api: httpx.AsyncClient) -> None:
    headers, did = await signed_in(api)
    path = f"/wallet/wallet-api/wallet/{WALLET}/credentials/import"

    async def imported(holder: str = did, signer: Any = WALTID_ISSUER_KEY, **claims: Any) -> httpx.Response:
        said = {"iss": issuer_did(), "sub": did, "jti": "urn:uuid:1", "vc": DATA, **claims}
        token = keys.sign(signer, said, kid=issuer_did())
        return await api.post(path, json={"jwt": token, "associated_did": holder}, headers=headers)

    assert (await imported(sub="did:jwk:other")).status_code == 400
    assert (await imported(holder="did:jwk:other")).status_code == 404
    assert (await imported(exp=1)).status_code == 400
    assert (await imported(nbf=9_999_999_999)).status_code == 400
    assert (await imported(signer=keys.new_key())).status_code == 400
    assert (await imported(vc={"type": []})).status_code == 400
    assert (await api.post(path, json={"jwt": "x", "associated_did": did}, headers=headers)).status_code == 400
    made = await imported()
    assert (made.status_code, made.json()["id"]) == (201, "urn:uuid:1")
    again = await imported()
    assert (again.status_code, again.headers["content-type"].partition(";")[0]) == (409, "text/plain")


async def test_deleted_ones_stay_until_they_are_deleted_for_good(api: httpx.AsyncClient) -> None:
    headers, did = await signed_in(api)
    token = keys.sign(WALTID_ISSUER_KEY, {"iss": issuer_did(), "sub": did, "jti": "a/b", "vc": DATA}, kid="x")
    path = f"/wallet/wallet-api/wallet/{WALLET}/credentials"
    await api.post(f"{path}/import", json={"jwt": token, "associated_did": did}, headers=headers)

    async def ids(query: str) -> list[str]:
        return [row["id"] for row in (await api.get(f"{path}{query}", headers=headers)).json()]

    assert await ids("?showDeleted=true") == []
    assert (await api.delete(f"{path}/a%2Fb", headers=headers)).status_code == 202
    assert (await api.delete(f"{path}/a%2Fb", headers=headers)).status_code == 400
    assert [await ids(query) for query in ("", "?showDeleted=true", "?showDeleted=false")] == [["a/b"], ["a/b"], []]
    assert "deletedOn" in (await api.get(f"{path}/a%2Fb", headers=headers)).json()
    assert (await api.delete(f"{path}/a%2Fb?permanent=true", headers=headers)).status_code == 202
    assert (await api.get(f"{path}/a%2Fb", headers=headers)).status_code == 404


# -- verifier ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"request_credentials": []},
        {"request_credentials": [{"format": "jwt_vc_json"}]},
        {"request_credentials": [{"format": "jwt_vc_json", "type": "T"}], "vc_policies": ["nonsense"]},
    ],
)
async def test_requests_that_ask_for_nothing_are_refused(api: httpx.AsyncClient, body: dict[str, Any]) -> None:
    assert (await api.post("/verifier/openid4vc/verify", json=body)).status_code == 400


async def test_a_presentation_of_another_session_or_of_nothing_is_refused(api: httpx.AsyncClient, store: Store) -> None:
    body = {"request_credentials": [{"format": "jwt_vc_json", "type": "CustomerCredential"}]}
    await api.post("/verifier/openid4vc/verify", json=body, headers={"stateId": "s1"})
    session = store.get("session", "s1")
    assert session is not None
    path = "/verifier/openid4vc/verify/s1"
    assert (await api.post(path, data={"vp_token": "x"})).status_code == 400
    key = keys.new_key()
    for claims in ({"nonce": "other"}, {"nonce": session["nonce"]}, {"nonce": session["nonce"], "vp": {}}):
        token = keys.sign(key, {"iss": keys.jwk_did(key), **claims}, kid="x")
        assert (await api.post(path, data={"vp_token": token})).status_code == 400
    told = (await api.get("/verifier/openid4vc/session/s1")).json()
    assert set(told) == {"id", "presentationDefinition"}


async def test_somebody_elses_credential_is_not_ones_own(api: httpx.AsyncClient, store: Store) -> None:
    body = {"request_credentials": [{"format": "jwt_vc_json", "type": "CustomerCredential"}],
            "vp_policies": ["signature", "holder-binding", {"policy": "minimum-credentials", "args": 1}]}  # fmt: skip
    await api.post("/verifier/openid4vc/verify", json=body, headers={"stateId": "s1"})
    session, held = store.get("session", "s1"), store.get("held", f"{ANN.wallet_id}|{credential_id(ANN)}")
    assert session is not None
    assert held is not None
    key = keys.new_key()
    claims = {"iss": keys.jwk_did(key), "nonce": session["nonce"], "vp": {"verifiableCredential": [held["document"]]}}
    answer = await api.post("/verifier/openid4vc/verify/s1", data={"vp_token": keys.sign(key, claims, kid="x")})
    assert (answer.status_code, "holder-binding" in answer.json()["message"]) == (400, True)
    told = (await api.get("/verifier/openid4vc/session/s1")).json()
    assert told["verificationResult"] is False
    assert told["policyResults"]["policiesRun"] == 4


async def test_a_policy_list_names_what_there_is(api: httpx.AsyncClient) -> None:
    assert {"signature", "webhook", "credential-status"} <= (
        await api.get("/verifier/openid4vc/policy-list")
    ).json().keys()


# -- all of it ---------------------------------------------------------------------------------------------------------


async def test_the_demo_world_is_the_same_wherever_it_is_made(store: Store) -> None:
    again = Store(None)
    again.seed(waltid.seed)
    dids = [[row["did"] for row in each.rows("did")] for each in (store, again)]
    assert dids[0][: len(dids[1])] == dids[1]
    assert holder_did(ANN) in dids[1]


@pytest.mark.parametrize("service", ["issuer", "verifier", "wallet"])
async def test_every_service_says_that_it_lives_and_what_it_has(api: httpx.AsyncClient, service: str) -> None:
    assert (await api.get(f"/{service}/livez")).status_code == 200
    paths = (await api.get(f"/{service}/api.json")).json()["paths"]
    assert paths
    assert all(path.startswith("/") for path in paths)


async def test_what_is_not_there_says_so(api: httpx.AsyncClient) -> None:
    answer = await api.get("/issuer/nothing")
    assert (answer.status_code, answer.json()["code"]) == (404, "404")


async def test_wallets_outlive_the_process(tmp_path: Path) -> None:
    store = Store(tmp_path / "waltid.db")
    store.seed(waltid.seed)
    again = Store(tmp_path / "waltid.db")
    assert again.rows("held") == store.rows("held") != []
    store.close()
    again.close()


def test_a_derived_identifier_leads_back_to_its_key() -> None:
    public = {name: WALTID_ISSUER_KEY[name] for name in ("kty", "crv", "x")}
    assert keys.resolve(keys.key_did(WALTID_ISSUER_KEY)) == public
