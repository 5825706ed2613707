"""Files go up and come down in pieces, whole or not at all, and every failure is one of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from core import operation
from core.errors import (
    BackendBadResponse,
    BackendError,
    BackendRateLimited,
    BackendRejected,
    BackendTimeout,
    BackendUnavailable,
)
from core.settings import MinioSettings
from datasources._http import Limits
from datasources.s3 import PIECE_BYTES, S3
from sandbox.faults import Fault
from tests.files import SETTINGS, Storage, in_chunks, open_storage, some_bytes

KEY = "c1/päper (1)+&'=.bin"


@pytest.fixture(scope="module")
async def opened() -> AsyncIterator[Storage]:
    async with open_storage() as storage:
        yield storage


@pytest.fixture
def storage(opened: Storage) -> Storage:
    opened.line.replace([])
    opened.line.calls.clear()
    return opened


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES + 5])
async def test_what_is_written_is_read_again(storage: Storage, size: int) -> None:
    content = some_bytes(size)
    await storage.s3.write_file(KEY, in_chunks(content), "application/x-paper")
    found = await storage.s3.file(KEY)
    assert found is not None
    assert (found.key, found.size_bytes, found.content_type) == (KEY, size, "application/x-paper")
    assert abs(datetime.now(UTC) - found.modified_at) < timedelta(minutes=1)
    assert await storage.content(KEY) == content


async def test_a_small_file_is_one_call_and_a_large_one_a_call_for_each_piece(storage: Storage) -> None:
    await storage.s3.write_file(KEY, in_chunks(b"small"), "text/plain")
    assert storage.asked == ["PUT"]
    storage.line.calls.clear()
    await storage.s3.write_file(KEY, in_chunks(some_bytes(PIECE_BYTES + 1)), "text/plain")
    assert [call.method for call in storage.line.calls] == ["POST", "PUT", "PUT", "POST"]
    storage.line.calls.clear()
    await storage.content(KEY)
    assert [call.method for call in storage.line.calls] == ["HEAD", "GET", "GET"]


async def test_a_file_that_is_not_there_is_none_and_is_deleted_all_the_same(storage: Storage) -> None:
    assert await storage.s3.file("c1/nothing") is None
    await storage.s3.delete_file("c1/nothing")


async def test_a_deleted_file_is_gone(storage: Storage) -> None:
    await storage.s3.write_file(KEY, in_chunks(b"x"), "text/plain")
    await storage.s3.delete_file(KEY)
    assert await storage.s3.file(KEY) is None


@pytest.mark.parametrize("key", ["", "/", "a//b", "a/../b", "./a", "a\x00b", "a\\b", "a/"])
async def test_what_can_be_no_key_is_not_asked_for(storage: Storage, key: str) -> None:
    assert await storage.s3.file(key) is None
    with pytest.raises(BackendRejected):
        await storage.s3.write_file(key, in_chunks(b"x"), "text/plain")
    assert storage.line.calls == []


async def test_a_source_that_breaks_off_leaves_nothing_behind(storage: Storage) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield some_bytes(2 * PIECE_BYTES)
        raise ValueError("the sender is gone")

    await storage.s3.delete_file(KEY)
    with pytest.raises(ValueError, match="the sender is gone"):
        await storage.s3.write_file(KEY, broken(), "text/plain")
    assert await storage.s3.file(KEY) is None
    assert await storage.unfinished() == 0


async def test_an_upload_that_is_cancelled_leaves_nothing_behind(storage: Storage) -> None:
    begun = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield some_bytes(2 * PIECE_BYTES)
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(storage.s3.write_file("c1/slow", slow(), "text/plain"))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await storage.s3.file("c1/slow") is None
    assert await storage.unfinished() == 0


async def test_a_part_is_repeated_when_the_storage_stumbles(storage: Storage) -> None:
    content = some_bytes(PIECE_BYTES + 1)
    storage.line.faults.append(Fault("status", method="PUT", status=503, count=1))
    await storage.s3.write_file(KEY, in_chunks(content), "text/plain")
    assert await storage.content(KEY) == content


async def pieces_then(storage: Storage, content: bytes, fault: Fault) -> AsyncIterator[bytes]:
    """The last piece comes when the upload has begun, and from there on the storage has this fault."""
    yield content[:PIECE_BYTES]
    storage.line.faults.append(fault)
    yield content[PIECE_BYTES:]


async def test_an_end_whose_answer_is_lost_is_looked_for(storage: Storage) -> None:
    content = some_bytes(PIECE_BYTES + 1, seed=2)
    lost = Fault("status", when="after", method="POST", status=503)
    await storage.s3.write_file(KEY, pieces_then(storage, content, lost), "text/plain")
    assert [call.method for call in storage.line.calls] == ["POST", "PUT", "PUT", "POST", "HEAD"]
    assert await storage.content(KEY) == content


async def test_an_end_that_fails_is_told_and_leaves_nothing_behind(storage: Storage) -> None:
    await storage.s3.delete_file(KEY)
    failing = Fault("status", method="POST", status=503)
    with pytest.raises(BackendUnavailable):
        await storage.s3.write_file(KEY, pieces_then(storage, some_bytes(PIECE_BYTES + 1), failing), "text/plain")
    assert await storage.s3.file(KEY) is None
    assert await storage.unfinished() == 0


async def test_a_file_that_changes_while_it_is_read_is_not_mixed(storage: Storage) -> None:
    await storage.s3.write_file(KEY, in_chunks(some_bytes(PIECE_BYTES + 9)), "text/plain")
    found = await storage.s3.file(KEY)
    assert found is not None
    pieces = storage.s3.read_file(found)
    await anext(pieces)
    await storage.s3.write_file(KEY, in_chunks(some_bytes(PIECE_BYTES + 9, seed=1)), "text/plain")
    with pytest.raises(BackendUnavailable, match="changed while it was read"):
        await anext(pieces)


async def test_a_signed_url_opens_without_credentials_as_a_file_to_be_saved(storage: Storage) -> None:
    await storage.s3.write_file(KEY, in_chunks(b"<html>"), "text/html")
    signed = storage.s3.signed_url(KEY, 60, content_type="application/octet-stream", file_name="päper.html")
    answer = await storage.http.get(signed.url)
    assert (answer.status_code, answer.content) == (200, b"<html>")
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''p%C3%A4per.html"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert timedelta(seconds=58) < signed.expires_at - datetime.now(UTC) <= timedelta(seconds=60)


@pytest.mark.parametrize(
    "change",
    [
        ("X-Amz-Expires=60", "X-Amz-Expires=600"),
        ("attachment", "inline"),
        ("response-content-type=text%2Fplain", "response-content-type=text%2Fhtml"),
        ("/c1/", "/c2/"),
    ],
)
async def test_nothing_of_a_signed_url_can_be_changed(storage: Storage, change: tuple[str, str]) -> None:
    url = storage.s3.signed_url(KEY, 60, content_type="text/plain", file_name="a").url
    assert change[0] in url
    answer = await storage.http.get(url.replace(*change))
    assert (answer.status_code, b"SignatureDoesNotMatch" in answer.content) == (403, True)


def test_urls_are_signed_for_the_public_address() -> None:
    settings = SETTINGS.model_copy(
        update={"public_endpoint": MinioSettings(public_endpoint="https://files.example").public_endpoint}  # type: ignore[arg-type]
    )
    made = S3(httpx.AsyncClient(base_url="http://minio:9000"), settings)
    url = made.signed_url("c1/a b", 60, content_type="text/plain", file_name="a b").url
    assert url.startswith("https://files.example/files/c1/a%20b?X-Amz-")


def test_both_keys_are_needed() -> None:
    with pytest.raises(ValueError, match="MINIO_SECRET_KEY"):
        S3.open(MinioSettings(access_key=SETTINGS.access_key))


async def test_the_storage_answers_a_ping_only_with_our_bucket_in_it(storage: Storage) -> None:
    await storage.s3.ping()
    elsewhere = S3(storage.client(), SETTINGS.model_copy(update={"bucket": "nowhere"}))
    with pytest.raises(BackendRejected) as caught:
        await elsewhere.ping()
    assert caught.value.status == 404
    await elsewhere.aclose()


# -- failures ----------------------------------------------------------------------------------------------------------


def answering(status: int, body: bytes = b"", **headers: str) -> S3:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=body, headers={name.replace("_", "-"): headers[name] for name in headers})

    client = httpx.AsyncClient(base_url="http://minio:9000", transport=httpx.MockTransport(answer))
    return S3(client, SETTINGS, Limits(timeout_s=1))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (301, BackendBadResponse),
        (400, BackendRejected),
        (403, BackendRejected),
        (429, BackendRateLimited),
        (500, BackendUnavailable),
        (503, BackendUnavailable),
        (507, BackendUnavailable),
    ],
)
async def test_every_status_has_its_error(status: int, error: type[BackendError]) -> None:
    s3 = answering(status, b"<Error><Code>SomeCode</Code><Message>at http://minio/secret</Message></Error>")
    with operation.running(operation.within(5, may_retry=False)), pytest.raises(error) as caught:
        await s3.write_file(KEY, in_chunks(b"x"), "text/plain")
    assert "secret" not in str(caught.value)
    if isinstance(caught.value, BackendRejected):
        assert caught.value.reason == "SomeCode"


async def test_a_limit_of_the_storage_says_when_to_come_again() -> None:
    s3 = answering(429, retry_after="7")
    with operation.running(operation.within(5, may_retry=False)), pytest.raises(BackendRateLimited) as caught:
        await s3.file(KEY)
    assert caught.value.retry_after_s == 7


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content_length": "4", "etag": '"x"'},
        {"content_length": "4", "etag": '"x"', "last_modified": "yesterday"},
        {"content_length": "4", "last_modified": "Thu, 15 Jan 2026 10:30:00 GMT"},
    ],
)
async def test_an_answer_that_lacks_something_is_a_bad_one(headers: dict[str, str]) -> None:
    with pytest.raises(BackendBadResponse):
        await answering(200, b"", **headers).file(KEY)


@pytest.mark.parametrize("body", [b"", b"{}", b"<a/>", b"<InitiateMultipartUploadResult", b"x" * 100])
async def test_an_upload_that_is_not_begun_as_it_should_be_is_a_bad_answer(body: bytes) -> None:
    with pytest.raises(BackendBadResponse):
        await answering(200, body).write_file(KEY, in_chunks(some_bytes(PIECE_BYTES)), "text/plain")


async def test_an_error_under_a_status_of_success_is_an_error() -> None:
    begun = b"<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>"
    failed = b"<Error><Code>InternalError</Code></Error>"
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url.query.decode()}")
        body = begun if b"uploads" in request.url.query else failed if request.method == "POST" else b""
        return httpx.Response(200, content=body, headers={"etag": '"e"'})

    s3 = S3(httpx.AsyncClient(base_url="http://minio:9000", transport=httpx.MockTransport(answer)), SETTINGS)
    with pytest.raises(BackendUnavailable, match="InternalError"):
        await s3.write_file(KEY, in_chunks(some_bytes(PIECE_BYTES)), "text/plain")
    assert asked[-1] == "DELETE uploadId=u1"


async def test_a_range_of_another_length_is_a_bad_answer() -> None:
    s3 = answering(206, b"abc", etag='"e"', last_modified="Thu, 15 Jan 2026 10:30:00 GMT")
    found = await s3.file(KEY)
    assert found is not None
    with pytest.raises(BackendBadResponse):
        await anext(s3.read_file(replace(found, size_bytes=10)))


async def test_no_answer_in_time_is_a_timeout(storage: Storage) -> None:
    storage.line.replace([{"kind": "hang"}])
    with operation.running(operation.within(0.2)), pytest.raises(BackendTimeout):
        await storage.s3.file(KEY)
    storage.line.replace([])


async def test_calls_are_told_by_templates(storage: Storage) -> None:
    with operation.running(operation.within(5)) as running:
        await storage.s3.file(KEY)
    [call] = running.calls
    assert (call.method, call.path, call.backend.value) == ("HEAD", "/{bucket}/{key}", "minio")
