"""Medusa's `fields` parameter: which parts of a record go into an answer.

A record is prepared in full, as a view: a tree of dictionaries in which costly or endless parts are functions, called
with the request's context only when asked for. `a,b` replaces the defaults, `+a`, `-a` and `*relation` change them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

View = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """What a view's keys lead to. `relations` and `extras` (plain values) only come when asked for by name, `hidden`
    keys never do."""

    relations: Mapping[str, Kind] = field(default_factory=dict)
    extras: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()
    apart: frozenset[str] = field(init=False)
    """Everything that a view's own fields leave out."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "apart", self.extras | self.hidden | frozenset(self.relations))


LEAF = Kind()


@dataclass
class Selection:
    """What is wanted of one view: all its own fields, or some names, and relations below."""

    own: bool = False
    names: set[str] = field(default_factory=set)
    below: dict[str, Selection] = field(default_factory=dict)

    def add(self, path: str, *, star: bool) -> None:
        """Take in `a.b.c` (the field c of b of a) or, with a star, everything that a.b.c has of its own."""
        node = self
        *parents, last = path.split(".")
        for name in parents:
            node = node.below.setdefault(name, Selection())
        if star or last == "*":
            node = node.below.setdefault(last, Selection()) if last != "*" else node
            node.own = True
        else:
            node.names.add(last)

    def wants(self, *names: str) -> bool:
        return any(name in self.names or name in self.below for name in names)

    def at(self, *path: str) -> Selection | None:
        node: Selection | None = self
        for name in path:
            node = node.below.get(name) if node else None
        return node


def select(asked: str | None, defaults: Iterable[str]) -> Selection:
    """The selection that a `fields` value makes of a route's defaults (written the same way, without signs)."""
    # A plus sign in a query string is a space; clients send it encoded or not.
    entries = [entry.rstrip() for entry in (asked or "").split(",") if entry.strip()]
    signed = all(entry[0] in "+-* " or entry.endswith("*") for entry in entries)
    chosen = dict.fromkeys(defaults) if signed else {}
    for entry in entries:
        sign, name = (entry[0], entry[1:].lstrip()) if entry[0] in "+-* " else ("", entry)
        if sign == "-":
            chosen = {
                kept: None
                for kept in chosen
                if kept.lstrip("*") != name and not kept.lstrip("*").startswith(f"{name}.")
            }
        else:
            chosen[f"*{name}" if sign == "*" else name] = None
    selection = Selection(names={"id"})
    for entry in chosen:
        if entry == "*":
            selection.own = True
        else:
            selection.add(entry.removeprefix("*"), star=entry.startswith("*"))
    return selection


def pick(view: View, wanted: Selection, kind: Kind, context: Any = None) -> View:
    """The part of a view that is wanted. Names that it does not have are left out, as Medusa does."""
    picked: View = {}
    relations, apart = kind.relations, kind.apart
    if wanted.own:
        picked = {key: value for key, value in view.items() if key not in apart}
    elif "id" in view:
        picked["id"] = view["id"]
    for name, value in view.items():
        if name in wanted.names and name not in relations and name not in kind.hidden:
            picked[name] = value(context) if callable(value) else value
    named = {name: Selection(own=True) for name in wanted.names if name in relations}
    for name, below in {**named, **wanted.below}.items():
        if name in view and name in relations:
            value = view[name](context) if callable(view[name]) else view[name]
            picked[name] = _below(value, below, relations[name], context)
    return picked


def _below(value: Any, wanted: Selection, kind: Kind, context: Any) -> Any:
    if isinstance(value, list):
        return [pick(each, wanted, kind, context) for each in value]
    return None if value is None else pick(value, wanted, kind, context)
