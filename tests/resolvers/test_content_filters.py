"""What callers may filter content by, and what becomes of it on the way."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from core.errors import BadUserInput
from core.settings import PayloadSettings
from datasources.payload import DEEPEST as DEEPEST_READ
from resolvers.content_filters import OPERATORS, PATHS, Kind, checked_where, paths_of

SLUG = {"slug": {"equals": "a"}}


def depth(where: Any) -> int:
    """Levels of brackets."""
    inner = where.values() if isinstance(where, dict) else where if isinstance(where, list) else []
    return max((1 + depth(each) for each in inner), default=0)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (None, None),
        ({}, None),
        (SLUG, SLUG),
        (
            {"price": {"greater_than": 1, "less_than": 2.5}},
            {"and": [{"price": {"greater_than": 1}}, {"price": {"less_than": 2.5}}]},
        ),
        (SLUG | {"seats": {"in": [1]}}, {"and": [SLUG, {"seats": {"in": [1]}}]}),
        ({"or": [SLUG]}, SLUG),
        ({"and": [{"and": [SLUG, SLUG]}, SLUG]}, {"and": [SLUG, SLUG, SLUG]}),
        ({"or": [{"or": [SLUG, SLUG]}, SLUG]}, {"or": [SLUG, SLUG, SLUG]}),
        ({"and": [{"or": [SLUG, SLUG]}]} | SLUG, {"and": [{"or": [SLUG, SLUG]}, SLUG]}),
        ({"id": {"in": [1, "x"]}}, {"id": {"in": ["1", "x"]}}),
        (
            {"startsAt": {"less_than": "2026-01-31T13:00:00+01:00"}},
            {"startsAt": {"less_than": datetime(2026, 1, 31, 12, tzinfo=UTC)}},
        ),
        ({"createdAt": {"equals": "2026-01-31"}}, {"createdAt": {"equals": datetime(2026, 1, 31, tzinfo=UTC)}}),
    ],
)
def test_a_filter_is_put_plainly(said: Any, meant: Any) -> None:
    assert checked_where("events", said) == meant


@pytest.mark.parametrize(
    "where",
    [
        [],
        "slug",
        {"slug": "a"},
        {"slug": {}},
        {"slug": ["a"]},
        {"slug": {"equals": 5}},
        {"slug": {"equals": None}},
        {"slug": {"equals": ""}},
        {"slug": {"equals": "null"}},
        {"slug": {"equals": "x" * 201}},
        {"slug": {"equals": {"in": ["a"]}}},
        {"slug": {"in": "a,b"}},
        {"slug": {"in": []}},
        {"slug": {"in": ["a"] * 101}},
        {"slug": {"exists": True}},
        {"slug": {"all": ["a"]}},
        {"slug": {"greater_than": "a"}},
        {"id": {"not_equals": "1"}},
        {"id": {"equals": True}},
        {"price": {"equals": "5"}},
        {"price": {"equals": True}},
        {"price": {"equals": float("nan")}},
        {"price": {"equals": float("inf")}},
        {"price": {"equals": 10**400}},
        {"startsAt": {"equals": "soon"}},
        {"startsAt": {"equals": 5}},
        {"startsAt": {"less_than": "0001-01-01T00:00:00+14:00"}},
        {"startsAt": {"in": ["2026-01-31"]}},
        {"nope": {"equals": "a"}},
        {"_status": {"equals": "draft"}},
        {"tenant": {"equals": "other"}},
        {"author.email": {"contains": "a"}},
        {"and": []},
        {"or": SLUG},
        {"or": [{}]},
        {"OR": [SLUG]},
        {"or": [{"and": [{"or": [SLUG, SLUG]}, SLUG]}, SLUG]},
        {"or": [SLUG] * 21},
        {"or": [{"slug": {"in": ["a"] * 100}}] * 3},
    ],
)
def test_what_cannot_be_said_is_refused(where: Any) -> None:
    with pytest.raises(BadUserInput):
        checked_where("events", where)


def test_a_refusal_names_what_may_be_said() -> None:
    with pytest.raises(BadUserInput, match="createdAt, id, publishedAt, slug, title, updatedAt, and not price"):
        checked_where("posts", {"price": {"equals": 1}})
    with pytest.raises(BadUserInput, match=r"`slug` knows equals, .*, and not near"):
        checked_where("posts", {"slug": {"near": "1,2"}})


def test_the_deepest_filter_fits_into_brackets() -> None:
    """Beside what is always asked."""
    both = {"slug": {"in": ["a"]}, "title": {"in": ["b"]}}
    for where in ({"or": [{"and": [both, SLUG]}, SLUG]}, {"and": [{"or": [both, SLUG]}, SLUG]}, {"or": [both, both]}):
        checked = checked_where("events", where) or {}
        always = {"_status": {"equals": "published"}}
        whole = {"and": [always, *checked.get("and", [checked])]}
        assert depth(whole) <= DEEPEST_READ


def test_every_readable_collection_has_its_line_and_others_have_what_all_have() -> None:
    assert set(PATHS) == set(PayloadSettings().collections)
    assert paths_of("recipes") == {"id": Kind.ID, "createdAt": Kind.DATE, "updatedAt": Kind.DATE}
    assert set(OPERATORS) == set(Kind)
