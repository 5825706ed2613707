"""Credentials of people: issued, offered, listed, presented and checked, with the real core store and walt.id's
simulator."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from msgspec.structs import replace as changed

from core import jwt_credentials
from core.backends import BackendName
from core.errors import BackendError, BackendRejected, BackendUnavailable, BadUserInput, Conflict, NotFound
from core.principals import Principal
from datasources.mongo import CredentialRecord, CredentialStatus, NewUser
from resolvers import credentials, verifications
from resolvers.credentials import Presentation
from resolvers.users import visible_client_ids
from resolvers.verifications import Verification
from sandbox.faults import Fault
from sandbox.waltid import keys as tokens
from sandbox.waltid.seeding import credential_id
from tests import callers
from tests.callers import SERVICE, WORLD, person
from tests.identity import BASE, GATEWAY, TYPE
from tests.registry import ANN, BOB, CLIENT, CUSTOMER, ELSEWHERE, GOLD, MANAGER, STAFF, Registry

pytest_plugins = ["tests.issuing"]


# -- issuing -----------------------------------------------------------------------------------------------------------


async def test_a_credential_is_issued_kept_and_owned(registry: Registry) -> None:
    issued = await registry.issue()
    assert (issued.user_id, issued.client_id) == (ANN.id, CLIENT.id)
    assert (issued.type, issued.claims, issued.format) == (("VerifiableCredential", TYPE), GOLD, "jwt_vc_json")
    assert (issued.status, issued.offer_url) == (CredentialStatus.VALID, None)
    assert issued.issuer == registry.identity.waltid.issuer_did
    [held] = [row for row in registry.identity.held(ANN.wallet_id) if row["id"] == issued.id]
    said = jwt_credentials.read(held["document"])
    assert said.body["credentialSubject"] == {**GOLD, "id": issued.subject}
    place = issued.status_list_index
    assert said.status == {
        "id": f"{GATEWAY}/status/1#{place}",
        "type": "BitstringStatusListEntry",
        "statusPurpose": "revocation",
        "statusListIndex": str(place),
        "statusListCredential": f"{GATEWAY}/status/1",
    }
    assert await registry.mongo.credential(issued.id) == issued
    owner = await registry.mongo.owner(BackendName.WALTID, issued.id)
    assert owner is not None
    assert (owner.client_id, owner.user_id) == (CLIENT.id, ANN.id)


async def test_who_has_no_wallet_gets_one_at_first_use(registry: Registry) -> None:
    carl = await registry.mongo.create_user(NewUser(client_id=CLIENT.id, email="carl@new.example", name="Carl"))
    first = await registry.issue(user_id=carl.id)
    linked = await registry.mongo.user(carl.id)
    assert linked is not None
    assert linked.linked_accounts.wallet_id
    assert [row["id"] for row in registry.identity.held(linked.linked_accounts.wallet_id)] == [first.id]
    registry.identity.forget_calls()
    second = await registry.issue(user_id=carl.id)
    assert len(registry.identity.held(linked.linked_accounts.wallet_id)) == 2
    assert first.status_list_index != second.status_list_index
    assert len(registry.identity.paths) == 3


async def test_a_wallet_that_is_kept_elsewhere_is_left_alone(registry: Registry) -> None:
    await registry.mongo.link_account(ANN.id, BackendName.WALTID, "their-own-wallet", replace=True)
    before = await registry.rows()
    with pytest.raises(Conflict, match="not kept by the gateway"):
        await registry.issue()
    assert await registry.rows() == before


async def test_the_same_key_is_the_same_credential(registry: Registry) -> None:
    first = await registry.issue(key="k1")
    again = await registry.issue(key="k1")
    other = await registry.issue(key="k2")
    assert (again, other.id == first.id) == (first, False)
    assert len(registry.identity.held(ANN.wallet_id)) == 3


async def test_what_was_cut_off_is_unknown_until_it_is_repeated(registry: Registry) -> None:
    registry.identity.line.faults = [Fault("status", status=500, when="after", path=".*/credentials/import", count=1)]
    with pytest.raises(BackendUnavailable):
        await registry.issue(key="k1")
    [half] = [row for row in await registry.mongo.credentials(limit=200) if row.type[-1] == TYPE]
    assert half.status is CredentialStatus.UNKNOWN
    whole = await registry.issue(key="k1")
    assert (whole.id, whole.status) == (half.id, CredentialStatus.VALID)
    assert [row["id"] for row in registry.identity.held(ANN.wallet_id)].count(whole.id) == 1


async def test_what_was_refused_has_never_been(registry: Registry) -> None:
    before = await registry.rows()
    registry.identity.line.faults = [Fault("status", status=400, path="/issuer/raw/jwt/sign")]
    with pytest.raises(BackendRejected):
        await registry.issue(key="k1")
    assert await registry.rows() == before


async def test_without_a_holder_it_is_offered(registry: Registry) -> None:
    offered = await registry.issue(user_id=None)
    assert (offered.status, offered.user_id, offered.client_id) == (CredentialStatus.OFFERED, None, CLIENT.id)
    assert offered.offer_url is not None
    assert offered.offer_url.startswith("openid-credential-offer://?credential_offer_uri=")
    assert (offered.subject, offered.issued_at) == (None, None)
    [row] = registry.identity.store.rows("offer")
    assert row["request"]["credentialData"]["id"] == offered.id
    assert row["request"]["credentialData"]["credentialStatus"]["statusListIndex"] == str(offered.status_list_index)
    assert (await registry.issue(user_id=None, key="k")).id == (await registry.issue(user_id=None, key="k")).id
    assert len(registry.identity.store.rows("offer")) == 2


async def test_an_offer_that_is_refused_has_never_been(registry: Registry) -> None:
    before = await registry.rows()
    with pytest.raises(BackendRejected, match="Invalid Credential Configuration Id"):
        await registry.issue(user_id=None, type="Unheard")
    assert await registry.rows() == before


async def test_a_services_offer_is_of_no_client_and_nobody_elses(registry: Registry) -> None:
    offered = await registry.issue(SERVICE, None)
    assert offered.client_id is None
    for principal in (MANAGER, CUSTOMER, callers.client(0), callers.platform(server_side=True)):
        assert await credentials.credential(registry.context(principal), offered.id) is None
    assert await credentials.credential(registry.context(SERVICE), offered.id) == offered


async def test_a_platform_must_name_whose_it_is(registry: Registry) -> None:
    with pytest.raises(BadUserInput, match="`userId` is needed"):
        await registry.issue(callers.platform(server_side=True), None)
    issued = await registry.issue(callers.platform(server_side=True), person("CUSTOMER", client=2).id)
    assert issued.client_id == WORLD.clients[2].id


@pytest.mark.parametrize("user_id", [ELSEWHERE.id, "f" * 24, "x", ""])
async def test_a_holder_who_is_not_theirs_is_not_there(registry: Registry, user_id: str) -> None:
    before = await registry.rows()
    with pytest.raises(NotFound, match="no such user"):
        await registry.issue(user_id=user_id)
    assert await registry.rows() == before
    assert registry.identity.paths == []


# -- what may be said --------------------------------------------------------------------------------------------------


def nested(depth: int) -> Any:
    return {"x": nested(depth - 1)} if depth > 1 else {"x": 1}


@pytest.mark.parametrize(
    "claims",
    [
        None,
        "gold",
        ["gold"],
        {},
        {"id": "did:jwk:somebody-else"},
        {"a": 1, "issuer": "did:jwk:somebody-else"},
        {"sub": "x"},
        {"iss": "x"},
        {"@id": "x"},
        {"@context": []},
        {"credentialStatus": {}},
        {"": 1},
        {"a" * 101: 1},
        {"a\n": 1},
        nested(9),
        {"a": [[[[[[[[1]]]]]]]]},
        {"a": "x" * 16_400},
        {"a": 2**53},
        {"a": -(2**64)},
        {"a": float("inf")},
        {"a": float("nan")},
        {"a": "\ud800"},
        {"a": "\0"},
        {"a": {"b": ["<webhook:http://169.254.169.254/latest>"]}},
        {"a": "<subjectDid>"},
    ],
)
async def test_claims_that_are_none_are_refused(registry: Registry, claims: Any) -> None:
    before = await registry.rows()
    with pytest.raises(BadUserInput, match="`claims`"):
        await registry.issue(claims=claims)
    assert await registry.rows() == before
    assert registry.identity.paths == []


@pytest.mark.parametrize(
    "claims",
    [nested(8), {"a": "x" * 16_000}, {"a": 2**53 - 1}, {"a.b": {"$c": None}}, {"a": "<b> & <i>"}, {"typ": True}],
)
async def test_claims_come_back_as_they_were_said(registry: Registry, claims: Any) -> None:
    issued = await registry.issue(claims=claims)
    kept = await registry.mongo.credential(issued.id)
    assert kept is not None
    assert kept.claims == claims


@pytest.mark.parametrize(
    "type",
    ["", "membership", "Member ship", "VerifiableCredential", "BitstringStatusListCredential",
     "StatusList2021Credential", "A" * 65, "Ä", "A/B", "A\n"],
)  # fmt: skip
async def test_types_that_are_none_or_not_theirs_are_refused(registry: Registry, type: str) -> None:
    with pytest.raises(BadUserInput, match="`type`"):
        await registry.issue(type=type)


# -- lists and status --------------------------------------------------------------------------------------------------


async def listed(registry: Registry, principal: Principal, holder_id: str | None = None) -> list[str]:
    ids: list[str] = []
    after = None
    while True:
        ctx = registry.context(principal)
        page = await credentials.credentials(ctx, first=7, after=after, holder_id=holder_id)
        ids += [row.id for row in page.nodes]
        assert await page.total() == await registry.mongo.count_credentials(
            client_ids=visible_client_ids(principal),
            user_ids=[principal.user_id or ""] if principal.is_customer else [holder_id] if holder_id else None,
        )
        if not page.page_info.has_next_page:
            return ids
        after = page.page_info.end_cursor


async def test_everybody_is_shown_theirs_newest_first(registry: Registry) -> None:
    issued = await registry.issue()
    seeded = {credential_id(each): each for each in WORLD.customers}
    of_client = [name for name, each in reversed(seeded.items()) if each.client is CLIENT]
    assert await listed(registry, CUSTOMER) == [issued.id, credential_id(ANN)]
    assert await listed(registry, STAFF) == [issued.id, *of_client]
    assert await listed(registry, callers.client(1)) == [
        name for name in list(seeded)[::-1] if seeded[name].client is WORLD.clients[1]
    ]
    assert set(await listed(registry, SERVICE)) == {issued.id, *seeded}
    assert await listed(registry, callers.platform(server_side=False)) == []
    assert await listed(registry, STAFF, BOB.id) == [credential_id(BOB)]
    assert await listed(registry, STAFF, ELSEWHERE.id) == []


async def test_a_customer_who_asks_for_another_holder_is_shown_nobody(registry: Registry) -> None:
    page = await credentials.credentials(registry.context(CUSTOMER), first=None, after=None, holder_id=BOB.id)
    assert page.nodes == []


@pytest.mark.parametrize("after", ["x", "WzFd"])
async def test_a_cursor_of_another_list_is_refused(registry: Registry, after: str) -> None:
    with pytest.raises(BadUserInput):
        await credentials.credentials(registry.context(STAFF), first=1, after=after, holder_id=None)


async def test_a_status_is_as_of_now(registry: Registry) -> None:
    now = datetime.now(UTC)
    issued = await registry.issue()
    offered = await registry.issue(user_id=None)

    def at(row: CredentialRecord, **changes: Any) -> CredentialStatus:
        return changed(row, **changes).status

    past, future = now - timedelta(seconds=1), now + timedelta(hours=1)
    assert at(issued) is CredentialStatus.VALID
    assert at(issued, expires_at=past) is CredentialStatus.EXPIRED
    assert at(issued, expires_at=None) is CredentialStatus.VALID
    assert at(issued, expires_at=past, revoked_at=past) is CredentialStatus.REVOKED
    assert at(offered, offered_until=future) is CredentialStatus.OFFERED
    assert at(offered, offered_until=past) is CredentialStatus.UNKNOWN
    assert at(offered, offered_until=past, held_as="x") is CredentialStatus.VALID
    assert changed(offered, offered_until=past).offer_url is None


async def test_identifiers_are_the_issuers_and_those_of_ones_people(registry: Registry) -> None:
    found = await credentials.dids(registry.context(STAFF))
    assert found[0].did == registry.identity.waltid.issuer_did
    people = [each for each in WORLD.customers if each.client is CLIENT]
    assert len(found) == 1 + len(people)
    asked = {path.split("/")[4] for path in registry.identity.paths if path.endswith("/dids")}
    assert asked == {each.wallet_id for each in people}
    registry.identity.forget_calls()
    assert await credentials.dids(registry.context(callers.platform(server_side=False))) == []
    assert registry.identity.paths == []
    assert len(await credentials.dids(registry.context(SERVICE))) == 1 + credentials.MOST_WALLETS


# -- revoking ----------------------------------------------------------------------------------------------------------


async def test_a_revoked_credential_is_so_everywhere(registry: Registry) -> None:
    issued, kept = await registry.issue(), await registry.issue()
    await registry.publish()
    held = next(row["document"] for row in registry.identity.held(ANN.wallet_id) if row["id"] == issued.id)
    before = await registry.ask(credential=held)
    assert before.verified is True
    first = await registry.mongo.revoke_credential(issued.id)
    again = await registry.mongo.revoke_credential(issued.id)
    assert first == again
    await registry.publish()
    assert first is not None
    assert first.status is CredentialStatus.REVOKED
    after = await registry.ask(credential=held)
    assert [each.policy for each in after.policies if not each.passed] == ["credential-status"]
    for held_as, verified in ((kept.id, True), (issued.id, False)):
        asked = await registry.ask()
        assert (await registry.present(asked.request_url, held_as)).verified is verified
        [entry] = await registry.identity.waltid.statuses(ANN.id, held_as)
        assert entry.is_set is not verified


# -- presenting --------------------------------------------------------------------------------------------------------


async def test_a_presentation_is_checked_by_our_verifier(registry: Registry) -> None:
    asked = await registry.ask(type="CustomerCredential")
    assert (asked.verified, asked.policies) == (None, [])
    pending = await verifications.verification(registry.context(STAFF), asked.id)
    assert pending == Verification(asked.id)
    shown = await registry.present(asked.request_url, credential_id(ANN))
    assert shown == Presentation(asked.id, None, verified=True)
    seen = await verifications.verification(registry.context(STAFF), asked.id)
    assert seen is not None
    assert seen.verified is True
    of = {(each.detail or {}).get("of") for each in seen.policies}
    assert of == {"VerifiablePresentation", "VerifiableCredential"}
    assert {each.policy for each in seen.policies} >= {*verifications.USUAL, "holder-binding"}


async def test_how_a_request_stands_is_told_to_those_who_made_it(registry: Registry) -> None:
    asked = await registry.ask()
    for principal, is_shown in (
        (STAFF, True), (callers.client(0), True), (SERVICE, True), (CUSTOMER, False), (callers.client(1), False),
    ):  # fmt: skip
        found = await verifications.verification(registry.context(principal), asked.id)
        assert (found is not None) is is_shown
    registry.identity.forget_calls()
    assert await verifications.verification(registry.context(SERVICE), "nobody's") is None
    assert registry.identity.paths == []


async def test_what_a_verifier_prints_stays_inside(registry: Registry) -> None:
    """Its signature is not its issuer's: the simulator answers with a stack trace, as walt.id does."""
    issued = await registry.issue()
    row = next(row for row in registry.identity.held(ANN.wallet_id) if row["id"] == issued.id)
    claims = tokens.claims_of(row["document"]) or {}
    forged = tokens.sign(tokens.new_key(), claims, kid=claims["iss"])
    registry.identity.store.put("held", f"{ANN.wallet_id}|{issued.id}", {**row, "document": forged})
    asked = await registry.ask(policies=["signature"])
    assert (await registry.present(asked.request_url, issued.id)).verified is False
    seen = await verifications.verification(registry.context(STAFF), asked.id)
    assert seen is not None
    [failed] = [each for each in seen.policies if not each.passed]
    assert failed.detail == {"of": "VerifiableCredential", "reason": "Signature is invalid"}


