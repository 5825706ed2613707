"""What every resolver is handed, and the loaders that batch an operation's reads.

A loader is two facts: how to fetch distinct keys in one go, and which key a row answers. Order, gaps and duplicates
are solved here, once.
"""

from __future__ import annotations

from abc import abstractmethod
from asyncio import Future
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from aiodataloader import DataLoader

from core import operation
from core.kept import Kept
from core.principals import Principal

if TYPE_CHECKING:
    from datasources import Sources

K = TypeVar("K")
R = TypeVar("R")
L = TypeVar("L", bound="Loader[Any, Any]")


class Context:
    """`principal` is who asks; `sources` are the backends. Loaders live as long as the running operation, which on
    a WebSocket is one operation or one event, though the connection keeps its context.

    `request_id` and `timeout_s` are what the caller asked for, if they did; `is_traced`: they want to see the calls
    that were made, and may; `may_subscribe`: their connection can carry more than one answer; `address`: where in the
    network they are, for the audit; `caller_key`: the idempotency key that the connection itself came with; `operator`:
    which account of this machine's acts, at the command line, where there is no caller.
    """

    def __init__(
        self,
        sources: Sources,
        principal: Principal,
        *,
        request_id: str | None = None,
        timeout_s: float | None = None,
        is_traced: bool = False,
        may_subscribe: bool = True,
        address: str | None = None,
        caller_key: str | None = None,
        operator: str | None = None,
    ) -> None:
        self.sources = sources
        self.principal = principal
        self.request_id = request_id
        self.timeout_s = timeout_s
        self.is_traced = is_traced
        self.may_subscribe = may_subscribe
        self.address = address
        self.caller_key = caller_key
        self.operator = operator
        self.shape: Callable[[Any, Kept], Any] | None = None
        """What the entrance makes of the answer's data and of what backends have said; None: nothing else."""

    def idempotency_key(self, part: str = "") -> str | None:
        """The effective key of the mutation's field that runs, or of one `part` of what it does: the same when the
        caller repeats the request, and nobody else's. None where the caller gave no key."""
        keyed = operation.current().keyed
        return None if keyed is None else keyed.key_of_field(part)

    def loader(self, cls: type[L]) -> L:
        """This operation's loader of that class, made on first use."""
        loaders = operation.current().loaders
        loader = loaders.get(cls)
        if loader is None:
            loader = loaders[cls] = cls(self)
        return cast("L", loader)


class Loader(DataLoader[K, R], Generic[K, R]):
    """Base of `OneByKey` and `ManyByKey`. Keys are never None."""

    def __init__(self, ctx: Context) -> None:
        super().__init__()
        self.ctx = ctx
        self.sources = ctx.sources
        self._operation = operation.current()

    def load(self, key: K) -> Future[R]:
        if key in self._cache:
            self._operation.cache_hits += 1
        return super().load(key)


class OneByKey(Loader[K, R | None], Generic[K, R]):
    """Each key has one row, or None."""

    @abstractmethod
    async def fetch(self, keys: list[K]) -> Sequence[R]:
        """Rows for these distinct keys, in any order, absent ones left out."""

    @abstractmethod
    def key(self, row: R) -> K:
        """The key that a row answers."""

    async def batch_load_fn(self, keys: list[K]) -> list[R | None]:
        rows = {self.key(row): row for row in await self.fetch(list(dict.fromkeys(keys)))}
        return [rows.get(key) for key in keys]


class ManyByKey(Loader[K, list[R]], Generic[K, R]):
    """Each key has a list of rows, in the order in which `fetch` gave them."""

    @abstractmethod
    async def fetch(self, keys: list[K]) -> Sequence[R]:
        """Rows for these distinct keys, grouped or not."""

    @abstractmethod
    def key(self, row: R) -> K:
        """The key that a row answers."""

    async def batch_load_fn(self, keys: list[K]) -> list[list[R]]:
        rows: dict[K, list[R]] = {key: [] for key in keys}
        for row in await self.fetch(list(rows)):
            if (key := self.key(row)) in rows:
                rows[key].append(row)
        return [rows[key] for key in keys]
