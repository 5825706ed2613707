"""The content types: what PrintShop OS keeps of a job and of a customer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["string", "text", "email", "enumeration", "integer", "datetime"]

STATUSES = ("Pending", "In Progress", "Completed", "Cancelled")
SYSTEM: Mapping[str, Kind] = {
    "id": "integer",
    "documentId": "string",
    "createdAt": "datetime",
    "updatedAt": "datetime",
    "publishedAt": "datetime",
}
"""What every row has besides its attributes."""


@dataclass(frozen=True)
class Attribute:
    kind: Kind
    is_required: bool = False
    is_unique: bool = False
    values: tuple[str, ...] = ()
    default: str | None = None


@dataclass(frozen=True)
class Relation:
    """To rows of another type. `inverse`: the attribute over there that holds it; None: it is held here, one row."""

    target: str
    inverse: str | None = None


@dataclass(frozen=True)
class ContentType:
    """`plural` is its path, `has_drafts` whether what is written is a draft until it is published."""

    name: str
    plural: str
    has_drafts: bool
    attributes: Mapping[str, Attribute]
    relations: Mapping[str, Relation]

    def kind_of(self, field: str) -> Kind | None:
        """None for what is no plain field."""
        attribute = self.attributes.get(field)
        return attribute.kind if attribute else SYSTEM.get(field)


JOB = ContentType(
    "job",
    "jobs",
    has_drafts=True,
    attributes={
        "JobID": Attribute("string", is_required=True, is_unique=True),
        "Status": Attribute("enumeration", values=STATUSES, default=STATUSES[0]),
        "Quantity": Attribute("integer"),
        "Notes": Attribute("text"),
        "Deadline": Attribute("datetime"),
    },
    relations={"customer": Relation("customer")},
)
CUSTOMER = ContentType(
    "customer",
    "customers",
    has_drafts=False,
    attributes={"Name": Attribute("string", is_required=True), "Email": Attribute("email")},
    relations={"jobs": Relation("job", inverse="customer")},
)
TYPES = {each.name: each for each in (JOB, CUSTOMER)}
BY_PATH = {each.plural: each for each in TYPES.values()}
