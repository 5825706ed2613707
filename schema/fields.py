"""How fields are declared: what is not an attribute of its record is a join, or money.

A declaration is an ordinary Strawberry field whose `metadata` says what it does, so that an executor that works by the
column can do the same without calling it.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import strawberry

from engine.idempotency import SECRET
from resolvers.context import Loader
from schema.info import Info
from schema.scalars import Money, money_of


def link(
    loader: type[Loader[Any, Any]],
    *,
    key: str,
    description: str | None = None,
    directives: Sequence[object] = (),
) -> Any:
    """A field whose value comes from elsewhere: what `loader` has for the record's attribute `key`.

    A record without key (None) has no value. The annotation must be optional, because the other side may be down.
    """

    def resolve(root: Any, info: Info) -> Any:
        value = getattr(root, key)
        return None if value is None else info.context.loader(loader).load(value)

    resolve.__annotations__["return"] = Any
    return strawberry.field(
        resolver=resolve,
        description=description,
        directives=directives,
        metadata={"link": (loader, key)},
    )


def money(attribute: str, *, description: str | None = None) -> Any:
    """A `Money` field made of the record's Decimal `attribute` and its `currency`; None where the amount is None."""

    def resolve(root: Any) -> Money | None:
        amount: Decimal | None = getattr(root, attribute)
        return None if amount is None else money_of(amount, root.currency)

    return strawberry.field(resolver=resolve, description=description, metadata={"money": attribute})


def secret(*, of: str | None = None, description: str | None = None) -> Any:
    """An attribute that is shown this once: no answer that holds it is ever kept. It is a secret of the record in the
    attribute `of` beside it; None: of the record that it is an attribute of."""
    return strawberry.field(description=description, metadata={SECRET: of})
