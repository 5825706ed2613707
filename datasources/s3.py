"""Files: object storage that speaks S3, such as MinIO.

Spoken here over the same HTTP as to every other backend. The best client there is, obstore, tells a timeout from a
refused connection, a 429 from a 503, by the words of its messages only, loses Retry-After, leaves the parts of an
upload that was given up behind, and cannot sign a URL whose answer is to be saved and not shown. What is left to do
here are six requests. Nothing is ever held whole: files travel in pieces of `PIECE_BYTES`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar, Self
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

import httpx

from core import operation
from core.backends import BackendName
from core.errors import BackendBadResponse, BackendError, BackendRejected, BackendTimeout, BackendUnavailable
from core.settings import MinioSettings
from datasources._http import Answer, HttpBackend, Limits, open_client
from datasources._sigv4 import LONGEST_S, Signer

__all__ = ["LONGEST_S", "S3", "FileRecord", "SignedUrl"]

PIECE_BYTES = 5 * 1024 * 1024
"""Of an upload's parts, which S3 wants to be no smaller, and of a download's ranges."""
PIECE_S = 60.0
"""For one piece: what moves slower than this has stopped."""
CLEANING_S = 5.0
"""To take back what an upload has begun, whatever is left of the deadline."""
WRITTEN_BYTES = 64 * 1024
"""What is handed to the socket at a time."""

_UPLOADED = "the file did not arrive whole"


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A stored file. `etag` changes with its content, which it is no digest of."""

    key: str
    size_bytes: int
    content_type: str | None
    etag: str
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class SignedUrl:
    """Opens for whoever has it, until then."""

    url: str
    expires_at: datetime


