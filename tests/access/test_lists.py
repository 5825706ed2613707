"""Lists, rows by id and pages: everybody is shown their own rows, all of them, and nobody else's."""

from __future__ import annotations

import json

import pytest

from tests.access import shapes
from tests.access.callers import BARE, NAMES, Caller
from tests.access.decisions import READS
from tests.access.gateway import Served
from tests.access.shapes import Field
from tests.access.world import absent

EVERYBODY = pytest.mark.parametrize("name", NAMES)
ALIASES = 30
"""Of one document."""


def lists(served: Served) -> list[Field]:
    return [field for field in served.roots.values() if field.how != "one"]


def word(caller: Caller, field: Field) -> str:
    return READS[field.name][caller.kind]


@EVERYBODY
async def test_a_list_holds_the_callers_rows_and_counts_no_others(served: Served, name: str) -> None:
    caller = served.callers[name]
    for field in lists(served):
        if word(caller, field) == "no":
            continue
        expected = served.shown(caller, field.kind, word(caller, field)) - served.unlisted(caller, field.kind)
        keys, total = await served.listed(caller, field)
        assert set(keys) == expected, field.name
        assert len(keys) == len(expected), f"{field.name} shows a row twice"
        assert total in (None, len(expected)), field.name


@EVERYBODY
async def test_a_row_is_found_by_its_id_by_those_who_see_it(served: Served, name: str) -> None:
    caller = served.callers[name]
    for field in served.roots.values():
        if field.how == "one" and word(caller, field) != "no":
            for by in field.arguments:
                await found_by(served, caller, field, by)


async def found_by(served: Served, caller: Caller, field: Field, by: str) -> None:
    rows = served.some(field.kind)
    for start in range(0, len(rows), ALIASES):
        some = rows[start : start + ALIASES]
        asked = [
            f"r{n}: {field.name}({by}: {json.dumps(row.key if by == 'id' else row.names[by])}) "
            f"{{ {shapes.key_fields(field.kind)} }}"
            for n, row in enumerate(some)
        ]
        answer = await served.ask(caller, f"{{ {' '.join(asked)} }}")
        assert "errors" not in answer.body
        for n, row in enumerate(some):
            found = answer.data[f"r{n}"]
            expected = row.key if row.is_shown(caller, word(caller, field)) else None
            assert (found and shapes.key_of(field.kind, found)) == expected, f"{field.name} by {by}: {row}"


@EVERYBODY
async def test_a_cursor_of_somebody_else_opens_nothing(served: Served, name: str) -> None:
    caller, service = served.callers[name], served.callers["service"]
    for field in lists(served):
        if field.how != "connection" or word(caller, field) == "no":
            continue
        shown = served.shown(caller, field.kind, word(caller, field))
        _, total = await served.listed(caller, field)
        for cursor in await cursors(served, service, field):
            nodes = f"nodes {{ {shapes.key_fields(field.kind)} }}"
            page = f"first: 100, after: {json.dumps(cursor)}"
            answer = await served.ask(caller, f"{{ {field.name}({field.given}{page}) {{ {nodes} totalCount }} }}")
            if "errors" in answer.body:
                assert answer.codes == ["BAD_USER_INPUT"], field.name
                continue
            found = answer.only()
            assert {shapes.key_of(field.kind, node) for node in found["nodes"]} <= shown, field.name
            assert found["totalCount"] == total, field.name


async def cursors(served: Served, of: Caller, field: Field) -> list[str]:
    """Of the first, a middle and the last row of a page of theirs."""
    key = (of.name, field.name, "cursors")
    if key not in served.memo:
        document = f"{{ {field.name}({field.given}first: 9) {{ edges {{ cursor }} pageInfo {{ endCursor }} }} }}"
        page = (await served.ask(of, document)).only()
        edges = page["edges"]
        found = [edges[0], edges[len(edges) // 2], edges[-1]] if edges else []
        served.memo[key] = list(dict.fromkeys([*(edge["cursor"] for edge in found), page["pageInfo"]["endCursor"]]))
    made: list[str] = served.memo[key]
    return made


@EVERYBODY
async def test_what_is_forbidden_is_null_with_a_reason_and_asks_no_backend(served: Served, name: str) -> None:
    caller = served.callers[name]
    for field in served.roots.values():
        if word(caller, field) != "no":
            continue
        row = f"{field.arguments[0]}: {json.dumps(absent(field.kind))}" if field.how == "one" else ""
        answer = await served.ask(caller, f"{{ {field.selection('first: 1', arguments=row)} }}")
        assert (answer.codes, answer.data, answer.upstream) == (["FORBIDDEN"], {field.name: None}, {})


def test_everybody_who_is_shown_anything_has_something_to_be_shown(served: Served) -> None:
    """A decision for which there is no row would be tried with nothing."""
    for field in served.roots.values():
        for kind, shown in READS[field.name].items():
            if shown not in ("no", "nothing"):
                callers = [caller for caller in served.callers.values() if caller.kind == kind]
                assert any(served.shown(caller, field.kind, shown) for caller in callers), f"{field.name} for {kind}"


@EVERYBODY
async def test_what_is_nobodys_is_for_everybody(served: Served, name: str) -> None:
    caller = served.callers[name]
    for field in shapes.fields(served.schema, "Query"):
        if field == "_entities" or field not in READS or field in served.roots:
            continue  # what `_entities` shows hangs on what it is told: see `test_entities`
        decided = READS[field][caller.kind]
        if decided == "yes" or (decided == "placed" and caller.client != BARE):
            given = ", ".join(f"{argument}: {value}" for argument, value in shapes.GIVEN.get(field, {}).items())
            selected = f"{field}({given})" if given else field
            shown = (await served.ask(caller, f"{{ {selected} {{ __typename }} }}")).only()
            assert shown
            assert all(one["__typename"] for one in (shown if isinstance(shown, list) else [shown]))


@EVERYBODY
async def test_a_caller_learns_who_they_are(served: Served, name: str) -> None:
    caller = served.callers[name]
    answer = await served.ask(caller, "{ viewer { user { id } client { id } clientApp { id } } }")
    found = {edge: row and row["id"] for edge, row in answer.only().items()}
    app = caller.app if word(caller, served.roots["clientApp"]) == "app" else None
    assert found == {"user": caller.user, "client": caller.client, "clientApp": app}