async def test_an_answer_that_was_lost_is_read_from_the_session(registry: Registry) -> None:
    asked = await registry.ask(type="CustomerCredential")
    registry.identity.line.faults = [Fault("status", when="after", path=".*/usePresentationRequest", count=1)]
    assert (await registry.present(asked.request_url, credential_id(ANN))).verified is True


async def test_a_presentation_that_never_arrived_is_a_failure(registry: Registry) -> None:
    asked = await registry.ask(type="CustomerCredential")
    registry.identity.line.faults = [Fault("status", path=".*/usePresentationRequest", count=1)]
    with pytest.raises(BackendUnavailable):
        await registry.present(asked.request_url, credential_id(ANN))
    assert (await registry.present(asked.request_url, credential_id(ANN))).verified is True


async def test_a_request_is_answered_once(registry: Registry) -> None:
    asked = await registry.ask(type="CustomerCredential")
    await registry.present(asked.request_url, credential_id(ANN))
    with pytest.raises(Conflict, match="answered already"):
        await registry.present(asked.request_url, credential_id(ANN))


async def test_the_next_try_of_the_same_presentation_reads_what_became_of_it(registry: Registry) -> None:
    asked = await registry.ask(type="CustomerCredential")
    await registry.present(asked.request_url, credential_id(ANN))
    ctx = registry.context(CUSTOMER, "k", {f"it/{credentials.PRESENTING}": asked.id})
    shown = await credentials.create_presentation(ctx, ANN.id, [credential_id(ANN)], asked.request_url or "")
    assert shown == Presentation(asked.id, None, verified=True)


