"""Whose files are, what they may be called, how large they may be, and what their URLs lead to."""

from __future__ import annotations

import unicodedata
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from core import operation
from core.backends import BackendName
from core.errors import BadUserInput, NotFound
from core.operation import Operation
from core.principals import Principal
from core.settings import Settings
from resolvers import files
from resolvers._file_keys import checked_key, content_type_of, new_key, normal_key, served_type
from resolvers.context import Context
from resolvers.files import Incoming
from tests.callers import SERVICE, WORLD, client, person, platform, user
from tests.files import Storage, in_chunks, open_storage
from tests.market import MemoryMongo

ANN, STAFF = user(person("CUSTOMER")), user(person("STAFF"))
NEIGHBOUR, ELSEWHERE = user(person("CUSTOMER", n=1)), user(person("STAFF", client=1))
OURS = WORLD.clients[0].id
HER_RECEIPT = f"{OURS}/receipts/{ANN.user_id}.txt"
MOST = 100


@pytest.fixture(scope="module")
async def opened() -> AsyncIterator[Storage]:
    async with open_storage() as storage:
        yield storage


class Desk:
    def __init__(self, storage: Storage) -> None:
        self.storage, self.mongo = storage, MemoryMongo()
        storage.line.calls.clear()

    def of(self, principal: Principal) -> Context:
        operation.enter(Operation())
        settings = Settings(upload_max_bytes=MOST)
        sources = SimpleNamespace(mongo=self.mongo, s3=self.storage.s3, settings=settings)
        return Context(cast("Any", sources), principal)

    async def upload(self, principal: Principal, key: str | None = None, content: bytes = b"hello") -> files.StoredFile:
        return await files.upload(self.of(principal), Incoming(in_chunks(content), "a.txt", "text/plain"), key)


@pytest.fixture
async def desk(opened: Storage) -> Desk:
    desk = Desk(opened)
    await desk.mongo.record_ownership(BackendName.MINIO, HER_RECEIPT, OURS, ANN.user_id)
    return desk


async def test_what_is_uploaded_is_had_by_its_url_and_is_recorded(desk: Desk) -> None:
    stored = await desk.upload(STAFF, f"{OURS}/notes/a.txt")
    assert (stored.key, stored.content_type, stored.size_bytes) == (f"{OURS}/notes/a.txt", "text/plain", 5)
    answer = await desk.storage.http.get(stored.url)
    assert (answer.content, answer.headers["content-disposition"]) == (b"hello", "attachment; filename*=UTF-8''a.txt")
    assert timedelta(seconds=890) < stored.expires_at - datetime.now(UTC) <= timedelta(seconds=900)
    owner = desk.mongo.ownership[BackendName.MINIO, stored.key]
    assert (owner.client_id, owner.user_id) == (OURS, STAFF.user_id)


async def test_a_file_without_a_key_gets_one_under_its_owner(desk: Desk) -> None:
    for principal, prefix in ((STAFF, OURS), (client(1), WORLD.clients[1].id), (SERVICE, "service")):
        keys = {(await desk.upload(principal)).key for _ in range(2)}
        assert len(keys) == 2
        assert all(key.startswith(f"{prefix}/") and key.endswith("/a.txt") for key in keys)
    with pytest.raises(BadUserInput, match="`key` is needed"):
        await desk.upload(platform(server_side=True))


@pytest.mark.parametrize(
    ("principal", "key"),
    [
        (STAFF, f"{WORLD.clients[1].id}/a"),
        (STAFF, "service/a"),
        (client(0), f"{OURS}x/a"),
        (platform(server_side=True), f"{OURS}/a"),
        (platform(server_side=False), f"{WORLD.clients[2].id}/a"),
        (SERVICE, "nobody/a"),
    ],
)
async def test_nobody_writes_under_anybody_elses_name(desk: Desk, principal: Principal, key: str) -> None:
    with pytest.raises(BadUserInput, match="`key` begins with"):
        await desk.upload(principal, key)
    assert desk.storage.line.calls == []
    assert (BackendName.MINIO, key) not in desk.mongo.ownership


async def test_a_service_and_a_platform_write_for_clients_of_theirs(desk: Desk) -> None:
    for principal, at in ((SERVICE, 0), (platform(server_side=True), 2)):
        key = f"{WORLD.clients[at].id}/for-them"
        assert (await desk.upload(principal, key)).key == key
        assert desk.mongo.ownership[BackendName.MINIO, key].client_id == WORLD.clients[at].id


async def test_a_customer_sees_what_is_recorded_as_theirs_and_staff_all_of_their_client(desk: Desk) -> None:
    for principal in (ANN, STAFF, client(0), SERVICE):
        found = await files.file(desk.of(principal), HER_RECEIPT)
        assert found is not None
        assert found.key == HER_RECEIPT
    desk.storage.line.calls.clear()
    for principal in (NEIGHBOUR, ELSEWHERE, client(1), platform(server_side=True), platform(server_side=False)):
        assert await files.file(desk.of(principal), HER_RECEIPT) is None
        assert await files.download(desk.of(principal), HER_RECEIPT) is None
        with pytest.raises(NotFound):
            await files.delete(desk.of(principal), HER_RECEIPT)
    assert desk.storage.line.calls == []
    assert await files.file(desk.of(ANN), f"{OURS}/welcome.txt") is None


