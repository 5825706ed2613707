"""What a caller's key stands for."""

from __future__ import annotations

import re

import pytest

from core.errors import BadUserInput
from core.idempotency import KeyedRequest, checked_key, effective_key


@pytest.mark.parametrize("key", ["k", "!~", "k" * 255, "0f8fad5b-d9cb-469f-a165-70867728950e"])
def test_a_key_is_visible_ascii(key: str) -> None:
    assert checked_key(key, "Idempotency-Key") == key


@pytest.mark.parametrize("key", ["", "k" * 256, "a b", "\x7f", "a\n", "clé", "ключ", 7, None, ["k"], {"$ne": ""}])
def test_anything_else_is_none_and_its_name_is_told(key: object) -> None:
    with pytest.raises(BadUserInput, match="`Idempotency-Key`"):
        checked_key(key, "Idempotency-Key")


def test_an_effective_key_differs_by_each_of_its_parts() -> None:
    parts = ["USER:a:c:u", "Buy", "createOrder", "k"]
    keys = {effective_key(*parts)}
    for place in range(4):
        for other in ("", "x", parts[(place + 1) % 4]):
            keys.add(effective_key(*(other if n == place else part for n, part in enumerate(parts))))
    assert len(keys) == 13
    assert all(re.fullmatch("[0-9a-f]{64}", key) for key in keys)


def test_parts_cannot_run_into_each_other() -> None:
    assert effective_key("a", "b:c", "d", "e") != effective_key("a:b", "c", "d", "e")
    assert effective_key("a", 'b","c', "d", "e") != effective_key("a", "b", 'c","d', "e")


def test_the_fields_of_a_request_and_their_parts_have_keys_of_their_own() -> None:
    def request(**changes: str) -> KeyedRequest:
        given = {"principal_id": "SERVICE:::", "operation": "Buy", "caller_key": "k", "attempt": "1"}
        return KeyedRequest(**{**given, **changes})  # type: ignore[arg-type]

    keys = {
        request().key,
        request(path="first").key_of_field(),
        request(path="second").key_of_field(),
        request(path="first").key_of_field("stripe"),
        request(path="first", principal_id="CLIENT:a:c:").key_of_field(),
    }
    assert len(keys) == 5
    assert request(path="first", attempt="2").key_of_field() in keys, "another try of the same request"
