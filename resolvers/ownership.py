"""Whose a row is that the gateway made in a backend which knows no clients: what the ownership collection says."""

from __future__ import annotations

from core.backends import BackendName
from core.principals import Principal
from datasources.mongo import OwnershipRecord
from resolvers.context import OneByKey
from resolvers.users import visible_client_ids


class OwnerOfDelivery(OneByKey[str, OwnershipRecord]):
    """What is recorded about a delivery, whosever it is."""

    async def fetch(self, keys: list[str]) -> list[OwnershipRecord]:
        return await self.sources.mongo.owners(BackendName.FLEETBASE, keys)

    def key(self, row: OwnershipRecord) -> str:
        return row.row_id


def owns(principal: Principal, owner: OwnershipRecord | None) -> bool:
    """Whether a row is a principal's own to see. What nobody recorded (None) is a service's alone."""
    if principal.is_service:
        return True
    if owner is None or (principal.is_customer and owner.user_id != principal.user_id):
        return False
    return owner.client_id in (visible_client_ids(principal) or ())
