"""Files over REST: as a body, in a form, and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast
from uuid import uuid4

import pytest
from starlette.requests import Request

from core.errors import Forbidden
from core.principals import Principal, PrincipalKind
from core.settings import Settings
from resolvers.context import Context
from rest.bodies import TooLarge
from rest.storage import incoming
from tests.access.callers import HERE
from tests.callers import SERVICE
from tests.rest.counter import Counter

pytest_plugins = ["tests.engines", "tests.rest.opened"]

FILES = "/storage/files/"
READER = Principal(PrincipalKind.CLIENT, frozenset(["storage:read"]))
PIECE = b"0123456789abcdef" * 4096


def key() -> str:
    return f"{HERE.id}/reports/{uuid4().hex}.txt"


async def test_a_body_is_stored_and_comes_back_as_it_was(counter: Counter) -> None:
    name = key()
    stored = await counter.data(
        "POST", f"/storage/upload?key={name}", "here", content=b"hello", headers={"Content-Type": "text/plain"}
    )
    assert (stored["key"], stored["sizeBytes"], stored["contentType"]) == (name, 5, "text/plain")
    told = await counter.data("GET", f"{FILES}{name}?expires_in=60", "here")
    assert (told["key"], told["url"].startswith("http")) == (name, True)
    answer = await counter.ask("GET", f"/api/gateway{FILES}{name}?download=true", "here")
    assert (answer.status_code, answer.content) == (200, b"hello")
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert (answer.headers["content-length"], answer.headers["x-content-type-options"]) == ("5", "nosniff")


async def test_a_form_is_stored_under_its_key(counter: Counter) -> None:
    name = key()
    files = {"file": ("photo.png", b"\x89PNG", "image/png")}
    stored = await counter.data("POST", "/storage/upload", "here", files=files, data={"key": name})
    assert (stored["key"], stored["sizeBytes"], stored["contentType"]) == (name, 4, "image/png")


async def test_without_a_key_a_file_gets_one_of_its_clients(counter: Counter) -> None:
    stored = await counter.data("POST", "/storage/upload?name=notes.txt", "here", content=b"hello")
    assert stored["key"].startswith(f"{HERE.id}/")
    assert stored["key"].endswith(".txt")


async def test_a_deleted_file_is_gone(counter: Counter) -> None:
    name = key()
    await counter.data("POST", f"/storage/upload?key={name}", "here", content=b"hello")
    assert await counter.data("DELETE", f"{FILES}{name}", "here") is True
    for path in (name, f"{name}?download=true"):
        assert (await counter.ask("GET", f"/api/gateway{FILES}{path}", "here")).status_code == 404


async def test_nobody_downloads_what_is_not_theirs(counter: Counter) -> None:
    name = key()
    await counter.data("POST", f"/storage/upload?key={name}", "here", content=b"hello")
    for caller in ("there", "customer", "browser"):
        answer = await counter.ask("GET", f"/api/gateway{FILES}{name}?download=true", caller)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


async def test_a_repeated_upload_is_the_same_one_by_its_content(counter: Counter) -> None:
    once = {"Idempotency-Key": uuid4().hex}
    first, second = [
        await counter.data("POST", "/storage/upload", "here", content=b"hello", headers=once) for _ in range(2)
    ]
    assert first["key"] == second["key"]
    other = await counter.ask("POST", "/api/gateway/storage/upload", "here", content=b"another", headers=once)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "IDEMPOTENCY_CONFLICT")


@pytest.mark.parametrize("files", [{"photo": b"x"}, {}])
async def test_a_form_without_file_is_refused(counter: Counter, files: dict[str, bytes]) -> None:
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    sent: dict[str, Any] = {"files": files} if files else {"content": b"--b--\r\n", "headers": kind}
    answer = await counter.ask("POST", "/api/gateway/storage/upload", "here", **sent)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BAD_USER_INPUT")


# -- how it is read ----------------------------------------------------------------------------------------------------


class Sender:
    """Sends pieces, and counts those that were taken."""

    def __init__(self, pieces: int) -> None:
        self.left, self.taken = pieces, 0

    async def __call__(self) -> dict[str, Any]:
        self.left -= 1
        self.taken += 1
        return {"type": "http.request", "body": PIECE, "more_body": self.left > 0}

    def request(self, **headers: str) -> Request:
        raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        scope = {"type": "http", "method": "POST", "path": "/", "headers": raw, "query_string": b""}
        return Request(scope, cast("Any", self))


def settings(limit: int) -> Settings:
    return Settings(upload_max_bytes=limit)


def context(principal: Principal = SERVICE) -> Context:
    return Context(cast("Any", None), principal)


async def pieces(file: Any) -> AsyncIterator[bytes]:
    while piece := await file.read(1024):
        yield piece


async def test_a_body_is_read_no_faster_than_it_is_stored() -> None:
    sender = Sender(1000)
    async with incoming(sender.request(), context(), {}, settings(2**30)) as said:
        assert sender.taken == 0
        assert await said["file"].read(1) == PIECE
        assert sender.taken == 1


async def test_a_body_beyond_the_limit_is_not_read_to_its_end() -> None:
    sender = Sender(1000)
    async with incoming(sender.request(), context(), {}, settings(3 * len(PIECE))) as said:
        with pytest.raises(TooLarge):
            _ = [piece async for piece in pieces(said["file"])]
    assert sender.taken == 4


async def test_a_body_that_says_it_is_too_large_is_not_read_at_all() -> None:
    sender = Sender(1000)
    with pytest.raises(TooLarge):
        async with incoming(sender.request(content_length="4000"), context(), {}, settings(3999)):
            pass
    assert sender.taken == 0


async def test_of_who_may_not_store_files_nothing_is_read() -> None:
    sender = Sender(1000)
    with pytest.raises(Forbidden):
        async with incoming(
            sender.request(), context(Principal(PrincipalKind.CLIENT, frozenset(["storage:read"]))), {}, settings(2**30)
        ):
            pass
    assert sender.taken == 0
