"""How a platform brings a client in, as its documents tell it: registered, called with both keys, rotated, put out.

Told in GraphiQL by a real browser, on a gateway of its own, whose files and log hold no secret afterwards.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.end_to_end.browser import Page, open_page
from tests.end_to_end.conftest import NewGateway
from tests.end_to_end.gateway import Gateway
from tests.end_to_end.test_graphiql import pytestmark, run

__all__ = ["pytestmark"]

REGISTER = """mutation Register {
    registerClient(input: {name: "ByBest Shops", code: "BBS26", externalId: "6795785555"}) {
        apiKey client { id code keyHint isActive app { name } } } }"""
CREATE_USER = """mutation Create($email: String!, $role: UserRole!) {
    createUser(input: {email: $email, name: "Somebody", role: $role}) { id role client { code } } }"""
GRANT = """mutation Grant($id: ID!) {
    grantStaffAccess(userId: $id, permissions: ["sales"]) { staffAccess { permissions } } }"""
CREATE_FAMILY = """mutation Found($id: ID!) {
    createFamily(input: {name: "Ours", ownerId: $id}) { id members { role } } }"""
JOIN = """mutation Join($family: ID!, $id: ID!) {
    addFamilyMember(familyId: $family, userId: $id, role: CHILD) { members { role user { name } } } }"""
SHARE = """mutation Share($family: ID!, $id: ID!) {
    shareFamilyBenefit(
        familyId: $family, input: {code: "TEN", name: "Ten off", sharedById: $id, percentOff: "10"}
    ) { benefits { code percentOff sharedBy { id } } } }"""
SYNC = """mutation Sync { syncBatches(input: [
    {externalId: "b-1", sku: "SKU-1", quantity: "12.5"}, {externalId: "b-2", sku: "SKU-2", quantity: "3"}
]) { created updated unchanged } }"""
ROTATE = """mutation Rotate($id: ID!, $overlap: Int!) {
    rotateClientKey(id: $id, overlapSeconds: $overlap) { apiKey } }"""
PUT_OUT = "mutation PutOut($id: ID!) { setClientActive(id: $id, isActive: false) { isActive keyHint } }"
WHO = "query Who { viewer { kind client { id code externalId } } }"


class Desk:
    """GraphiQL, with a way to say who asks."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def ask(self, query: str, headers: dict[str, str], variables: dict[str, Any] | None = None) -> Any:
        page = self._page
        await page.click("document.querySelector('.graphiql-query-editor .monaco-editor')")
        await page.paste(query)
        await page.until(f"localStorage.getItem('graphiql:query') === {json.dumps(query)}")
        for tab, content in (("Variables", variables or {}), ("Headers", headers)):
            button = (
                "[...document.querySelectorAll('.graphiql-editor-tools button')]"
                f".find(button => button.textContent.trim() === '{tab}')"
            )
            await page.click(button)
            await page.until(f"({button}).classList.contains('active')")
            editor = (
                "[...document.querySelectorAll('.graphiql-editor-tool .monaco-editor')]"
                ".find(one => one.getBoundingClientRect().width > 0)"
            )
            await page.click(editor)  # its lines may be wider than what can be clicked
            text = json.dumps(content)
            await page.paste(text)
            # Long lines wrap, in any order, and blanks are shown as others.
            shown = (
                f"[...({editor}).querySelectorAll('.view-line')]"
                ".sort((one, other) => parseFloat(one.style.top) - parseFloat(other.style.top))"
                ".map(line => line.textContent).join('').replaceAll(/\\s/g, '')"
            )
            await page.until(f"{shown} === {json.dumps(''.join(text.split()))}")
        return await run(page)

    async def data(self, query: str, headers: dict[str, str], variables: dict[str, Any] | None = None) -> Any:
        answer = await self.ask(query, headers, variables)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    async def refused(self, query: str, headers: dict[str, str], variables: dict[str, Any] | None = None) -> str:
        """The code of the only error."""
        [error] = (await self.ask(query, headers, variables))["errors"]
        code: str = error["extensions"]["code"]
        return code


