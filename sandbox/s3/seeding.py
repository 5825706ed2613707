"""Files of the demo world: a welcome of every client, and receipts of its first customers."""

from __future__ import annotations

from datetime import UTC, datetime

from sandbox.s3.objects import KIND, row_of
from sandbox.store import Store
from sandbox.world import Person, World

TEXT = {"content-type": "text/plain; charset=utf-8"}


def receipts(world: World) -> dict[str, Person]:
    """The keys of those files that somebody owns, and who does."""
    owners = [each for client in world.clients for each in [c for c in world.customers if c.client is client][:2]]
    return {f"{person.client.id}/receipts/{person.id}.txt": person for person in owners}


def seed(store: Store) -> None:
    world = World(datetime.now(UTC))
    for client in world.clients:
        _put(store, f"{client.id}/welcome.txt", f"Welcome to {client.name}.\n")
    for key, person in receipts(world).items():
        _put(store, key, f"A receipt for {person.name}.\n")


def _put(store: Store, key: str, text: str) -> None:
    store.put(KIND, key, row_of(key, TEXT, text))
