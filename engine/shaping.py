"""What an entrance makes of an answer, before it is kept under an idempotency key: what is given again later is then
what was given at first.

It stands behind everything else around execution, so that it sees what was executed and never what was kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import strawberry
from strawberry.extensions import SchemaExtension

from core import operation
from core.kept import Kept

Shape = Callable[[Any, Kept], Any]
"""New data, made of an answer's data and what backends have said for it, word for word."""


def shape_answers(schema: strawberry.Schema) -> None:
    """Let contexts have a `shape`; None: the answer stays as it is."""
    schema.extensions = (*schema.extensions, Shaping)


class Shaping(SchemaExtension):
    def on_execute(self) -> Iterator[None]:
        asked = self.execution_context
        shape: Shape | None = asked.context.shape
        if shape is None or asked.result is not None:
            yield
            return
        kept = operation.current().kept = Kept()
        yield
        result = asked.result
        if result is not None and getattr(result, "data", None) is not None:
            result.data = shape(result.data, kept)
