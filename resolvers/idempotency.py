"""What a mutation under a caller's key leaves for its next try, where a backend offers nothing to look it up by."""

from __future__ import annotations

from core import operation
from resolvers.context import Context


def noted(ctx: Context, what: str) -> str | None:
    """What an earlier try of the field that runs, or this one, has noted; None without a key, too."""
    keyed = operation.current().keyed
    return None if keyed is None else keyed.notes.get(f"{keyed.path}/{what}")


async def note(ctx: Context, what: str, value: str) -> None:
    """Remember it for the next try of the field that runs; nothing is remembered without a key.

    Raises IdempotencyConflict when a next try has begun, so that this one ends here.
    """
    keyed = operation.current().keyed
    if keyed is not None and noted(ctx, what) != value:
        name = f"{keyed.path}/{what}"
        await ctx.sources.mongo.note_request(keyed.key, keyed.attempt, name, value)
        keyed.notes[name] = value
