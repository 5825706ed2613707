"""Loaders whose rows outlive the operation that asked for them."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar, TypeVar

from datasources.rows import RowKind
from resolvers.context import Loader

V = TypeVar("V")


class Remembered(Loader[str, V]):
    """Mixed into a loader before its base: what another operation has asked in the same scope lately is not asked
    again."""

    kind: ClassVar[RowKind]
    are_own: ClassVar[bool] = True
    """Whether keys are ids by which a change of the row is told."""

    def scope(self, keys: list[str]) -> Hashable:
        """All on which the rows of these keys depend besides the keys. Callers who differ in it share nothing."""
        return ()

    async def asked(self, keys: list[str]) -> list[V]:
        """What the backend says of these keys, in their order."""
        return await super().batch_load_fn(keys)

    async def batch_load_fn(self, keys: list[str]) -> list[V]:
        async def ask(missing: list[str]) -> dict[str, V]:
            return dict(zip(missing, await self.asked(missing), strict=True))

        scope = type(self), self.scope(keys)
        found = await self.sources.rows.by_id(self.kind, keys, ask, scope=scope, are_own=self.are_own)
        return [found[key] for key in keys]
