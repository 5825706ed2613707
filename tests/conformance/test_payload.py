"""The Payload simulator answers every recorded request as the real site did.

A site configured and filled like the recorded one is built, the recordings are replayed in their order (they change
state), and each answer is compared: status, shape, and for lists all that is said of the page and which rows it has.
The datasource reads the same recordings.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio

from core import operation
from core.errors import BackendBadResponse, BackendError, BackendRejected, BackendUnavailable
from core.operation import Operation
from core.settings import PayloadSettings
from datasources.payload import Mirror, Payload
from sandbox import payload
from sandbox.payload.config import JSON, META, NUMBER, SLUG, TEXT, TITLE, USERS, Collection, Field
from sandbox.payload.seeding import account
from sandbox.store import Store
from tests.conformance.recordings import CUT_LIST, RECORDED, Recording, compare, load

pytestmark = pytest.mark.conformance

RECORDINGS = load("payload")
UNSUPPORTED = {"graphql_pages": "the gateway speaks REST"}
ANOTHER_PAGE = {"route_404": "a page of Next.js's, whose scripts are not ours"}

KEY, EMAIL, PASSWORD = "recorded-key", "admin@acc.test", "acceptance"
CREDENTIALS = {
    "auth_bad_key_secrets": "users API-Key wrong",
    "auth_bad_key_public_read": "users API-Key wrong",
    "auth_wrong_collection_secrets": f"pages API-Key {KEY}",
    "auth_bearer_key_secrets": f"Bearer {KEY}",
    "auth_api_key_no_slug_secrets": f"API-Key {KEY}",
    "auth_lowercase_secrets": f"users api-key {KEY}",
    "auth_bad_jwt_secrets": "JWT wrong",
}
"""They are blanked in the recordings; all others used a good key, or the token that {} stands for."""
TOKENS = {"auth_jwt_secrets": "JWT {}", "auth_bearer_jwt_secrets": "Bearer {}"}
POSTS, PAGES = 30, 12
FREE_FORM = ("content", "body", "layout")
IDS = re.compile(r"\brec\d?-\d+\b")
LATER = frozenset({"post_create_bad_type", "post_create_unknown_field"})
"""Rows whose ids differ: a database's sequence counts the rows that were refused, too."""

COLLECTIONS = (
    USERS,
    Collection(
        "pages",
        "Page",
        {"title": TITLE, "slug": SLUG, "content": JSON, "layout": Field("blocks"), "meta": META},
        drafts=True,
        read="anyone",
    ),
    Collection(
        "posts",
        "Post",
        {
            "title": TITLE,
            "slug": SLUG,
            "status": Field("select", options=("draft", "published"), default="draft"),
            "author": Field("relationship", to="users"),
            "relatedPage": Field("relationship", to="pages"),
            "tags": Field("text", many=True),
            "views": NUMBER,
            "publishedAt": Field("date"),
            "body": JSON,
        },
        read="published",
    ),
    Collection("secrets", "Secret", {"value": TEXT}),
)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: httpx.Headers
    body: Any


def chronological() -> list[str]:
    """The names in INDEX.md, which lists the recordings as they were made."""
    index = RECORDED / "payload" / "INDEX.md"
    rows = index.read_text().splitlines() if index.exists() else []
    return [match[1] for row in rows if (match := re.match(r"\| (\w+) \| [A-Z]+ \|", row))]


def fill(store: Store) -> None:
    def put(slug: str, n: int, row: dict[str, Any]) -> None:
        at = f"2026-11-21T00:43:{n:02d}.000Z"
        store.counter(f"id of {slug}")
        store.put(slug, str(n), {"id": n, **row, "updatedAt": at, "createdAt": at})

    admin = account("Acc Admin", KEY, email=EMAIL, password=PASSWORD)
    session = {"id": "1c21a506", "createdAt": "2026-11-21T00:43:07.651Z", "expiresAt": "2026-11-21T02:43:07.651Z"}
    put("users", 1, admin | {"sessions": [session]})
    put("secrets", 1, {"value": "hidden"})
    for n in range(PAGES):
        slug = f"page-{n}" if n else "home"
        layout = [{"id": f"{n}a", "heading": f"Hero {n}", "blockName": None, "blockType": "hero"}] if n < 3 else []
        put(
            "pages",
            n + 1,
            {
                "title": f"Page {n}" if n else "Home",
                "slug": slug,
                "content": {"root": {"type": "root"}},
                "meta": {"title": f"Meta {slug}", "description": None},
                "_status": "published" if n < PAGES - 1 else "draft",
                "layout": layout,
            },
        )
    for n in range(POSTS):
        put(
            "posts",
            n + 1,
            {
                "title": f"Post {n}",
                "slug": f"post-{n}",
                "status": "draft" if n % 10 == 9 else "published",
                "author": 1,
                "relatedPage": n % 11 + 1 if n % 2 else None,
                "tags": ["a", "b"] if n % 2 else ["a"],
                "views": 7 * n,
                "publishedAt": f"2026-10-{n % 28 + 1:02d}T08:00:00.000Z",
                "body": {"root": {"type": "root"}},
            },
        )