async def test_a_request_that_is_over_is_told_so(registry: Registry) -> None:
    asked = await registry.ask()
    registry.identity.store.delete("session", asked.id)
    with pytest.raises(BadUserInput, match="over"):
        await registry.present(asked.request_url, credential_id(ANN))
    assert await verifications.verification(registry.context(STAFF), asked.id) == Verification(asked.id)


@pytest.mark.parametrize(
    ("by", "user_id", "ids"),
    [
        (CUSTOMER, ANN.id, [credential_id(BOB)]),
        (CUSTOMER, ANN.id, [credential_id(ANN), credential_id(ELSEWHERE)]),
        (CUSTOMER, ANN.id, ["urn:uuid:nothing"]),
        (CUSTOMER, BOB.id, [credential_id(BOB)]),
        (STAFF, ANN.id, [credential_id(BOB)]),
        (STAFF, ELSEWHERE.id, [credential_id(ELSEWHERE)]),
        (SERVICE, ANN.id, [credential_id(BOB)]),
        (SERVICE, "", [credential_id(BOB)]),
    ],
)
async def test_only_their_own_credentials_leave_a_wallet(
    registry: Registry, by: Principal, user_id: str, ids: list[str]
) -> None:
    asked = await registry.ask(type="CustomerCredential")
    registry.identity.forget_calls()
    with pytest.raises(NotFound):
        await registry.present(asked.request_url, *ids, by=by, user_id=user_id)
    assert registry.identity.paths == []


