"""Query strings as Payload's parser, qs, reads them: brackets make objects and lists, within limits that are silent."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

import orjson

from sandbox.payload.wire import not_supported

Query = dict[str, Any]

MOST_PARAMETERS = 1000
"""Those behind are not read."""
DEEPEST = 10
"""Levels of brackets; what is deeper stays one name."""
LONGEST_LIST = 1000
"""An index above makes an object of the list."""
_KEY = re.compile(r"([^\[]*)((?:\[[^\]]*\])*)(.*)")


def parse(text: str) -> Query:
    """`a[b]=` makes objects; `a[]=`, `a[0]=` and repeated `a=` make lists; `where` may also be one text of JSON."""
    query: Query = {}
    for key, value in parse_qsl(text, keep_blank_values=True, max_num_fields=None)[:MOST_PARAMETERS]:
        _put(query, _path(key), value)
    read: Query = _listed(query)
    if isinstance(where := read.get("where"), str) and where.startswith("{"):
        read["where"] = orjson.loads(where)
    for name in ("draft", "trash", "locale", "joins", "populate"):
        if name in read:
            raise not_supported(f"the parameter {name}")
    return read


def _path(key: str) -> list[str]:
    found = _KEY.fullmatch(key)
    if found is None or found[3]:
        return [key]
    parts = re.findall(r"\[([^\]]*)\]", found[2])
    deep = "".join(f"[{part}]" for part in parts[DEEPEST:])
    return [found[1], *parts[:DEEPEST], *([deep] if deep else [])]


def _put(level: dict[str, Any], path: list[str], value: str) -> None:
    for name in path[:-1]:
        inner = level.setdefault(name, {})
        if not isinstance(inner, dict):
            return
        level = inner
    name = path[-1]
    if name == "":
        name = str(sum(key.isdigit() for key in level))
    before = level.get(name)
    if before is None:
        level[name] = value
    else:
        level[name] = [*(before if isinstance(before, list) else [before]), value]


def _listed(value: Any) -> Any:
    """Objects whose keys are all indexes become lists."""
    if not isinstance(value, dict):
        return value
    if value and all(key.isdigit() and int(key) < LONGEST_LIST for key in value):
        return [_listed(value[key]) for key in sorted(value, key=int)]
    return {key: _listed(inner) for key, inner in value.items()}
