"""Filters narrow what somebody is shown, and never widen it, whatever ids they name."""

from __future__ import annotations

import pytest

from core.settings import Settings
from schema import build_schema
from tests.access import shapes
from tests.access.callers import NAMES, Caller
from tests.access.decisions import READS
from tests.access.gateway import Served
from tests.access.shapes import Field
from tests.access.values import FILTERS

ROOTS = shapes.roots(build_schema(Settings())._schema)
LISTS = {name: field for name, field in ROOTS.items() if field.how != "one" and name in READS}


def test_every_filter_has_values() -> None:
    found = {f"{name}.{argument}" for name, field in LISTS.items() for argument in field.arguments}
    assert found - set(FILTERS) == set(), "say what it is tried with, in tests/access/values.py"
    assert set(FILTERS) - found == set(), "there are no such filters any more"


@pytest.mark.parametrize("name", NAMES)
async def test_a_filter_narrows_what_the_caller_sees(served: Served, name: str) -> None:
    caller, service = served.callers[name], served.callers["service"]
    for named, values in FILTERS.items():
        field, argument = LISTS[named.partition(".")[0]], named.partition(".")[2]
        word = READS[field.name][caller.kind]
        if word == "no":
            continue
        shown = served.shown(caller, field.kind, word) - served.unlisted(caller, field.kind)
        for value in values:
            everything, _ = await narrowed(served, service, field, argument, value)
            found, total = await narrowed(served, caller, field, argument, value)
            assert set(found) == set(everything) & shown, f"{named}: {value}"
            assert total in (None, len(found)), f"{named}: {value} counts others"


async def narrowed(
    served: Served, caller: Caller, field: Field, argument: str, value: str
) -> tuple[list[str], int | None]:
    key = (caller.name, field.name, argument, value)
    if key not in served.memo:
        outer, _, inner = argument.partition(".")
        text = f"{outer}: {{{inner}: {value}}}" if inner else f"{outer}: {value}"
        served.memo[key] = await served.listed(caller, field, text)
    found: tuple[list[str], int | None] = served.memo[key]
    return found


async def test_every_filter_finds_something_for_a_service(served: Served) -> None:
    """Otherwise the comparison with what it finds would say nothing."""
    for named, values in FILTERS.items():
        field, argument = LISTS[named.partition(".")[0]], named.partition(".")[2]
        found = [await narrowed(served, served.callers["service"], field, argument, value) for value in values]
        assert any(keys for keys, _ in found), named
