"""The demo world as the gateway's own store keeps it: documents by collection."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.world import REGION_EUR, Address, Client, Person, World, object_id

DEMO_CLIENT = 2
"""Whose people the demo's tokens belong to, by its place in `World.clients`."""
FAMILY_SIZE = 3


def key_owners() -> list[str]:
    """Who gets a demo key: platforms by name, clients by code."""
    world = World(datetime.now(UTC))
    return [app.name for app in world.apps] + [client.code for client in world.clients]


def token_users() -> dict[str, str]:
    """The user id behind each role's demo token."""
    world = World(datetime.now(UTC))
    client = world.clients[DEMO_CLIENT]
    users: dict[str, str] = {}
    for person in world.people:
        if person.client is client:
            users.setdefault(person.role, person.id)
    return users


def documents(
    scopes: list[str], key_hashes: Mapping[str, str], key_hints: Mapping[str, str]
) -> dict[str, list[dict[str, Any]]]:
    """Every collection's documents, the client apps last: where they are, all is there."""
    world = World(datetime.now(UTC))
    owners = {app.name: ("client_app", app.id) for app in world.apps}
    owners |= {client.code: ("client", client.id) for client in world.clients}
    members = {person.id: family for family in _families(world) for person in family["_people"]}
    stamp = {"createdAt": world.anchor - timedelta(days=150), "updatedAt": world.anchor - timedelta(days=150)}
    return {
        "keys": [
            {"_id": key_hashes[name], "ownerKind": kind, "ownerId": owner_id, **stamp}
            for name, (kind, owner_id) in owners.items()
        ],
        "families": [{k: v for k, v in family.items() if k != "_people"} for family in _families(world)],
        "users": [_user(person, members.get(person.id)) for person in world.people],
        "clients": [_client(client, key_hints[client.code], stamp) for client in world.clients],
        "client_apps": [
            {
                "_id": app.id,
                "name": app.name,
                "scopes": scopes,
                "isActive": True,
                "isServerSide": app.is_server_side,
                "keyHint": key_hints[app.name],
                **stamp,
            }
            for app in world.apps
        ],
    }


def _client(client: Client, key_hint: str, stamp: dict[str, datetime]) -> dict[str, Any]:
    return {
        "_id": client.id,
        "clientAppId": client.app.id,
        "externalId": client.external_id,
        "name": client.name,
        "code": client.code,
        "defaultCurrency": client.default_currency,
        "isActive": True,
        "keyHint": key_hint,
        "backendScope": {
            "medusaSalesChannelIds": [client.channel_id],
            "medusaRegionId": REGION_EUR,
            "erpCompany": client.company,
            "erpWarehouse": client.warehouse,
            "pickup": _place(client.pickup),
        },
        **stamp,
    }


def _place(address: Address) -> dict[str, Any]:
    return {
        "name": address.name,
        "street": address.street,
        "city": address.city,
        "postalCode": address.postal_code,
        "country": address.country,
        "phone": address.phone,
        "location": {"latitude": address.latitude, "longitude": address.longitude},
    }


def _user(person: Person, family: dict[str, Any] | None) -> dict[str, Any]:
    document: dict[str, Any] = {
        "_id": person.id,
        "clientId": person.client.id,
        "email": person.email,
        "name": person.name,
        "phone": person.phone,
        "role": person.role,
        "status": "ACTIVE",
        "linkedAccounts": {},
        "medusaCustomerIds": [],
        "createdAt": person.created_at,
        "updatedAt": person.created_at,
    }
    if person.role == "CUSTOMER":
        document["linkedAccounts"] = {
            "medusaCustomerId": person.medusa_id,
            "stripeCustomerId": person.stripe_id,
            "erpCustomerId": person.erp_id,
            "walletId": person.wallet_id,
            "fleetbaseContactId": person.contact_id,
        }
        document["medusaCustomerIds"] = [person.medusa_id]
    else:
        document["staffAccess"] = {"permissions": ["orders", "deliveries"], "grantedAt": person.created_at}
    if family is not None:
        document["familyId"] = family["_id"]
    return document


def _families(world: World) -> list[dict[str, Any]]:
    """Two families of three customers for every client; the owner shares a benefit."""
    families: list[dict[str, Any]] = []
    for client in world.clients:
        theirs = [person for person in world.customers if person.client is client]
        for i in range(2):
            people = theirs[i * FAMILY_SIZE : (i + 1) * FAMILY_SIZE]
            owner = people[0]
            families.append(
                {
                    "_id": object_id(4, len(families) + 1),
                    "_people": people,
                    "clientId": client.id,
                    "name": f"Family {i + 1} of {client.code}",
                    "members": [
                        {"userId": person.id, "role": role, "joinedAt": owner.created_at}
                        for person, role in zip(people, ("OWNER", "ADULT", "CHILD"), strict=True)
                    ],
                    "memberIds": [person.id for person in people],
                    "benefits": [
                        {
                            "code": "FAMILY10",
                            "name": "Ten per cent off",
                            "sharedById": owner.id,
                            "percentOff": "10",
                            "validUntil": world.anchor + timedelta(days=365),
                        }
                    ],
                    "createdAt": owner.created_at,
                    "updatedAt": owner.created_at,
                }
            )
    return families
