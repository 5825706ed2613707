"""API keys of platforms and clients: issued once, replaced with an overlap, ended at once.

A key is seen in the result of the call that made it and nowhere else. Every step is safe to repeat: what a call that
was cut off left behind is a key that nobody has seen, and the next rotation ends it with all the others.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Generic

from core.auth import hash_key, new_key
from core.errors import BadUserInput, Conflict
from datasources.mongo import ClientAppRecord, ClientRecord, KeyMark, KeyRecord, Owned
from resolvers.audit import AuditEvent, audited
from resolvers.context import Context

LONGEST_OVERLAP_S = 30 * 24 * 3600
LONGEST_LIFE_DAYS = 3650
HINT_LENGTH = 4
TRIES = 30
"""To be the next of an owner's keys: every lost one means that somebody else's rotation went in."""

_KINDS: dict[type, str] = {ClientAppRecord: "client_app", ClientRecord: "client"}
_ACTIVE = {
    (ClientAppRecord, True): AuditEvent.APP_ACTIVATED,
    (ClientAppRecord, False): AuditEvent.APP_DEACTIVATED,
    (ClientRecord, True): AuditEvent.CLIENT_ACTIVATED,
    (ClientRecord, False): AuditEvent.CLIENT_DEACTIVATED,
}


@dataclass(frozen=True, slots=True)
class Issued(Generic[Owned]):
    """A key, shown this once, and its owner as it then is."""

    owner: Owned
    api_key: str = field(repr=False)


@asynccontextmanager
async def first_key(ctx: Context, kind: type[Owned], owner_id: str) -> AsyncIterator[tuple[str, KeyMark]]:
    """A key for an owner whom the block makes, and what is to be told of it there.

    The key comes first, so that no owner is without. When the block ends in Conflict it is dropped again.
    """
    key = new_key()
    mark = KeyMark(1, key[-HINT_LENGTH:])
    hashed = hash_key(_pepper(ctx), key)
    await ctx.sources.mongo.add_key(_record(hashed, kind, owner_id, mark))
    try:
        yield key, mark
    except Conflict:
        await ctx.sources.mongo.drop_key(hashed)
        raise


async def rotate(ctx: Context, owner: Owned, *, overlap_s: int, expires_in_days: int | None) -> Issued[Owned]:
    """A new key for an owner. Every other one works for `overlap_s` more, if it would have worked that long.

    Two rotations at once are as if one came after the other. Raises BadUserInput for an overlap beyond 30 days, a life
    beyond ten years, an owner who is not active; Conflict for one who is deactivated meanwhile.
    """
    if not 0 <= overlap_s <= LONGEST_OVERLAP_S:
        raise BadUserInput(f"`overlapSeconds` is 0 to {LONGEST_OVERLAP_S}")
    if expires_in_days is not None and not 1 <= expires_in_days <= LONGEST_LIFE_DAYS:
        raise BadUserInput(f"`expiresInDays` is 1 to {LONGEST_LIFE_DAYS}")
    if not owner.is_active:
        raise BadUserInput("what is not active gets no key: activate it first")
    mongo, key, kind = ctx.sources.mongo, new_key(), type(owner)
    hashed, hint = hash_key(_pepper(ctx), key), key[-HINT_LENGTH:]
    expires_at = None
    if expires_in_days is not None:
        # In whole seconds, which every store and every caller keeps as they are.
        expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=expires_in_days)
    detail = {"keyHint": hint, "overlapSeconds": overlap_s, "expiresInDays": expires_in_days}
    async with _changing(ctx, AuditEvent.KEY_ROTATED, owner, **detail):
        mark = await _add_next(ctx, hashed, owner, hint, expires_at)
        ends_at = datetime.now(UTC) + timedelta(seconds=overlap_s)
        await mongo.end_keys(owner.id, ends_at, below=mark.generation)
        marked = await mongo.mark_key(kind, owner.id, mark)
        if marked is None or not marked.is_active:
            await mongo.end_key(hashed, datetime.now(UTC))
            raise Conflict("this was deactivated at the same time")
    return Issued(marked, key)


async def set_active(ctx: Context, owner: Owned, is_active: bool) -> Owned:
    """Deactivation ends all keys at once; activation brings none back and makes none."""
    if is_active and owner.is_active:
        return owner
    mongo, kind = ctx.sources.mongo, type(owner)
    async with _changing(ctx, _ACTIVE[kind, is_active], owner):
        if is_active:
            # Those that a deactivation which was cut off left behind.
            await mongo.end_keys(owner.id, datetime.now(UTC))
        changed = await mongo.set_active(kind, owner.id, is_active)
        if not is_active:
            await mongo.end_keys(owner.id, datetime.now(UTC))
    return owner if changed is None else changed


@asynccontextmanager
async def _changing(
    ctx: Context, event: AuditEvent, owner: ClientAppRecord | ClientRecord, **detail: Any
) -> AsyncIterator[None]:
    """Audited; and whatever becomes of it, nobody goes on believing what they remember."""
    try:
        async with audited(ctx, event, _KINDS[type(owner)], owner.id, **detail):
            yield
    finally:
        await ctx.sources.identities.changed()


async def _add_next(
    ctx: Context, hashed: str, owner: ClientAppRecord | ClientRecord, hint: str, expires_at: datetime | None
) -> KeyMark:
    """Add a key of the next generation. A generation is one key's alone, so that no older one can come in later."""
    mongo = ctx.sources.mongo
    for _ in range(TRIES):
        newest = next(iter(await mongo.keys_of(owner.id)), None)
        mark = KeyMark(1 if newest is None else newest.generation + 1, hint, expires_at)
        try:
            await mongo.add_key(_record(hashed, type(owner), owner.id, mark))
        except Conflict:
            continue
        return mark
    raise Conflict("this key is being replaced by too many at once")


def _record(hashed: str, kind: type, owner_id: str, mark: KeyMark) -> KeyRecord:
    return KeyRecord(
        hash=hashed,
        owner_kind=_KINDS[kind],
        owner_id=owner_id,
        generation=mark.generation,
        hint=mark.hint,
        expires_at=mark.expires_at,
    )


def _pepper(ctx: Context) -> str:
    pepper = ctx.sources.settings.key_pepper
    assert pepper is not None  # noqa: S101 - no process that issues keys starts without
    return pepper.get_secret_value()