@pytest.mark.parametrize("ids", [[], [f"urn:uuid:{n}" for n in range(21)]])
async def test_some_credentials_are_presented_and_not_too_many(registry: Registry, ids: list[str]) -> None:
    asked = await registry.ask()
    with pytest.raises(BadUserInput, match="`credentialIds`"):
        await registry.present(asked.request_url, *ids)


async def test_an_offer_that_nobody_took_cannot_be_presented(registry: Registry) -> None:
    offered = await registry.issue(user_id=None)
    asked = await registry.ask()
    with pytest.raises(NotFound):
        await registry.present(asked.request_url, offered.id, by=MANAGER)


def request_with(base: str = f"{BASE}/verifier/openid4vc", **changes: str | None) -> str:
    said: dict[str, str | None] = {
        "response_type": "vp_token",
        "client_id": f"{base}/verify",
        "response_mode": "direct_post",
        "state": "s1",
        "presentation_definition_uri": f"{base}/pd/s1",
        "client_id_scheme": "redirect_uri",
        "nonce": "n",
        "response_uri": f"{base}/verify/s1",
        **changes,
    }
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in said.items() if value is not None)
    return f"openid4vp://authorize?{query}"


INSIDE = "http://169.254.169.254/latest/meta-data"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "openid4vp://authorize",
        "openid4vp://authorize?x",
        request_with().replace("openid4vp", "https"),
        request_with() + "#x",
        request_with() + "&state=s2",
        request_with() + "&request_uri=" + quote(INSIDE, safe=""),
        request_with() + "&redirect_uri=" + quote(INSIDE, safe=""),
        request_with() + "&x=1",
        request_with() + "x" * 8192,
        request_with() + "\n",
        request_with(response_uri=None),
        request_with(state=None),
        request_with(presentation_definition_uri=None),
        request_with(response_type="code"),
        request_with(response_mode="fragment"),
        request_with(response_uri=INSIDE),
        request_with(response_uri=f"{BASE}/issuer/raw/jwt/sign"),
        request_with(response_uri=f"{BASE}/verifier/../wallet/x"),
        request_with(response_uri="file:///etc/passwd"),
        request_with(response_uri=""),
        request_with(client_id=INSIDE),
        request_with(presentation_definition_uri=INSIDE),
        request_with(presentation_definition=json.dumps({"x": [{"$ref": INSIDE}]})),
        request_with(client_metadata=json.dumps({"jwks_uri": INSIDE})),
        request_with(client_metadata="{"),
        request_with("https://elsewhere.example/openid4vc"),
        request_with("http://verifier.example/openid4vc"),
        request_with("https://verifier.example:8443/openid4vc"),
        request_with("https://me@verifier.example/openid4vc"),
        request_with("https://verifier.example.evil.example/openid4vc"),
        request_with("https://verifier.example/openid4vc", response_uri=INSIDE),
    ],
)
async def test_a_request_leads_nowhere_but_to_verifiers_that_are_allowed(registry: Registry, url: str) -> None:
    with pytest.raises(BadUserInput, match="`requestUrl`"):
        await registry.present(url, credential_id(ANN))
    assert registry.identity.paths == []


