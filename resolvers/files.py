"""Files: whose they are, what they may be called and how large they may be, and the URLs that they are had by.

A file is of the client whose id its key begins with, or of the service. Of these a customer sees those that are
recorded as their own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from core.backends import BackendName
from core.errors import BadUserInput, NotFound
from core.principals import Principal
from datasources.s3 import LONGEST_S, FileRecord
from resolvers._file_keys import checked_key, content_type_of, new_key, normal_key, served_type
from resolvers.clients import ClientById
from resolvers.context import Context
from resolvers.idempotency import note, noted
from resolvers.users import visible_client_ids

URL_S = 900
SERVICE_PREFIX = "service"
LARGEST_INT = 2**31 - 1
"""Of GraphQL's Int."""
KEY, DELETING = "key", "deleting"
"""Notes for the next try: under which key a file is stored, and that one was seen before it was deleted."""
NOBODYS = "there is no such file"


@dataclass(frozen=True)
class Incoming:
    """A file that somebody sends. Both what it is called and what it is are their word, if they give it."""

    content: AsyncIterator[bytes]
    name: str | None = None
    content_type: str | None = None


@dataclass(frozen=True)
class StoredFile:
    """A file with a URL that opens for whoever has it, until `expires_at`. `size_bytes` None: more than two
    gigabytes."""

    key: str
    url: str
    content_type: str | None
    size_bytes: int | None
    expires_at: datetime


@dataclass(frozen=True)
class Download:
    """A file on its way. It is to be saved as `name`, never shown, and taken for `content_type`."""

    file: FileRecord
    name: str
    content_type: str
    content: AsyncIterator[bytes]


async def file(ctx: Context, key: str, expires_in_s: int | None = None) -> StoredFile | None:
    """None for one that is not there, or not theirs. Raises BadUserInput for a lifetime that no URL has."""
    expires_in_s = URL_S if expires_in_s is None else expires_in_s
    if not 1 <= expires_in_s <= LONGEST_S:
        raise BadUserInput(f"`expiresInSeconds` is between 1 and {LONGEST_S}, not {expires_in_s}")
    found = await _theirs(ctx, key)
    return None if found is None else _stored(ctx, found, expires_in_s)


async def download(ctx: Context, key: str) -> Download | None:
    """None for one that is not there, or not theirs."""
    found = await _theirs(ctx, key)
    if found is None:
        return None
    return Download(found, _name(found.key), served_type(found.content_type), ctx.sources.s3.read_file(found))


async def upload(ctx: Context, sent: Incoming, key: str | None = None) -> StoredFile:
    """Store a file, in place of what had that key. Without a key it gets a new one.

    Raises BadUserInput for a key that is none or not the caller's, and for a file that is too large.
    """
    s3 = ctx.sources.s3
    key = await _key_to_write(ctx, sent, key)
    client_id = None if key.startswith(f"{SERVICE_PREFIX}/") else key.partition("/")[0]
    limit = ctx.sources.settings.upload_max_bytes
    # Ownership first: a file of which nobody knows whose it is would be worse than a word about none.
    await ctx.sources.mongo.record_ownership(BackendName.MINIO, key, client_id, ctx.principal.user_id)
    await s3.write_file(key, _bounded(sent.content, limit), content_type_of(sent.content_type, sent.name))
    found = await s3.file(key)
    if found is None:
        raise NotFound("the file was deleted while it was stored")
    return _stored(ctx, found, URL_S)


async def delete(ctx: Context, key: str) -> bool:
    """True when it is gone. Raises NotFound for one that is not there, or not theirs."""
    if noted(ctx, DELETING) is None:
        found = await _theirs(ctx, key)
        if found is None:
            raise NotFound(NOBODYS)
        await note(ctx, DELETING, found.key)
    key = checked_key(key)
    await ctx.sources.s3.delete_file(key)
    await ctx.sources.mongo.forget_ownership(BackendName.MINIO, key)
    return True


async def _theirs(ctx: Context, key: str) -> FileRecord | None:
    """A file that the caller may see."""
    found = normal_key(key)
    if found is None:
        return None
    if ctx.principal.is_customer:
        # Before anything else, so that time does not tell a neighbour's file from none.
        owner = await ctx.sources.mongo.owner(BackendName.MINIO, found)
        if owner is None or owner.user_id != ctx.principal.user_id:
            return None
    return await ctx.sources.s3.file(found) if _is_within(ctx.principal, found) else None


def _is_within(principal: Principal, key: str) -> bool:
    """Whether a key begins as those of the caller's do. A service's are all of them."""
    client_ids = visible_client_ids(principal)
    return client_ids is None or key.partition("/")[0] in client_ids


async def _key_to_write(ctx: Context, sent: Incoming, key: str | None) -> str:
    principal = ctx.principal
    if key is None:
        prefix = SERVICE_PREFIX if principal.is_service else principal.client_id
        if prefix is None:
            raise BadUserInput("`key` is needed: it begins with the id of the client whose file this is")
        key = noted(ctx, KEY) or new_key(prefix, sent.name)
        await note(ctx, KEY, key)
        return key
    key = checked_key(key)
    prefix = key.partition("/")[0]
    if principal.is_service and prefix == SERVICE_PREFIX:
        return key
    if not _is_within(principal, key) or await ctx.loader(ClientById).load(prefix) is None:
        own = f", such as `{principal.client_id}/`" if principal.client_id else ""
        raise BadUserInput(f"`key` begins with the id of a client of yours{own}")
    return key


def _stored(ctx: Context, found: FileRecord, expires_in_s: int) -> StoredFile:
    signed = ctx.sources.s3.signed_url(
        found.key, expires_in_s, content_type=served_type(found.content_type), file_name=_name(found.key)
    )
    size = found.size_bytes if found.size_bytes <= LARGEST_INT else None
    return StoredFile(found.key, signed.url, found.content_type, size, signed.expires_at)


def _name(key: str) -> str:
    return key.rpartition("/")[2]


async def _bounded(content: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in content:
        size += len(chunk)
        if size > limit:
            raise BadUserInput(f"a file has at most {limit} bytes")
        yield chunk