def path_of(recording: Recording) -> str:
    """As sent; a long list of ids, which the recording has cut, is made again and must be as long as it was."""
    cut = re.search(r"\((\d+) characters\)$", recording.raw["request"]["path_decoded"])
    if cut is None:
        return recording.path
    found = re.fullmatch(r"posts_ids_in_(\d+)_(\w+)", recording.name)
    assert found is not None
    spellings = {"brackets": "where[id][in][]", "index": "where[id][in][{}]", "repeat": "where[id][in]"}
    ids = [n if n <= POSTS else 90_000 + n for n in range(1, int(found[1]) + 1)]
    asked = "&".join(f"{spellings[found[2]].format(n)}={each}" for n, each in enumerate(ids))
    path = f"/api/posts?{asked}&depth=0&limit=100"
    assert len(path) == int(cut[1])
    return path


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def answers() -> AsyncIterator[dict[str, Answer]]:
    """What the simulator says to each recorded request, by the recording's name."""
    store = Store(None)
    store.seed(fill)
    transport = httpx.ASGITransport(app=payload.create_app(store, COLLECTIONS))
    async with httpx.AsyncClient(transport=transport, base_url="http://cms") as client:
        login = await client.post("/api/users/login", json={"email": EMAIL, "password": PASSWORD})
        token = login.json()["token"]
        yield {name: await replay(client, RECORDINGS[name], token) for name in chronological()}
    store.close()


async def replay(client: httpx.AsyncClient, recording: Recording, token: str) -> Answer:
    headers = {key: value for key, value in recording.headers.items() if key != "authorization"}
    if "authorization" in recording.headers:
        shown = CREDENTIALS.get(recording.name, f"users API-Key {KEY}")
        headers["authorization"] = TOKENS.get(recording.name, shown).format(token)
    content = None
    if recording.sent is not None:
        content = recording.sent if isinstance(recording.sent, str) else json.dumps(recording.sent)
    response = await client.request(recording.method, path_of(recording), headers=headers, content=content)
    is_json = "json" in response.headers["content-type"]
    return Answer(response.status_code, response.headers, response.json() if is_json else response.text)


@pytest.mark.parametrize("name", RECORDINGS)
async def test_answers_as_recorded(name: str, answers: dict[str, Answer]) -> None:
    answer, recording = answers[name], RECORDINGS[name]
    if name in UNSUPPORTED:
        assert answer.status == 501, UNSUPPORTED[name]
        return
    assert answer.headers["content-type"] == recording.answer_headers["content-type"]
    assert answer.headers["x-powered-by"] == recording.answer_headers["x-powered-by"]
    if name in ANOTHER_PAGE:
        assert answer.status == recording.status
        return
    assert compare(recording, answer.status, answer.body, ids=IDS, free_form=FREE_FORM) == []
    assert told_of(answer.body, name) == told_of(recording.answer, name)


def told_of(body: Any, name: str) -> Any:
    """What an answer says besides its rows' contents: which rows they are, and all about their page."""
    if not isinstance(body, dict):
        return body
    rows = body.get("docs", [])
    shown = [row["id"] for row in rows if isinstance(row, dict)]
    cut = [int(row.split()[1]) for row in rows if isinstance(row, str) and CUT_LIST.fullmatch(row)]
    said = {key: value for key, value in body.items() if not isinstance(value, dict | list)}
    doc = body.get("doc", {}).get("id") if name not in LATER else None
    times = {"updatedAt", "createdAt", "exp", "token", "publishedAt"}
    return {key: said[key] for key in said.keys() - times}, shown[:1], len(shown) + sum(cut), doc