async def test_another_verifier_that_is_allowed_is_presented_to_and_says_nothing(registry: Registry) -> None:
    url = request_with("https://verifier.example/openid4vc", client_metadata=json.dumps({"client_name": "Hotel"}))
    seen = []

    async def present(user_id: str, url: str, held: list[str]) -> str:
        seen.append((user_id, url, held))
        return "https://verifier.example/thanks"

    registry.identity.waltid.present = present  # type: ignore[method-assign, assignment]
    shown = await registry.present(url, credential_id(ANN))
    assert shown == Presentation("s1", "https://verifier.example/thanks", None)
    assert seen == [(ANN.id, url, [credential_id(ANN)])]
    assert not [path for path in registry.identity.paths if "/verifier/" in path]


async def test_where_a_verifier_sends_people_is_an_address_of_the_web(registry: Registry) -> None:
    async def present(*args: Any) -> str:
        return "javascript:alert(1)"

    registry.identity.waltid.present = present  # type: ignore[method-assign, assignment]
    shown = await registry.present(request_with("https://verifier.example/x"), credential_id(ANN))
    assert shown.redirect_uri is None


# -- verifying ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["webhook", "schema", "dynamic", "revoked-status-list", "", "signature ", "x" * 500])
async def test_policies_that_call_addresses_are_not_callers_to_choose(registry: Registry, policy: str) -> None:
    for credential in (None, "x"):
        with pytest.raises(BadUserInput, match="`policies`"):
            await registry.ask(policies=["expired", policy], credential=credential)
    assert registry.identity.paths == []


