"""What deliveries would cost. Asking is free and still writes, because Fleetbase keeps every quote."""

from __future__ import annotations

from collections.abc import Sequence

from core.address import Address
from core.concurrency import bounded_map
from core.errors import BadUserInput, GatewayError
from datasources.fleetbase import QuoteRecord
from resolvers.context import Context, Loader
from resolvers.fleet import may_see

Way = tuple[Address, Address]

MAX_WAYS = 5
"""Of one operation: each costs up to three of Fleetbase's 120 calls a minute, which all callers share."""


class QuotesByWay(Loader[Way, Sequence[QuoteRecord]]):
    """Quotes for a way from here to there. One that an operation asks for twice is asked for once."""

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        self._ways = 0

    async def batch_load_fn(self, keys: list[Way]) -> list[Sequence[QuoteRecord] | GatewayError]:  # type: ignore[override]  # a failure is of its own way alone
        self._ways += len(keys)
        if self._ways > MAX_WAYS:
            raise BadUserInput(f"one operation asks for the quotes of at most {MAX_WAYS} ways")
        return await bounded_map(self._quotes, keys)

    async def _quotes(self, way: Way) -> Sequence[QuoteRecord] | GatewayError:
        try:
            return await self.sources.fleetbase.delivery_quotes(*way)
        except GatewayError as exc:
            return exc


async def delivery_quotes(ctx: Context, pickup: Address, dropoff: Address) -> Sequence[QuoteRecord]:
    """The cheapest first; none where nobody goes this way, and for callers who see nothing of the fleet.

    Raises BadUserInput for too many ways in one operation.
    """
    return await ctx.loader(QuotesByWay).load((pickup, dropoff)) if may_see(ctx.principal) else []