def replaying(name: str) -> Payload:
    """The real datasource before a server that knows its key and otherwise answers as recorded."""

    def respond(request: httpx.Request) -> httpx.Response:
        recording = RECORDINGS["auth_me_api_key" if request.url.path.endswith("/me") else name]
        body = json.dumps(without_cuts(recording.answer)) if not isinstance(recording.answer, str) else recording.answer
        return httpx.Response(recording.status, text=body)

    operation.enter(Operation())
    return Payload(httpx.AsyncClient(transport=httpx.MockTransport(respond), base_url="http://cms"), PayloadSettings())


def without_cuts(value: Any) -> Any:
    """What is left of an answer whose long lists the recording has cut."""
    if isinstance(value, dict):
        return {key: without_cuts(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_cuts(each) for each in value if not (isinstance(each, str) and CUT_LIST.fullmatch(each))]
    return value


async def test_recorded_pages_are_read() -> None:
    [home] = await replaying("pages_by_slug_limit1_depth0").pages_by_slugs(["home"])
    assert (home.id, home.slug, home.title, home.status) == ("1", "home", "Home", "published")
    assert [block["blockType"] for block in home.blocks] == ["hero", "productGrid"]
    assert await replaying("pages_by_slug_missing").pages_by_slugs(["nope"]) == []


async def test_recorded_posts_are_read_by_their_editors_status() -> None:
    source = replaying("posts_slugs_in")
    source._status_fields["posts"] = "status"
    found = await source.documents("posts", limit=10)
    assert [row.slug for row in found.rows] == ["post-2", "post-1"]
    assert found.rows[0].data["author"] == 1


async def test_recorded_accounts_are_not_shown() -> None:
    source = replaying("posts_depth_1")
    source._status_fields["posts"] = "status"
    [row] = (await source.documents("posts", limit=1)).rows
    assert row.data["author"] == 1
    assert "@" not in json.dumps(row.data)


@pytest.mark.parametrize(
    ("name", "error", "reason"),
    [
        ("posts_where_bad_field", BackendRejected, "unknown nope"),
        ("posts_where_bad_operator", BackendRejected, "unknown title.nope"),
        ("collection_404", BackendRejected, "no_route"),
        ("route_404", BackendRejected, "no_route"),
        ("auth_bad_key_secrets", BackendRejected, "forbidden"),
        ("posts_ids_in_not_a_number", BackendUnavailable, None),
        # Drafts, where only what is published was asked for.
        ("pages_list", BackendBadResponse, None),
        ("post_by_id", BackendBadResponse, None),
    ],
)
async def test_recorded_refusals_have_their_names(name: str, error: type[BackendError], reason: str | None) -> None:
    with pytest.raises(error) as caught:
        await replaying(name).documents("posts", limit=10)
    assert getattr(caught.value, "reason", None) == reason


async def test_a_recorded_anonymous_answer_is_an_error() -> None:
    body = RECORDINGS["auth_me_none"].raw["response"]["body"]
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=body))
    source = Payload(httpx.AsyncClient(transport=transport, base_url="http://cms"), PayloadSettings())
    operation.enter(Operation())
    with pytest.raises(BackendRejected, match="credentials"):
        await source.ping()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("post_create_duplicate", "taken slug"),
        ("post_create_two_missing", "invalid"),
        ("post_create_bad_select", "invalid"),
        ("post_create_bad_json", None),
        ("auth_none_write", "forbidden"),
    ],
)
async def test_recorded_refusals_of_writes_have_their_names(name: str, reason: str | None) -> None:
    with pytest.raises(BackendRejected) as caught:
        await replaying(name).mirror(Mirror.ORDERS, "order_1", {})
    assert caught.value.reason == reason


async def test_a_recorded_change_is_read() -> None:
    with pytest.raises(BackendBadResponse, match="keeps no gatewayId"):
        await replaying("posts_update_where").mirror(Mirror.ORDERS, "order_1", {"views": 9})


def test_every_file_is_replayed() -> None:
    files = {path.stem for path in (RECORDED / "payload").glob("*.json")}
    assert files == set(chronological()) == set(RECORDINGS)
