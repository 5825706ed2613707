"""Every field has a decision, and every decision a field."""

from __future__ import annotations

from core.settings import Settings
from schema import build_schema
from tests.access import shapes
from tests.access.decisions import CHANGES, EDGES, READS

SCHEMA = build_schema(Settings())._schema
ADVICE = "decide who may use it, in tests/access/decisions.py"


def names(kind: str) -> set[str]:
    return set(shapes.fields(SCHEMA, kind))


def test_every_field_that_is_read_or_watched_is_decided() -> None:
    fields = names("Query") | names("Subscription")
    assert fields - set(READS) == set(), ADVICE
    assert set(READS) - fields == set(), "there are no such fields any more"


def test_every_change_is_decided() -> None:
    assert names("Mutation") - set(CHANGES) == set(), ADVICE
    assert set(CHANGES) - names("Mutation") == set(), "there are no such fields any more"


def test_every_field_that_leads_to_other_rows_is_decided() -> None:
    kinds = {field.kind for field in shapes.roots(SCHEMA).values()} | {"Viewer"}
    found = {".".join((kind, *edge.path)) for kind in kinds for edge in shapes.edges(SCHEMA, kind)}
    assert found - set(EDGES) == set(), ADVICE
    assert set(EDGES) - found == set(), "there are no such fields any more"