class S3(HttpBackend):
    name: ClassVar[BackendName] = BackendName.MINIO
    ids_hold_slashes = True
    unquoted = "/"

    def __init__(self, client: httpx.AsyncClient, settings: MinioSettings, limits: Limits | None = None) -> None:
        """Raises ValueError without both keys."""
        if settings.access_key is None or settings.secret_key is None:
            raise ValueError("MINIO_ACCESS_KEY and MINIO_SECRET_KEY are needed")
        super().__init__(client, limits or Limits(timeout_s=settings.timeout_s))
        self._bucket = settings.bucket
        self._signer = Signer(
            settings.access_key.get_secret_value(), settings.secret_key.get_secret_value(), settings.region
        )
        self._public = str(settings.public_endpoint or client.base_url).rstrip("/")

    @classmethod
    def open(cls, settings: MinioSettings) -> Self:
        """Raises ValueError without both keys."""
        return cls(open_client(str(settings.endpoint), {"Accept": "*/*", "Accept-Encoding": "identity"}), settings)

    async def ping(self) -> None:
        """`HEAD /{bucket}`"""
        await self._ask("HEAD", "/{bucket}")

    async def file(self, key: str) -> FileRecord | None:
        """`HEAD /{bucket}/{key}`"""
        answer = await self._ask("HEAD", "/{bucket}/{key}", key, absent_is_fine=True)
        return None if answer.status == 404 else self._record(key, answer)

    async def read_file(self, file: FileRecord) -> AsyncIterator[bytes]:
        """Its content, piece by piece, no faster than it is taken. `GET /{bucket}/{key}`, by ranges

        Raises: BackendUnavailable when it is replaced or deleted in the meantime.
        """
        for begins in range(0, file.size_bytes, PIECE_BYTES):
            ends = min(begins + PIECE_BYTES, file.size_bytes)
            headers = {"Range": f"bytes={begins}-{ends - 1}", "If-Match": file.etag}
            try:
                answer = await self._ask("GET", "/{bucket}/{key}", file.key, headers=headers, timeout_s=PIECE_S)
            except BackendRejected as exc:
                if exc.status not in (404, 412):
                    raise
                raise BackendUnavailable(self.name, "the file was changed while it was read") from exc
            if len(answer.body) != ends - begins:
                raise BackendBadResponse(self.name, "minio answered another part of the file than was asked for")
            yield answer.body

    async def write_file(self, key: str, content: AsyncIterator[bytes], content_type: str) -> None:
        """Store what comes, in place of what is there: all of it, or nothing when this raises. What `content` raises
        goes through. `PUT /{bucket}/{key}`, in parts from `PIECE_BYTES` on"""
        async with aclosing(_in_pieces(content, PIECE_BYTES)) as pieces:
            first = await anext(pieces, b"")
            if len(first) < PIECE_BYTES:
                headers = {"Content-Type": content_type}
                answer = await self._ask("PUT", "/{bucket}/{key}", key, data=first, headers=headers, timeout_s=PIECE_S)
                self._header(answer, "etag")  # without one somebody else has answered
            else:
                await self._write_parts(key, _after(first, pieces), content_type)

    async def delete_file(self, key: str) -> None:
        """It is not there any more, or was not before. `DELETE /{bucket}/{key}`"""
        await self._ask("DELETE", "/{bucket}/{key}", key)

    def signed_url(self, key: str, expires_s: int, *, content_type: str, file_name: str) -> SignedUrl:
        """Where it can be had without credentials, from 1 to `LONGEST_S` seconds; asks nobody.

        A browser that opens it saves it under `file_name`, and takes it for what `content_type` says.
        """
        now = datetime.now(UTC).replace(microsecond=0)
        parts = urlsplit(self._public)
        path = f"{parts.path}/{self._bucket}/{quote(key, safe=self.unquoted)}"
        extra = [
            ("response-content-disposition", f"attachment; filename*=UTF-8''{quote(file_name, safe='')}"),
            ("response-content-type", content_type),
        ]
        host = _host(httpx.URL(self._public))
        query = self._signer.query("GET", host, path, expires_s=expires_s, now=now, extra=extra)
        return SignedUrl(f"{parts.scheme}://{host}{path}?{query}", now + timedelta(seconds=expires_s))

    # -- an upload in parts ------------------------------------------------------------------------------------

    async def _write_parts(self, key: str, pieces: AsyncIterator[bytes], content_type: str) -> None:
        headers, path = {"Content-Type": content_type}, "/{bucket}/{key}"
        begun = await self._ask("POST", path, key, query=[("uploads", "")], headers=headers, may_repeat=False)
        upload_id = self._text(begun, "InitiateMultipartUploadResult", "UploadId")
        etags: list[str] = []
        try:
            async for piece in pieces:
                etags.append(await self._write_part(key, upload_id, len(etags) + 1, piece))
            await self._complete(key, upload_id, etags)
        except BaseException:
            await self._give_up(key, upload_id)
            raise

    async def _write_part(self, key: str, upload_id: str, number: int, data: bytes) -> str:
        """Its ETag."""
        query = [("partNumber", str(number)), ("uploadId", upload_id)]
        answer = await self._ask("PUT", "/{bucket}/{key}", key, query=query, data=data, timeout_s=PIECE_S)
        return self._header(answer, "etag")

    async def _complete(self, key: str, upload_id: str, etags: Sequence[str]) -> None:
        """Make one file of the parts. Whether that has happened is seen in the file when no answer comes."""
        root = ElementTree.Element("CompleteMultipartUpload")
        for number, etag in enumerate(etags, 1):
            part = ElementTree.SubElement(root, "Part")
            ElementTree.SubElement(part, "PartNumber").text = str(number)
            ElementTree.SubElement(part, "ETag").text = etag
        try:
            answer = await self._ask(
                "POST", "/{bucket}/{key}", key, query=[("uploadId", upload_id)], data=ElementTree.tostring(root),
                timeout_s=PIECE_S, may_repeat=False,
            )  # fmt: skip
        except (BackendTimeout, BackendUnavailable):
            with operation.running(operation.within(CLEANING_S)):
                found = await self.file(key)
            if found is None or found.etag != _etag_of_parts(etags):
                raise
            return
        # Once the answer has begun a failure can only be told in it, with a status that says otherwise.
        self._text(answer, "CompleteMultipartUploadResult", "ETag")

    async def _give_up(self, key: str, upload_id: str) -> None:
        """Have the parts thrown away. Where that fails, the bucket's own rule for unfinished uploads has to do it."""
        with suppress(BackendError), operation.running(operation.within(CLEANING_S)):
            await self._ask("DELETE", "/{bucket}/{key}", key, query=[("uploadId", upload_id)], absent_is_fine=True)

    # -- the wire ----------------------------------------------------------------------------------------------

    async def _ask(
        self, method: str, path: str, key: str | None = None, *, may_repeat: bool = True, **how: Any
    ) -> Answer:
        """Everything that S3 is asked may be repeated, but for the beginning and the end of an upload in parts."""
        args = {"bucket": self._bucket} | ({} if key is None else {"key": key})
        return await self._call(method, path, may_repeat=may_repeat, args=args, **how)

    async def _once(self, method: str, url: str, content: Any, headers: dict[str, str], *rest: Any) -> Answer:
        # Signed anew for every try: a signature is good for minutes.
        data: bytes = content or b""
        digest = (await asyncio.to_thread(hashlib.sha256, data)).hexdigest()
        path, _, query = url.partition("?")
        base, pairs = self._client.base_url, httpx.QueryParams(query).multi_items()
        path = base.raw_path.decode().rstrip("/") + path
        signed = self._signer.headers(method, _host(base), path, pairs, headers, digest, datetime.now(UTC))
        if not data:
            return await super()._once(method, url, None, signed, *rest)
        signed["Content-Length"] = str(len(data))
        body = _Written(data)
        try:
            return await super()._once(method, url, body, signed, *rest)
        finally:
            body.release()

    def _can_be_an_id(self, value: str) -> bool:
        return "\\" not in value and all(super(S3, self)._can_be_an_id(part) for part in value.split("/"))

    def refusal(self, answer: Answer) -> tuple[str, str | None]:
        """An answer to HEAD has no body: only the status tells."""
        code = self._texts(answer, "Error").get("Code")
        return (super().refusal(answer)[0] if code is None else f"minio refused the request ({code})"), code

    def _record(self, key: str, answer: Answer) -> FileRecord:
        size, modified = self._header(answer, "content-length"), self._header(answer, "last-modified")
        try:
            return FileRecord(
                key=key,
                size_bytes=int(size),
                content_type=answer.headers.get("content-type"),
                etag=self._header(answer, "etag"),
                modified_at=parsedate_to_datetime(modified).astimezone(UTC),
            )
        except ValueError as exc:
            raise BackendBadResponse(self.name, "minio answered a size or a time that is none") from exc

    def _header(self, answer: Answer, name: str) -> str:
        value = answer.headers.get(name)
        if not value:
            raise BackendBadResponse(self.name, f"minio answered without {name}")
        return value

    def _text(self, answer: Answer, root: str, name: str) -> str:
        """Raises BackendUnavailable for an error under a status of success, BackendBadResponse for anything else."""
        text = self._texts(answer, root).get(name)
        if text:
            return text
        if code := self._texts(answer, "Error").get("Code"):
            raise BackendUnavailable(self.name, f"{_UPLOADED} ({code})")
        raise BackendBadResponse(self.name, f"minio answered something unexpected: no {name} in a {root}")

    def _texts(self, answer: Answer, root: str) -> dict[str, str]:
        """What the elements of an XML answer hold; empty for any other."""
        try:
            found = ElementTree.fromstring(answer.body)  # noqa: S314 - of bounded size, and expat bounds what it unfolds
        except ElementTree.ParseError:
            return {}
        if _local(found) != root:
            return {}
        return {_local(child): child.text or "" for child in found}


class _Written:
    """A body that is handed to the socket in small pieces, so that others have their turn in between."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)

    def release(self) -> None:
        """Let go of the data: the request that has this body may stay until the garbage is collected."""
        self._data = memoryview(b"")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for begins in range(0, len(self._data), WRITTEN_BYTES):
            yield bytes(self._data[begins : begins + WRITTEN_BYTES])


async def _after(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


async def _in_pieces(content: AsyncIterator[bytes], size: int) -> AsyncGenerator[bytes, None]:
    """The same bytes in pieces of that size, the last one shorter; none of nothing."""
    held = bytearray()
    async for chunk in content:
        held += chunk
        while len(held) >= size:
            yield bytes(memoryview(held)[:size])
            del held[:size]
    if held:
        yield bytes(held)


def _etag_of_parts(etags: Sequence[str]) -> str | None:
    """The ETag that the whole has; None where those of the parts are not MD5, as with some encryptions."""
    try:
        digests = b"".join(bytes.fromhex(etag.strip('"')) for etag in etags)
    except ValueError:
        return None
    return f'"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(etags)}"'


def _host(url: httpx.URL) -> str:
    """As the Host header has it: without a port that goes without saying."""
    return url.netloc.decode()


def _local(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
