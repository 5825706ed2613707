"""Somebody as backends are told of them."""

from __future__ import annotations

from dataclasses import dataclass

REFERENCE = "gateway_user_id"
"""What a backend's free fields call our own id of somebody, where it has such fields."""


@dataclass(frozen=True, slots=True)
class Person:
    """`user_id` is our own id, by which what was made for them is found again."""

    user_id: str
    name: str
    email: str
    phone: str | None = None

    @property
    def names(self) -> tuple[str, str]:
        """The first name and the rest, for backends that want two."""
        first, _, last = self.name.strip().partition(" ")
        return first, last.strip()
