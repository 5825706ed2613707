"""From row to row: what hangs on a row of one's own is shown only as far as it is one's own too."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from tests.access import shapes
from tests.access.callers import NAMES, Caller
from tests.access.decisions import EDGES, READS
from tests.access.gateway import Served
from tests.access.shapes import Field, Node

EVERYBODY = pytest.mark.parametrize("name", NAMES)

Found = dict[str, dict[str, list[str]]]
"""By edge, then by the row that it leads from: the rows that it leads to."""


def kinds(served: Served) -> list[str]:
    return list(dict.fromkeys(field.kind for field in served.roots.values()))


def edges_of(served: Served, kind: str) -> list[Field]:
    return [edge for edge in shapes.edges(served.schema, kind) if edge_name(kind, edge) in EDGES]


def edge_name(kind: str, edge: Field) -> str:
    return ".".join((kind, *edge.path))


def list_word(served: Served, caller: Caller, kind: str) -> str:
    """How the tables put which rows of a type a caller is shown."""
    return next(READS[field.name][caller.kind] for field in served.roots.values() if field.kind == kind)


async def parents(served: Served, caller: Caller, kind: str, selection: str) -> list[Node]:
    """Rows of a type with what they lead to: of a list's first page, or by their ids where there is no list."""
    fields = [field for field in served.roots.values() if field.kind == kind]
    listing = next((field for field in fields if field.how != "one"), None)
    if listing is not None:
        value = (await served.ask(caller, f"{{ {listing.selection(inner=selection)} }}")).only()
        rows: list[Node] = value["nodes"] if listing.how == "connection" else value
        return rows
    keys = sorted(served.shown(caller, kind, READS[fields[0].name][caller.kind]))
    asked = (f"r{n}: {fields[0].name}(id: {json.dumps(key)}) {{ id {selection} }}" for n, key in enumerate(keys))
    return list((await served.ask(caller, f"{{ {' '.join(asked)} }}")).data.values()) if keys else []


async def followed(served: Served, caller: Caller, kind: str, edges: Sequence[Field]) -> Found:
    """Where these edges lead for a caller. Remembered, for everybody is compared with the service."""
    key = (caller.name, kind, tuple(edge.path for edge in edges))
    if key not in served.memo:
        selection = " ".join(edge.selection() for edge in edges)
        rows = await parents(served, caller, kind, selection)
        found: Found = {
            edge_name(kind, edge): {shapes.key_of(kind, row): edge.keys(row) for row in rows} for edge in edges
        }
        for edge in edges:
            if edge.how == "connection":
                for row in rows:
                    total, shown = edge.total(row), edge.keys(row)
                    assert total in (None, len(shown)) or len(shown) == 100, f"{edge_name(kind, edge)} counts others"
        served.memo[key] = found
    remembered: Found = served.memo[key]
    return remembered


async def all_followed(served: Served, caller: Caller, kind: str, edges: Sequence[Field]) -> Found:
    """Single ones together, lists of their own one at a time."""
    single = [edge for edge in edges if edge.how != "connection"]
    found = await followed(served, caller, kind, single) if single else {}
    for edge in edges:
        if edge.how == "connection":
            found = found | await followed(served, caller, kind, [edge])
    return found


@EVERYBODY
async def test_rows_lead_to_what_the_caller_sees_and_to_nothing_else(served: Served, name: str) -> None:
    caller, service = served.callers[name], served.callers["service"]
    for kind in kinds(served):
        if list_word(served, caller, kind) == "no":
            continue
        words = {edge_name(kind, edge): EDGES[edge_name(kind, edge)][caller.kind] for edge in edges_of(served, kind)}
        edges = [edge for edge in edges_of(served, kind) if words[edge_name(kind, edge)] != "no"]
        found = await all_followed(served, caller, kind, edges)
        everything = await all_followed(served, service, kind, edges_of(served, kind))
        for edge in edges:
            named = edge_name(kind, edge)
            seen = served.shown(caller, edge.kind, list_word(served, caller, edge.kind))
            if edge.how == "connection":
                seen -= served.unlisted(caller, edge.kind)
            for parent, rows in found[named].items():
                if parent not in everything[named]:
                    assert set(rows) <= seen or words[named] == "whole", f"{named} of {parent}"
                    continue
                whole = everything[named][parent]
                expected = whole if words[named] == "whole" else [row for row in whole if row in seen]
                assert rows == expected, f"{named} of {parent}"


@EVERYBODY
async def test_an_edge_that_is_forbidden_is_null_with_a_reason(served: Served, name: str) -> None:
    caller = served.callers[name]
    for kind in kinds(served):
        for edge in edges_of(served, kind):
            if EDGES[edge_name(kind, edge)][caller.kind] != "no" or list_word(served, caller, kind) == "no":
                continue
            listing = next(field for field in served.roots.values() if field.kind == kind and field.how != "one")
            answer = await served.ask(caller, f"{{ {listing.selection('first: 3', inner=edge.selection())} }}")
            rows = answer.data[listing.name]["nodes"]
            assert [row[edge.name] for row in rows] == [None] * len(rows)
            assert set(answer.codes) <= {"FORBIDDEN"}
            assert len(answer.codes) == len(rows)


async def test_for_a_service_rows_lead_where_the_stores_say(served: Served) -> None:
    """With it everybody else is compared, so this is compared with what was put in."""
    service = served.callers["service"]
    for kind, owned in (("User", "users"), ("Client", "clients")):
        for edge in edges_of(served, kind):
            if edge.how != "connection":
                continue
            found = await followed(served, service, kind, [edge])
            for parent, rows in found[edge_name(kind, edge)].items():
                theirs = {
                    row.key
                    for row in served.rows[edge.kind]
                    if parent in getattr(row, owned) and parent not in row.unlisted_for
                }
                assert set(rows) == theirs, f"{edge_name(kind, edge)} of {parent}"


@pytest.mark.parametrize(("kind", "path"), [("Order", "customer"), ("Invoice", "customer"), ("Workflow", "startedBy")])
async def test_a_service_learns_whose_a_row_is_from_nothing_but_its_owner(served: Served, kind: str, path: str) -> None:
    service = served.callers["service"]
    edges = [edge for edge in edges_of(served, kind) if edge.how != "connection"]
    found = (await followed(served, service, kind, edges))[f"{kind}.{path}"]
    users = {row.key: row.users - row.unlisted_for for row in served.rows[kind]}
    assert {key: set(shown) for key, shown in found.items()} == {key: users[key] for key in found}
    assert any(found.values())


async def test_every_edge_leads_somewhere(served: Served) -> None:
    """Otherwise nobody could be shown too much of it. Children are made by running workflows alone."""
    for kind in kinds(served):
        found = await all_followed(served, served.callers["service"], kind, edges_of(served, kind))
        empty = {edge for edge, rows in found.items() if not any(rows.values())}
        assert empty <= {"Workflow.children"}
