"""One key, one effect: what a caller's idempotency key stands for, and the request that runs under it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from enum import Enum

import orjson

from core.errors import BadUserInput

_KEY = re.compile(r"[!-~]{1,255}")


class ClaimState(Enum):
    """Of a caller's key. RELEASED: it was tried, and may be tried again; DONE: the answer is kept; WITHHELD: it is
    done, and its answer is not kept."""

    RUNNING = "RUNNING"
    RELEASED = "RELEASED"
    DONE = "DONE"
    WITHHELD = "WITHHELD"


def checked_key(key: object, name: str) -> str:
    """The key itself. Raises BadUserInput, which speaks of it by this name, for what is no key."""
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise BadUserInput(f"`{name}` has 1 to 255 visible ASCII characters")
    return key


def effective_key(principal_id: str, operation: str, path: str, key: str) -> str:
    """In hex: the same for the same caller, operation, place in its answer and key, and for nothing else."""
    return hashlib.sha256(orjson.dumps([principal_id, operation, path, key])).hexdigest()


@dataclass(slots=True)
class KeyedRequest:
    """A mutation that runs under its caller's key. `operation` is its name, empty without one; `attempt` tells the
    tries of one request apart; `notes` is what earlier ones have left for it."""

    principal_id: str
    operation: str
    caller_key: str
    attempt: str
    notes: dict[str, str] = field(default_factory=dict)
    path: str = ""
    """Of the root field that runs, in the answer; empty before the first one. Root fields run one after the other."""
    secrets_of: dict[str, None] = field(default_factory=dict)
    """The records whose secrets are in the answer, in words."""

    @property
    def key(self) -> str:
        """What the request as a whole is known by."""
        return effective_key(self.principal_id, self.operation, "", self.caller_key)

    def key_of_field(self, part: str = "") -> str:
        """The effective key of the root field that runs, or of one `part` of what it does."""
        path = f"{self.path}/{part}" if part else self.path
        return effective_key(self.principal_id, self.operation, path, self.caller_key)