async def test_who_signed_it_is_always_checked(registry: Registry) -> None:
    asked = await registry.ask(policies=[])
    session = registry.identity.store.get("session", asked.id)
    assert session is not None
    assert session["policies"]["vc"] == [["signature", None]]
    assert ["signature", None] in session["policies"]["vp"]
    held = registry.identity.held(ANN.wallet_id)[0]["document"]
    found = await registry.ask(CUSTOMER, "CustomerCredential", credential=held, policies=[])
    assert [each.policy for each in found.policies] == ["credential-type", "signature"]


async def test_a_request_says_what_is_asked_of_a_presentation(registry: Registry) -> None:
    asked = await registry.ask(policies=["allowed-issuer", "credential-status"])
    said = parse_qs(urlsplit(asked.request_url or "").query)
    assert said["state"] == [asked.id]
    session = registry.identity.store.get("session", asked.id)
    assert session is not None
    status = {"discriminator": "w3c", "value": 0, "purpose": "revocation", "type": "BitstringStatusList"}
    assert session["policies"]["vc"] == [
        ["signature", None],
        ["allowed-issuer", registry.identity.waltid.issuer_did],
        ["credential-status", status],
    ]


async def test_a_credential_in_hand_is_checked_without_asking_anybody(registry: Registry) -> None:
    held = registry.identity.held(ANN.wallet_id)[0]["document"]
    registry.identity.forget_calls()
    found = await registry.ask(CUSTOMER, "CustomerCredential", credential=held, policies=list(verifications.CHECKS))
    assert found.verified is True
    assert [each.policy for each in found.policies] == ["credential-type", *verifications.CHECKS]
    assert registry.identity.paths == []


