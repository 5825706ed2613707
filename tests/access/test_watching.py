"""Subscriptions, over real WebSockets: everybody watches what is theirs, and what is not theirs is not there."""

from __future__ import annotations

import json

import pytest

from tests.access import shapes
from tests.access.callers import NAMES
from tests.access.decisions import READS
from tests.access.gateway import Served
from tests.access.world import absent


@pytest.mark.parametrize("name", NAMES)
async def test_only_what_is_theirs_can_be_watched(served: Served, name: str) -> None:
    caller = served.callers[name]
    for field in shapes.roots(served.schema, "Subscription").values():
        if field.name not in READS:
            continue
        word = READS[field.name][caller.kind]

        async def watched(key: str, field: shapes.Field = field) -> dict[str, object]:
            keys = shapes.key_fields(field.kind)
            document = f"subscription {{ {field.name}(id: {json.dumps(key)}) {{ {keys} }} }}"
            heard = await served.subscribe(caller, document)
            told = heard["payload"]
            if heard["type"] == "next" and told["data"] is not None:
                return dict(told["data"][field.name])
            errors = told["errors"] if heard["type"] == "next" else told
            return {"refused": [(error["extensions"]["code"], error["message"]) for error in errors]}

        missing = await watched(absent(field.kind))
        for row in served.rows[field.kind]:
            heard = await watched(row.key)
            if row.is_shown(caller, word):
                assert heard == {"id": row.key}
            else:
                assert heard == missing
