"""What backends have said, beside the records that were made of it."""

from __future__ import annotations

import msgspec
import orjson

from core.backends import BackendName
from core.kept import Kept


class Line(msgspec.Struct):
    id: str = msgspec.field(name="name")


class Thing(msgspec.Struct):
    id: str
    lines: list[Line] = msgspec.field(name="rows", default_factory=list)
    parent: Thing | None = None


class SpecialThing(Thing):
    pass


class Page(msgspec.Struct):
    things: dict[str, list[SpecialThing]]


def read(kept: Kept, into: type, said: object) -> None:
    body = orjson.dumps(said)
    kept.add(BackendName.MEDUSA, msgspec.json.decode(body, type=into), body)


def test_every_record_has_the_object_that_it_was_made_of() -> None:
    kept = Kept()
    first = {"id": "1", "more": [1, 2], "rows": [{"name": "a", "x": 1}, {"name": "b"}]}
    read(kept, Page, {"things": {"some": [first, {"id": "2"}]}, "count": 2})
    assert kept.rows(SpecialThing, "id") == {("1",): first, ("2",): {"id": "2"}}
    assert kept.rows(Thing, "id") == kept.rows(SpecialThing, "id"), "a kind of record is its bases too"
    assert kept.rows(Line, "id") == {("a",): {"name": "a", "x": 1}, ("b",): {"name": "b"}}
    assert [(record.id, said) for record, said in kept.all(Line)] == [
        ("a", {"name": "a", "x": 1}),
        ("b", {"name": "b"}),
    ]


def test_of_several_the_nearest_to_the_root_counts_and_of_those_the_latest() -> None:
    kept = Kept()
    read(kept, Thing, {"id": "1", "v": 1})
    read(kept, Thing, {"id": "2", "parent": {"id": "1", "v": 2}})
    assert kept.rows(Thing, "id")["1",] == {"id": "1", "v": 1}
    read(kept, Thing, {"id": "1", "v": 3})
    assert kept.rows(Thing, "id")["1",] == {"id": "1", "v": 3}


def test_the_last_whole_answer_of_a_backend_is_there() -> None:
    kept = Kept()
    assert kept.body(BackendName.MEDUSA) is None
    for v in (1, 2):
        read(kept, Thing, {"id": "1", "v": v})
    assert kept.body(BackendName.MEDUSA) == {"id": "1", "v": 2}
    assert kept.body(BackendName.STRIPE) is None
