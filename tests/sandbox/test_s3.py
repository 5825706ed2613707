"""The storage's simulator: moto, and what stands in front of it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from datasources._sigv4 import Signer
from sandbox import keys
from sandbox.s3.signatures import Refused, check
from tests.files import Storage, in_chunks, open_storage, some_bytes

NOW = datetime(2026, 1, 15, 10, 30, tzinfo=UTC)
OURS = Signer(keys.MINIO_ACCESS_KEY, keys.MINIO_SECRET_KEY, "us-east-1")


@pytest.fixture(scope="module")
async def storage() -> AsyncIterator[Storage]:
    async with open_storage() as opened:
        yield opened


@pytest.mark.parametrize("path", ["live", "ready", "cluster", "cluster/read"])
async def test_health_needs_no_credentials(storage: Storage, path: str) -> None:
    assert (await storage.http.get(f"/minio/health/{path}")).status_code == 200


async def test_nothing_else_is_told_to_strangers(storage: Storage) -> None:
    key = storage.store.rows("object")[0]["key"]
    for answer in (await storage.http.get(f"/files/{key}"), await storage.http.put("/files/x", content=b"x")):
        assert (answer.status_code, b"AccessDenied" in answer.content) == (403, True)


def signed(signer: Signer, at: datetime, expires_s: int = 60) -> str:
    return signer.query("GET", "h", "/files/a", expires_s=expires_s, now=at)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (signed(OURS, NOW - timedelta(seconds=61)), "AccessDenied"),
        (signed(OURS, NOW + timedelta(minutes=16)), "RequestTimeTooSkewed"),
        (signed(OURS, NOW, 604_801), "AuthorizationQueryParametersError"),
        (signed(OURS, NOW, 0), "AuthorizationQueryParametersError"),
        (signed(Signer("somebody", keys.MINIO_SECRET_KEY, "us-east-1"), NOW), "InvalidAccessKeyId"),
        (signed(Signer(keys.MINIO_ACCESS_KEY, "guessed", "us-east-1"), NOW), "SignatureDoesNotMatch"),
        (signed(Signer(keys.MINIO_ACCESS_KEY, keys.MINIO_SECRET_KEY, "eu-1"), NOW), "SignatureDoesNotMatch"),
        ("X-Amz-Signature=1", "AuthorizationQueryParametersError"),
        ("", "AccessDenied"),
    ],
)
def test_a_signature_that_is_not_good_is_refused(query: str, code: str) -> None:
    with pytest.raises(Refused) as caught:
        check("GET", "/files/a", query, {"host": "h"}, now=NOW)
    assert caught.value.code == code


def test_a_good_one_is_not() -> None:
    check("GET", "/files/a", signed(OURS, NOW - timedelta(seconds=59)), {"host": "h"}, now=NOW)


async def test_a_body_that_is_not_the_signed_one_is_refused(storage: Storage) -> None:
    headers = OURS.headers("PUT", "sandbox", "/s3/files/a", [], {}, "0" * 64, datetime.now(UTC))
    answer = await storage.http.put("/files/a", content=b"x", headers=headers)
    assert (answer.status_code, b"XAmzContentSHA256Mismatch" in answer.content) == (400, True)


async def test_what_was_stored_survives_a_restart(tmp_path: Path) -> None:
    path, large = tmp_path / "s3.db", some_bytes(9_000_000)
    async with open_storage(path) as before:
        await before.s3.write_file("c1/a ü", in_chunks(large), "application/x-a")
        await before.s3.write_file("c1/b", in_chunks(b"b"), "text/plain")
        await before.s3.write_file("c1/b", in_chunks(b"c"), "text/plain")
        await before.s3.delete_file(before.store.rows("object")[0]["key"])
    async with open_storage(path) as after:
        assert await after.content("c1/a ü") == large
        assert await after.content("c1/b") == b"c"
        found = await after.s3.file("c1/a ü")
        assert found is not None
        assert found.content_type == "application/x-a"
        assert len(after.store.rows("object")) == len({row["key"] for row in after.store.rows("object")})
        for row in after.store.rows("object"):
            assert await after.s3.file(row["key"]) is not None


async def test_deleting_many_at_once_is_kept_too(storage: Storage) -> None:
    for key in ("c9/a", "c9/b"):
        await storage.s3.write_file(key, in_chunks(b"x"), "text/plain")
    body = b"<Delete><Object><Key>c9/a</Key></Object><Object><Key>c9/b</Key></Object></Delete>"
    digest = base64.b64encode(hashlib.md5(body).digest()).decode()
    headers = OURS.headers(
        "POST", "sandbox", "/s3/files", [("delete", "")], {"content-md5": digest},
        hashlib.sha256(body).hexdigest(), datetime.now(UTC),
    )  # fmt: skip
    answer = await storage.http.post("/files?delete=", content=body, headers=headers)
    assert answer.status_code == 200
    assert not [row for row in storage.store.rows("object") if row["key"].startswith("c9/")]


async def test_two_sandboxes_of_one_process_share_nothing(storage: Storage) -> None:
    async with open_storage() as other:
        await other.s3.write_file("c1/other", in_chunks(b"x"), "text/plain")
        assert await storage.s3.file("c1/other") is None


async def test_an_expired_url_is_refused(storage: Storage) -> None:
    key = storage.store.rows("object")[0]["key"]
    query = OURS.query("GET", "sandbox", f"/s3/files/{key}", expires_s=1, now=datetime.now(UTC) - timedelta(seconds=5))
    answer: httpx.Response = await storage.http.get(f"/files/{key}?{query}")
    assert (answer.status_code, b"Request has expired" in answer.content) == (403, True)