async def test_a_download_is_the_content_with_what_it_may_be_taken_for(desk: Desk) -> None:
    await files.upload(desk.of(STAFF), Incoming(in_chunks(b"<script>"), "a.html", "text/html"), f"{OURS}/a.html")
    found = await files.download(desk.of(STAFF), f"{OURS}/a.html")
    assert found is not None
    assert (found.name, found.content_type) == ("a.html", "application/octet-stream")
    assert [piece async for piece in found.content] == [b"<script>"]
    stored = await files.file(desk.of(STAFF), f"{OURS}/a.html")
    assert stored is not None
    assert stored.content_type == "text/html"
    answer = await desk.storage.http.get(stored.url)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")


async def test_a_file_that_is_too_large_is_not_stored(desk: Desk) -> None:
    await desk.upload(STAFF, f"{OURS}/fits", b"x" * MOST)
    with pytest.raises(BadUserInput, match=f"at most {MOST} bytes"):
        await desk.upload(STAFF, f"{OURS}/too-large", b"x" * (MOST + 1))
    assert await files.file(desk.of(STAFF), f"{OURS}/too-large") is None


async def test_a_deleted_file_is_gone_and_so_is_the_word_of_whose_it_was(desk: Desk) -> None:
    key = f"{OURS}/short-lived"
    await desk.upload(STAFF, key)
    assert await files.delete(desk.of(STAFF), key) is True
    assert await files.file(desk.of(STAFF), key) is None
    assert (BackendName.MINIO, key) not in desk.mongo.ownership
    with pytest.raises(NotFound):
        await files.delete(desk.of(STAFF), key)


@pytest.mark.parametrize("seconds", [0, -1, 604_801])
async def test_a_url_lives_from_a_second_to_a_week(desk: Desk, seconds: int) -> None:
    with pytest.raises(BadUserInput, match="expiresInSeconds"):
        await files.file(desk.of(ANN), HER_RECEIPT, seconds)


async def test_a_key_is_found_however_it_is_spelled(desk: Desk) -> None:
    name = "Dëshmi.txt"
    decomposed = unicodedata.normalize("NFD", f"{OURS}/{name}")
    stored = await desk.upload(STAFF, decomposed)
    assert stored.key == f"{OURS}/{name}" != decomposed
    for spelled in (stored.key, decomposed):
        found = await files.file(desk.of(STAFF), spelled)
        assert found is not None
        assert found.key == stored.key


@pytest.mark.parametrize(
    "key",
    [
        "", "a", "/a", "a/", "a//b", "a/./b", "a/../b", "../a", "a/..", "a\\b/c", "a/b\x00", "a/b\n", "a/\x7f",
        "a/\u2028", "a/\ud800", "a/" + "x" * 256, "/".join(["x" * 200] * 5), "a/" + "ë" * 128,
    ],
)  # fmt: skip
async def test_what_can_be_no_key_is_refused_and_not_there(desk: Desk, key: str) -> None:
    assert normal_key(key) is None
    with pytest.raises(BadUserInput, match="`key` is names"):
        checked_key(key)
    assert await files.file(desk.of(SERVICE), key) is None


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("report.pdf", "report.pdf"),
        ("C:\\temp\\report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("..", "file"),
        ("", "file"),
        (None, "file"),
        ("a\x00b\n.txt", "ab.txt"),
        ("x" * 300 + ".txt", "x" * 251 + ".txt"),
    ],
)
def test_a_new_key_ends_as_the_file_is_called(name: str | None, ends: str) -> None:
    key = new_key("c1", name)
    assert key.rpartition("/")[2] == ends
    assert checked_key(key) == key


@pytest.mark.parametrize(
    ("declared", "name", "kept"),
    [
        ("Image/PNG; x=1", "a.pdf", "image/png"),
        (None, "a.pdf", "application/pdf"),
        ("application/octet-stream", "a.pdf", "application/pdf"),
        ("text/html\r\nx: y", "a", "application/octet-stream"),
        ("nonsense", None, "application/octet-stream"),
    ],
)
def test_what_a_file_is_said_to_be(declared: str | None, name: str | None, kept: str) -> None:
    assert content_type_of(declared, name) == kept


@pytest.mark.parametrize(
    "kind", ["image/png", "text/plain", "application/pdf", "audio/ogg", "application/vnd.ms-excel"]
)
def test_harmless_files_are_given_out_as_what_they_are(kind: str) -> None:
    assert served_type(f"{kind}; charset=utf-8") == kind


@pytest.mark.parametrize(
    "kind",
    [
        "text/html", "TEXT/HTML", "image/svg+xml", "IMAGE/SVG", "application/xhtml+xml", "text/xml", "application/xml",
        "text/javascript", "application/javascript", "multipart/x-mixed-replace", "application/vnd.x+xml",
        "image/x-icon+xml", "", None, "image/png\r\nx: y",
    ],
)  # fmt: skip
def test_what_a_browser_could_run_is_given_out_as_mere_bytes(kind: str | None) -> None:
    assert served_type(kind) == "application/octet-stream"
