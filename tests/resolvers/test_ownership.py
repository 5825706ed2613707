"""Whose a recorded row is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.principals import Principal
from datasources.mongo import OwnershipRecord
from resolvers.ownership import owns
from tests.callers import SERVICE, WORLD, client, person, platform, user

ANN, NEIGHBOUR, STAFFER = person("CUSTOMER"), person("CUSTOMER", n=1), person("STAFF")
OF_PLATFORM = next(each for each in WORLD.clients if each.app is WORLD.apps[1])


def recorded(client_id: str | None, user_id: str | None) -> OwnershipRecord:
    return OwnershipRecord(
        backend="MEDUSA", row_id="cart_1", client_id=client_id, user_id=user_id, created_at=datetime.now(UTC)
    )


@pytest.mark.parametrize(
    ("principal", "owner", "expected"),
    [
        (SERVICE, None, True),
        (client(0), None, False),
        (user(ANN), recorded(ANN.client.id, ANN.id), True),
        (user(NEIGHBOUR), recorded(ANN.client.id, ANN.id), False),
        (user(STAFFER), recorded(ANN.client.id, ANN.id), True),
        (client(0), recorded(ANN.client.id, None), True),
        (client(1), recorded(ANN.client.id, None), False),
        (client(0), recorded(None, None), False),
        (platform(server_side=True), recorded(OF_PLATFORM.id, None), True),
        (platform(server_side=False), recorded(OF_PLATFORM.id, None), False),
    ],
)
def test_a_recorded_row_is_its_clients_and_for_customers_their_own(
    principal: Principal, owner: OwnershipRecord | None, expected: bool
) -> None:
    assert owns(principal, owner) is expected