async def test_a_credential_of_another_type_is_not_what_was_asked_for(registry: Registry) -> None:
    held = registry.identity.held(ANN.wallet_id)[0]["document"]
    found = await registry.ask(CUSTOMER, "MembershipCredential", credential=held)
    assert [each.policy for each in found.policies if not each.passed] == ["credential-type"]


@pytest.mark.parametrize("principal", [callers.user(BOB), callers.client(1), callers.platform(server_side=True)])
async def test_ours_but_not_theirs_is_not_there(registry: Registry, principal: Principal) -> None:
    held = registry.identity.held(ANN.wallet_id)[0]["document"]
    with pytest.raises(NotFound):
        await registry.ask(principal, "CustomerCredential", credential=held)


FOREIGN = tokens.new_key("Ed25519")


def foreign(**changes: Any) -> str:
    did = tokens.jwk_did(FOREIGN)
    body = {"type": ["VerifiableCredential", TYPE], "credentialSubject": {"id": "did:jwk:x"}, **changes.pop("vc", {})}
    return tokens.sign(FOREIGN, {"iss": did, "sub": "did:jwk:x", "jti": "urn:uuid:f", "vc": body, **changes}, kid=did)


@pytest.mark.parametrize(
    ("token", "failed"),
    [
        (foreign(), []),
        (foreign(exp=1), ["expired"]),
        (foreign(nbf=9_999_999_999), ["not-before"]),
        (foreign(iss="did:jwk:e30"), ["signature"]),
        (foreign(vc={"credentialStatus": {"statusListCredential": INSIDE}}), ["credential-status"]),
        (foreign(vc={"type": "Other"}), ["credential-type"]),
        (foreign(jti=credential_id(BOB)), []),
    ],
)
async def test_a_credential_of_somebody_else_is_checked_as_far_as_that_can_be(
    registry: Registry, token: str, failed: list[str]
) -> None:
    found = await registry.ask(CUSTOMER, credential=token)
    assert [each.policy for each in found.policies if not each.passed] == failed
    assert found.verified is not bool(failed)
    assert registry.identity.paths == []
    theirs = await registry.ask(CUSTOMER, credential=token, policies=["allowed-issuer"])
    assert theirs.verified is False


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "e30.e30.", "x" * 70_000])
async def test_what_is_no_credential_is_bad_input(registry: Registry, token: str) -> None:
    with pytest.raises(BadUserInput, match="`credential` is not one"):
        await registry.ask(credential=token)


async def test_a_verifier_that_is_down_costs_no_check_of_what_is_in_hand(registry: Registry) -> None:
    registry.identity.line.faults = [Fault("status", status=500)]
    with pytest.raises(BackendError):
        await registry.ask()
    held = registry.identity.held(ANN.wallet_id)[0]["document"]
    assert (await registry.ask(CUSTOMER, "CustomerCredential", credential=held)).verified is True


async def test_the_same_key_opens_the_same_session(registry: Registry) -> None:
    asked = []
    for key in ("k1", "k1", "k2"):
        ctx = registry.context(STAFF, key)
        asked.append(await verifications.verify_credential(ctx, TYPE, None, None))
    assert asked[0].id == asked[1].id != asked[2].id
