"""Files, and the URLs that they are had by."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

import strawberry
from starlette.datastructures import UploadFile

from resolvers import files
from resolvers.files import Incoming
from schema.directives import requires
from schema.info import Info
from schema.inputs import given
from schema.scalars import Upload

CHUNK_BYTES = 256 * 1024


@strawberry.type(description="A file in the object storage. Its key begins with the id of the client whose it is.")
class StoredFile:
    key: str
    url: str = strawberry.field(
        description="Opens without credentials until `expiresAt`. Browsers save what it leads to and do not show it."
    )
    content_type: str | None = strawberry.field(description="What it is, by the word of whoever uploaded it.")
    size_bytes: int | None = strawberry.field(description="Null above two gigabytes.")
    expires_at: datetime | None


@strawberry.type
class FileQuery:
    @strawberry.field(
        description="A stored file with a URL that is good for so long: a second to a week.",
        directives=[requires("storage:read")],
    )
    async def file(self, info: Info, key: str, expires_in_seconds: int | None = files.URL_S) -> StoredFile | None:
        return await files.file(info.context, key, expires_in_seconds)


@strawberry.type
class FileMutation:
    @strawberry.mutation(
        description="Stores a file, in place of what has this key. The request is multipart/form-data, as the GraphQL "
        "multipart request specification has it, with the header `GraphQL-Require-Preflight: 1`. Without a key the "
        "file gets a new one.",
        directives=[requires("storage:write")],
    )
    async def upload_file(self, info: Info, file: Upload, key: str | None = strawberry.UNSET) -> StoredFile | None:
        return await files.upload(info.context, _incoming(file), given(key))

    @strawberry.mutation(
        description="Deletes a file. URLs of it that are still good lead to nothing then.",
        directives=[requires("storage:write")],
    )
    async def delete_file(self, info: Info, key: str) -> bool | None:
        return await files.delete(info.context, key)


def _incoming(file: UploadFile) -> Incoming:
    return Incoming(_chunks(file), file.filename, file.content_type)


async def _chunks(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(CHUNK_BYTES):
        yield chunk
