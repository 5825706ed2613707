"""What is not yours looks like what is not there: the same answer, after as many calls."""

from __future__ import annotations

import json

import pytest

from core.settings import Settings
from schema import build_schema
from tests.access import shapes
from tests.access.callers import Caller
from tests.access.decisions import READS
from tests.access.gateway import Answer, Served
from tests.access.world import Row, absent

BY = [
    (field.name, argument)
    for field in shapes.roots(build_schema(Settings())._schema).values()
    if field.how == "one" and field.name in READS
    for argument in field.arguments
]


@pytest.mark.parametrize(("name", "by"), BY, ids=[f"{name} by {by}" for name, by in BY])
async def test_a_foreign_row_is_answered_as_one_that_is_not_there(served: Served, name: str, by: str) -> None:
    field = served.roots[name]

    async def asked(caller: str, value: str) -> Answer:
        """When somebody else has just asked for it, and they have not."""
        document = f"{{ {name}({by}: {json.dumps(value)}) {{ {shapes.key_fields(field.kind)} }} }}"
        await served.forget_rows()
        await served.ask(served.callers["service"], document)
        return await served.ask(served.callers[caller], document)

    compared = 0
    for caller in ("browser", "server", "shop", "here", "customer", "staff", "bare admin"):
        word = READS[name][served.callers[caller].kind]
        if word in ("all", "no"):
            continue
        missing = await asked(caller, absent(field.kind))
        assert missing.body.get("data") == {name: None}
        for row in foreign_rows(served, served.callers[caller], field.kind, word):
            foreign = await asked(caller, row.key if by == "id" else row.names[by])
            assert (foreign.data, foreign.refusals) == (missing.data, missing.refusals), (caller, row)
            if not row.was_others:
                # Whichever backends they went to, time does not tell them apart.
                assert sum(foreign.upstream.values()) == sum(missing.upstream.values()), (caller, row)
            compared += 1
    assert compared


def foreign_rows(served: Served, caller: Caller, kind: str, word: str) -> list[Row]:
    """One of each kind of stranger: of their client, of their platform, of neither."""
    chosen: dict[tuple[bool, bool, bool], Row] = {}
    for row in served.rows[kind]:
        if not row.is_shown(caller, word):
            chosen.setdefault((caller.client in row.clients, caller.app in row.apps, bool(row.users)), row)
    return list(chosen.values())
