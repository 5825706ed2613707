"""What a DocType is: its fields with types, defaults, links and rules, and how its documents get their names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

from sandbox.erpnext.errors import invalid

STANDARD = ("name", "owner", "creation", "modified", "modified_by", "docstatus", "idx")
OF_CHILDREN = ("parent", "parentfield", "parenttype")
MAX_DATA_LENGTH = 140
_TOKEN = re.compile(r"(\w+?)(?:>([A-Za-z_]+))?(?:=([^!^#\s]*))?([!^#]*)")


@dataclass(frozen=True)
class Field:
    """`options`: the linked DocType of a Link, that of the rows of a Table, the allowed values of a Select."""

    name: str
    kind: str = "Data"
    options: str = ""
    default: Any = None
    mandatory: bool = False
    allow_on_submit: bool = False
    unique: bool = False

    @property
    def label(self) -> str:
        return self.name.removeprefix("custom_").replace("_", " ").title()

    @property
    def numeric(self) -> bool:
        return self.kind in ("Check", "Int", "Float")

    @property
    def blank(self) -> Any:
        """What an empty column counts as in a comparison."""
        return 0 if self.numeric else "0001-01-01" if self.kind in ("Date", "Datetime") else ""

    def coerce(self, value: Any) -> Any:
        """The value as the column keeps it. Raises: Refusal (417) when it does not fit."""
        if self.kind in ("Check", "Int"):
            return int(_number(value))
        if self.kind == "Float":
            return float(_number(value))
        if value is None or (value == "" and (self.unique or self.kind in ("Date", "Link"))):
            return None
        text = value if isinstance(value, str) else str(value)
        if self.kind == "Date":
            return _date(text)
        if self.kind == "Select" and text not in self.options.split("|"):
            allowed = ", ".join(f'"{option}"' for option in self.options.split("|"))
            raise invalid(f'{self.label} cannot be "{text}". It should be one of {allowed}')
        if self.kind == "Data" and len(text) > MAX_DATA_LENGTH:
            message = f"'{self.label}' ({text}) will get truncated, as max characters allowed is {MAX_DATA_LENGTH}"
            raise invalid(message, "CharacterLengthExceededError", "Value too big")
        return text


def _number(value: Any) -> float:
    try:
        return float(value or 0)
    except (TypeError, ValueError):
        return 0.0


def _date(text: str) -> str:
    try:
        return date.fromisoformat(text[:10]).isoformat()
    except ValueError:
        raise invalid(f"{text} is not a valid date string.", title="Invalid Date") from None


def fields(kind: str, names: str) -> Iterator[Field]:
    """Fields of one kind from words: `name[>Link_Target|Option][=default][!mandatory][^allow on submit][#unique]`."""
    for word in names.split():
        match = _TOKEN.fullmatch(word)
        if match is None:
            raise ValueError(f"not a field: {word}")
        name, options, default, marks = match.groups()
        options = (options or "").replace("_", " ")
        initial: Any = [] if kind == "Table" else None
        if kind in ("Check", "Int"):
            initial = int(default or 0)
        elif kind == "Float":
            initial = float(default or 0)
        elif default is not None:
            initial = default.replace("_", " ")
        yield Field(name, kind, options, initial, "!" in marks, "^" in marks, "#" in marks)


def select(name: str, options: str, default: str | None = None, *, mandatory: bool = False) -> Field:
    return Field(name, "Select", options, default, mandatory)


@dataclass(frozen=True)
class DocType:
    """`naming`: `field:<name>`, `series:<prefix>`, `hash`, or `rule` (its `Rules` name it).

    `writes`: `yes`, `forbidden` (changed by other documents only: 403) or `unsupported` (501).
    """

    name: str
    columns: tuple[Field, ...]
    naming: str = "hash"
    submittable: bool = False
    child: bool = False
    writes: str = "yes"
    tree_parent: str | None = None
    """The field that holds the parent of a tree's node."""
    by_name: dict[str, Field] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        kinds = {"docstatus": "Int", "idx": "Int", "creation": "Datetime", "modified": "Datetime"}
        names = STANDARD + (OF_CHILDREN if self.child else ())
        standard = {name: Field(name, kinds.get(name, "Data")) for name in names}
        object.__setattr__(self, "by_name", standard | {column.name: column for column in self.columns})

    @cached_property
    def tables(self) -> dict[str, str]:
        """Child DocType by table field."""
        return {column.name: column.options for column in self.columns if column.kind == "Table"}

    @cached_property
    def listed(self) -> tuple[str, ...]:
        """The columns of `*`: everything but child tables."""
        return tuple(column.name for column in self.by_name.values() if column.kind != "Table")

    @cached_property
    def links(self) -> tuple[Field, ...]:
        return tuple(column for column in self.columns if column.kind == "Link")