async def test_a_platform_brings_a_client_in(new_gateway: NewGateway, tmp_path: Path) -> None:
    gateway = await new_gateway(LOG_LEVEL="DEBUG")
    async with open_page(tmp_path / "profile") as page:
        await page.open(f"{gateway.url}/graphql")
        await page.until("document.querySelector('.graphiql-query-editor .view-line')")
        secrets = await tell(Desk(page), gateway)
    assert len(secrets) == len(set(secrets)) == 3
    await gateway.stop()
    log = gateway.data_dir.with_suffix(".log")
    written = {path: path.read_bytes() for path in [*gateway.data_dir.rglob("*"), log] if path.is_file()}
    for path, content in written.items():
        assert not [secret for secret in secrets if secret.encode() in content], f"{path.name} holds a key"
        if path.name not in ("credentials.json", log.name):  # the first start prints the demo's
            demo = gateway.credentials
            known = [*demo["tokens"].values(), *demo["keys"].values(), demo["service_key"], demo["jwt_secret"]]
            assert not [secret for secret in known if secret.encode() in content], f"{path.name} holds a secret"


async def tell(desk: Desk, gateway: Gateway) -> list[str]:
    """The story; every key that was issued in it."""
    platform = {"x-api-key": gateway.credentials["keys"]["BookMaster"]}
    assert (await desk.data(WHO, platform))["viewer"] == {"kind": "PLATFORM", "client": None}

    issued = (await desk.data(REGISTER, platform))["registerClient"]
    key, client = issued["apiKey"], issued["client"]
    assert key.endswith(client["keyHint"])
    assert client["app"] == {"name": "BookMaster"}
    assert await desk.refused(REGISTER, platform) == "CONFLICT"
    assert await desk.refused(ROTATE, platform, {"id": client["id"], "overlap": 0}) == "FORBIDDEN"

    both = {**platform, "client-x-api-key": key}
    known = {"id": client["id"], "code": "BBS26", "externalId": "6795785555"}
    assert (await desk.data(WHO, both))["viewer"] == {"kind": "CLIENT", "client": known}

    owner, child = [await create(desk, both, f"{who}@example.com", "CUSTOMER") for who in ("owner", "child")]
    seller = await create(desk, both, "seller@example.com", "STAFF")
    granted = await desk.data(GRANT, both, {"id": seller})
    assert granted["grantStaffAccess"] == {"staffAccess": {"permissions": ["sales"]}}

    family = (await desk.data(CREATE_FAMILY, both, {"id": owner}))["createFamily"]["id"]
    joined = await desk.data(JOIN, both, {"family": family, "id": child})
    assert [member["role"] for member in joined["addFamilyMember"]["members"]] == ["OWNER", "CHILD"]
    shared = await desk.data(SHARE, both, {"family": family, "id": owner})
    assert shared["shareFamilyBenefit"]["benefits"] == [{"code": "TEN", "percentOff": "10", "sharedBy": {"id": owner}}]

    assert (await desk.data(SYNC, both))["syncBatches"] == {"created": 2, "updated": 0, "unchanged": 0}
    assert (await desk.data(SYNC, both))["syncBatches"] == {"created": 0, "updated": 0, "unchanged": 2}

    second = (await desk.data(ROTATE, both, {"id": client["id"], "overlap": 600}))["rotateClientKey"]["apiKey"]
    newer = {**platform, "client-x-api-key": second}
    assert [(await desk.data(WHO, headers))["viewer"]["client"] for headers in (both, newer)] == [known, known]
    third = (await desk.data(ROTATE, newer, {"id": client["id"], "overlap": 0}))["rotateClientKey"]["apiKey"]
    newest = {**platform, "client-x-api-key": third}
    assert [await desk.refused(WHO, headers) for headers in (both, newer)] == ["UNAUTHENTICATED"] * 2
    assert (await desk.data(WHO, newest))["viewer"]["client"] == known

    put_out = await desk.data(PUT_OUT, newest, {"id": client["id"]})
    assert put_out["setClientActive"] == {"isActive": False, "keyHint": None}
    assert await desk.refused(WHO, newest) == "UNAUTHENTICATED"
    return [key, second, third]


async def create(desk: Desk, headers: dict[str, str], email: str, role: str) -> str:
    made = (await desk.data(CREATE_USER, headers, {"email": email, "role": role}))["createUser"]
    assert (made["role"], made["client"]) == (role, {"code": "BBS26"})
    user_id: str = made["id"]
    return user_id
