"""Where credentials are issued, in a test: the real core store with the demo world, and walt.id's simulator."""

from __future__ import annotations

from typing import Any

from core import operation
from core.idempotency import KeyedRequest
from core.operation import Operation
from core.principals import Principal
from datasources import Sources
from datasources.mongo import CredentialRecord, Mongo
from resolvers import credentials, verifications
from resolvers.context import Context
from resolvers.credentials import CredentialWanted, Presentation
from resolvers.status_lists import StatusLists
from resolvers.verifications import Verification
from tests import callers
from tests.callers import WORLD, person
from tests.identity import GATEWAY, TYPE, Identity

CLIENT = WORLD.clients[0]
ANN, BOB, ELSEWHERE = person("CUSTOMER"), person("CUSTOMER", n=1), person("CUSTOMER", client=1)
CUSTOMER, STAFF, MANAGER = (callers.user(each) for each in (ANN, person("STAFF"), person("MANAGER")))
GOLD = {"level": "gold", "points": [1, 2.5], "since": {"year": 2026}}


class Registry:
    """`key` is the caller's idempotency key."""

    def __init__(self, mongo: Mongo, identity: Identity, sources: Sources) -> None:
        self.mongo, self.identity, self.sources = mongo, identity, sources

    def context(self, principal: Principal, key: str | None = None, notes: dict[str, str] | None = None) -> Context:
        keyed = None
        if key is not None:
            keyed = KeyedRequest(principal.id, "", key, "attempt", notes if notes is not None else {}, path="it")
        operation.enter(Operation(keyed=keyed))
        return Context(self.sources, principal)

    async def issue(
        self, by: Principal = MANAGER, user_id: str | None = ANN.id, *, key: str | None = None, **wanted: Any
    ) -> CredentialRecord:
        asked = CredentialWanted(**{"type": TYPE, "claims": GOLD, **wanted}, user_id=user_id)
        if key is not None:
            claimed = KeyedRequest(by.id, "", key, "attempt", {}, path="it")
            await self.mongo.claim_request(claimed.key, "digest", "attempt", lease_s=60)
        return await credentials.issue_credential(self.context(by, key), asked)

    async def publish(self) -> None:
        """Let walt.id find the status list."""
        token = await StatusLists(self.sources).token(1)
        self.identity.lists[f"{GATEWAY}/status/1"] = token or ""

    async def ask(self, by: Principal = STAFF, type: str = TYPE, **more: Any) -> Verification:
        asked = {"credential": None, "policies": None, **more}
        return await verifications.verify_credential(self.context(by), type, **asked)

    async def present(
        self, url: str | None, *ids: str, by: Principal = CUSTOMER, user_id: str = ANN.id
    ) -> Presentation:
        return await credentials.create_presentation(self.context(by), user_id, ids, url or "")

    async def rows(self) -> list[str]:
        return sorted(row.id for row in await self.mongo.credentials(limit=200))
