"""The demo company's content: pages, posts, services and events of every client, some of them drafts.

A client's code is its tenant. Slugs of the demo's own client are plain, those of the others end with the client's code.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox import keys
from sandbox.omnistack import DEMO_CLIENT
from sandbox.payload.config import DEMO, Collection
from sandbox.payload.wire import iso
from sandbox.store import Row, Store
from sandbox.world import Client, World

POSTS_PER_CLIENT = 15
DRAFTS = frozenset({"spring-campaign", "post-15", "night-tour", "members-evening"})
"""Slugs, without their client, of what is not published."""

_PAGES = (
    ("home", "Home"),
    ("about", "About us"),
    ("delivery", "Delivery"),
    ("terms", "Terms"),
    ("spring-campaign", "Spring campaign"),
)
_SERVICES = (
    ("city-tour", "City tour", 35, 12, 120),
    ("airport-transfer", "Airport transfer", 25, 4, 45),
    ("gift-wrapping", "Gift wrapping", 4.5, 100, 15),
    ("night-tour", "Night tour", 45, 12, 150),
)
_EVENTS = (
    ("book-fair", "Book fair", 10, 200, 20),
    ("poetry-reading", "Poetry reading", 5, 40, 35),
    ("wine-tasting", "Wine tasting", 28.5, 24, 50),
    ("members-evening", "Members' evening", 0, 60, 65),
)


def seed(store: Store) -> None:
    """Oldest first. Whoever writes here in the gateway's name is the one account there is."""
    world = World(datetime.now(UTC))
    by_slug = {each.slug: each for each in DEMO}
    start = world.anchor - timedelta(days=100)
    _put(store, by_slug["users"], account("Gateway", keys.PAYLOAD_API_KEY), start)
    made = 0
    for slug, filler in (("pages", _pages), ("posts", _posts), ("services", _services), ("events", _events)):
        for client in world.clients:
            for document in filler(world, client):
                made += 1
                _put(store, by_slug[slug], document, start + timedelta(hours=made))


def account(name: str, key: str, *, email: str = "gateway@cms.example", password: str | None = None) -> dict[str, Any]:
    """An account with an API key."""
    return {
        "name": name,
        "enableAPIKey": True,
        "apiKey": key,
        "email": email,
        "password": password,
        "sessions": [],
    }


def _put(store: Store, collection: Collection, document: dict[str, Any], at: datetime) -> None:
    number = store.counter(f"id of {collection.slug}")
    fields = {name: field.empty for name, field in collection.fields.items()}
    row: Row = {"id": number, **fields, **document, "updatedAt": iso(at), "createdAt": iso(at)}
    store.put(collection.slug, str(number), row)


def _own(client: Client, world: World, slug: str, title: str) -> dict[str, Any]:
    """What all documents have that a client owns."""
    is_demo = client is world.clients[DEMO_CLIENT]
    return {
        "title": title if is_demo else f"{title} of {client.name}",
        "slug": slug if is_demo else f"{slug}-{client.code.lower()}",
        "tenant": client.code,
        "_status": "draft" if slug in DRAFTS else "published",
    }


def _pages(world: World, client: Client) -> Iterator[dict[str, Any]]:
    for slug, title in _PAGES:
        own = _own(client, world, slug, title)
        product = world.products[len(slug)]
        yield {
            **own,
            "content": _paragraph(f"{title}: {client.name} in Tirana."),
            "layout": [
                {"id": f"{slug}-hero", "blockName": None, "blockType": "hero", "heading": own["title"]},
                {"id": f"{slug}-grid", "blockName": None, "blockType": "productGrid", "productIds": [product.id]},
            ],
            "meta": {"title": own["title"], "description": None},
        }


def _posts(world: World, client: Client) -> Iterator[dict[str, Any]]:
    for n in range(1, POSTS_PER_CLIENT + 1):
        yield {
            **_own(client, world, f"post-{n}", f"News {n}"),
            "excerpt": f"What happened in week {n}.",
            "author": 1,
            "tags": ["news", "books"] if n % 2 else ["city"],
            "publishedAt": iso(world.anchor - timedelta(days=7 * (POSTS_PER_CLIENT - n))),
            "body": _paragraph(f"The news of week {n}."),
        }


def _services(world: World, client: Client) -> Iterator[dict[str, Any]]:
    for slug, title, price, seats, minutes in _SERVICES:
        yield {
            **_own(client, world, slug, title),
            **_offered(client, title, price, seats),
            "durationMinutes": minutes,
        }


def _events(world: World, client: Client) -> Iterator[dict[str, Any]]:
    for slug, title, price, seats, days in _EVENTS:
        yield {
            **_own(client, world, slug, title),
            **_offered(client, title, price, seats),
            "startsAt": iso(world.anchor + timedelta(days=days)),
            "location": "Sheshi Skënderbej, Tirana",
        }


def _offered(client: Client, title: str, price: float, seats: int) -> dict[str, Any]:
    """Priced in the client's currency; a lek is a hundredth of a euro here."""
    in_lek = client.default_currency == "ALL"
    return {
        "description": f"{title}, by {client.name}.",
        "price": price * 100 if in_lek else price,
        "currency": client.default_currency,
        "seats": seats,
    }


def _paragraph(text: str) -> dict[str, Any]:
    """Rich text as Lexical, Payload's editor, keeps it."""
    leaf = {"type": "text", "text": text, "mode": "normal", "style": "", "detail": 0, "format": 0, "version": 1}
    paragraph = {"type": "paragraph", "children": [leaf], "direction": "ltr", "format": "", "indent": 0, "version": 1}
    root = {"type": "root", "children": [paragraph], "direction": "ltr", "format": "", "indent": 0, "version": 1}
    return {"root": root}
