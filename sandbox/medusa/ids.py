"""Ids and times of new rows."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_id(prefix: str) -> str:
    """`prefix_` and a ULID: ids of later milliseconds sort later."""
    value = (int(datetime.now(UTC).timestamp() * 1000) << 80) | secrets.randbits(80)
    return f"{prefix}_" + "".join(CROCKFORD[(value >> shift) & 31] for shift in range(125, -1, -5))


def twin(prefix: str, id: str) -> str:
    """The id of a row that exists once for the row `id`: the same characters after another prefix."""
    return prefix + id[id.rindex("_") :]


def iso(moment: datetime) -> str:
    """UTC with milliseconds, as Medusa writes times."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now() -> str:
    return iso(datetime.now(UTC))
