"""The comparison itself: what counts as alike and what does not."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.conformance.recordings import Recording, compare, shape_differences


@pytest.mark.parametrize(
    ("recorded", "answered"),
    [
        ({"a": 1}, {"a": 2.5}),
        ({"a": None}, {"a": {"b": 1}}),
        ({"a": "x"}, {"a": None}),
        ({"a": [{"b": 1}, "... 3 more"]}, {"a": [{"b": 2}, {"b": 3}]}),
        ({"a": [{"b": 1}, {"c": "x"}]}, {"a": [{"b": 1, "c": "y"}]}),
        ({"a": []}, {"a": [1, 2]}),
    ],
)
def test_same_keys_and_types_are_alike(recorded: Any, answered: Any) -> None:
    assert shape_differences(recorded, answered) == []


@pytest.mark.parametrize(
    ("recorded", "answered", "difference"),
    [
        ({"a": None}, {}, "$.a: missing"),
        ({}, {"a": None}, "$.a: not in the recording"),
        ({"a": 1}, {"a": "1"}, "$.a: string instead of number"),
        ({"a": 1}, {"a": True}, "$.a: boolean instead of number"),
        ({"a": [{"b": 1}]}, {"a": [{"b": [1]}]}, "$.a[].b: list instead of number"),
        ({"a": [{"b": 1}, {"c": 1}]}, {"a": [{"b": 1}]}, "$.a[].c: missing"),
    ],
)
def test_other_keys_or_types_are_named_with_their_place(recorded: Any, answered: Any, difference: str) -> None:
    assert shape_differences(recorded, answered) == [difference]


def test_free_form_objects_may_hold_anything() -> None:
    assert shape_differences({"metadata": {"x": 1}}, {"metadata": {"y": "z"}}, free_form=["metadata"]) == []


def test_error_bodies_are_equal_except_for_ids() -> None:
    recording = Recording("shop", "x", "GET", "/", {}, None, 404, {}, {"message": "No order_01AB here"}, {})
    ids = re.compile(r"order_\w+")
    assert compare(recording, 404, {"message": "No order_77ZZ here"}, ids=ids) == []
    assert compare(recording, 404, {"message": "Where is order_77ZZ?"}, ids=ids) != []
    assert compare(recording, 400, {"message": "No order_01AB here"}, ids=ids) != []
