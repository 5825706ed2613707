"""The demo world as the gateway's own store keeps it: documents by collection."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.s3.seeding import receipts
from sandbox.waltid import seeding as waltid
from sandbox.world import REGION_EUR, Address, Client, Person, World, object_id

DEMO_CLIENT = 2
"""Whose people the demo's tokens belong to, by its place in `World.clients`."""
FAMILY_SIZE = 3
BATCHES_PER_CLIENT = 12


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
    memberships = _memberships(world)
    stamp = {"createdAt": world.anchor - timedelta(days=150), "updatedAt": world.anchor - timedelta(days=150)}
    return {
        "keys": [
            {"_id": key_hashes[name], "ownerKind": kind, "ownerId": owner_id, **stamp}
            for name, (kind, owner_id) in owners.items()
        ],
        "families": _families(world),
        "users": [_user(person) | memberships.get(person.id, {}) for person in world.people],
        "batches": _batches(world),
        "credentials": [_credential(person) for person in world.customers],
        "ownership": [
            *[_print_customer(person) for person in world.customers],
            *[_receipt(key, person) for key, person in receipts(world).items()],
        ],
        "clients": [
            _client(client, key_hints[client.code], world.print_customer_ids(client), stamp) for client in world.clients
        ],
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


def _client(client: Client, key_hint: str, print_customer_ids: list[str], stamp: dict[str, datetime]) -> dict[str, Any]:
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
            "payloadTenant": client.code,
            "strapiCustomerIds": print_customer_ids,
            "pickup": _place(client.pickup),
        },
        **stamp,
    }


def _receipt(key: str, person: Person) -> dict[str, Any]:
    return {
        "_id": f"MINIO:{key}",
        "backend": "MINIO",
        "rowId": key,
        "clientId": person.client.id,
        "userId": person.id,
        "createdAt": person.created_at,
    }


def _print_customer(person: Person) -> dict[str, Any]:
    """Who it is that the print shop calls so."""
    return {
        "_id": f"STRAPI:{person.print_customer_id}",
        "backend": "STRAPI",
        "rowId": person.print_customer_id,
        "kind": "customer",
        "clientId": person.client.id,
        "userId": person.id,
        "createdAt": person.created_at,
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


def _user(person: Person) -> dict[str, Any]:
    document: dict[str, Any] = {
        "_id": person.id,
        "clientId": person.client.id,
        "email": person.email,
        "emailKey": person.email.casefold(),
        "name": person.name,
        "phone": person.phone,
        "role": person.role,
        "status": "ACTIVE",
        "linkedAccounts": {},
        "medusaCustomerIds": [],
        "cartCustomerIds": [],
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
    return document


def _credential(person: Person) -> dict[str, Any]:
    """What is in their wallet from the beginning; it is in no status list."""
    since, until = waltid.validity(person)
    return {
        "_id": object_id(6, person.n),
        "credentialId": waltid.credential_id(person),
        "type": ["VerifiableCredential", waltid.TYPE],
        "issuer": waltid.issuer_did(),
        "subject": waltid.holder_did(person),
        "claimsText": json.dumps(waltid.customer_claims(person)),
        "heldAs": waltid.credential_id(person),
        "clientId": person.client.id,
        "userId": person.id,
        "issuedAt": since,
        "expiresAt": until,
        "createdAt": since,
        "updatedAt": since,
        "revision": 1,
    }


def _circles(world: World) -> Iterator[tuple[str, Client, list[Person]]]:
    """Two families of three customers for every client: id, client, and the people, the owner first."""
    n = 0
    for client in world.clients:
        theirs = [person for person in world.customers if person.client is client]
        for i in range(2):
            n += 1
            yield object_id(4, n), client, theirs[i * FAMILY_SIZE : (i + 1) * FAMILY_SIZE]


def _memberships(world: World) -> dict[str, dict[str, Any]]:
    """What the users' documents say of their families, by user id."""
    memberships = {
        person.id: {"familyId": family_id, "familyRole": role, "familyJoinedAt": people[0].created_at}
        for family_id, _, people in _circles(world)
        for person, role in zip(people, ("OWNER", "ADULT", "CHILD"), strict=True)
    }
    for family_id, _, people in _circles(world):
        memberships[people[0].id]["ownsFamilyId"] = family_id
    return memberships


def _families(world: World) -> list[dict[str, Any]]:
    """The owner of each shares a benefit."""
    return [
        {
            "_id": family_id,
            "clientId": client.id,
            "name": f"Family {n % 2 + 1} of {client.code}",
            "heirId": people[0].id,
            "benefits": [
                {
                    "code": "FAMILY10",
                    "name": "Ten per cent off",
                    "sharedById": people[0].id,
                    "percentOff": "10",
                    "validUntil": world.anchor + timedelta(days=365),
                }
            ],
            "createdAt": people[0].created_at,
            "updatedAt": people[0].created_at,
            "revision": 1,
        }
        for n, (family_id, client, people) in enumerate(_circles(world))
    ]


def _batches(world: World) -> list[dict[str, Any]]:
    """A dozen for every client, of products that its channel sells; every third never expires."""
    batches = []
    for n in range(1, BATCHES_PER_CLIENT * len(world.clients) + 1):
        client = world.clients[n % len(world.clients)]
        made = world.anchor - timedelta(days=30) + timedelta(hours=n)
        batch = {
            "_id": object_id(5, n),
            "clientId": client.id,
            "externalId": f"{client.code}-{n:04d}",
            "sku": world.products[n * 5 % len(world.products)].variants[0].sku,
            "quantity": str(10 * n) if n % 5 else f"{n}.5",
            "warehouse": client.warehouse,
            "createdAt": made,
            "updatedAt": made,
            "revision": 1,
        }
        if n % 3:
            batch["expiresAt"] = (world.anchor + timedelta(days=30 * n)).date().isoformat()
        batches.append(batch)
    return batches
