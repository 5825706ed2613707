"""What a Payload configuration declares: collections, their fields and who may read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

Kind = Literal["text", "number", "checkbox", "date", "select", "relationship", "json", "blocks", "group"]
Access = Literal["anyone", "published", "users"]
"""Who reads: everybody; everybody what is published and users all; users alone. Only users write."""


@dataclass(frozen=True)
class Field:
    """`to`: the collection that a relationship leads to; `fields`: those of a group."""

    kind: Kind
    required: bool = False
    unique: bool = False
    default: Any = None
    options: tuple[str, ...] = ()
    many: bool = False
    to: str | None = None
    fields: Mapping[str, Field] = field(default_factory=dict)

    @property
    def empty(self) -> Any:
        """What a document shows that nothing was said for."""
        if self.kind == "group":
            return {name: inner.empty for name, inner in self.fields.items()}
        return [] if self.many or self.kind == "blocks" else self.default


@dataclass(frozen=True)
class Collection:
    """`drafts`: its documents have a `_status`; `auth`: its documents are accounts that can sign in."""

    slug: str
    singular: str
    fields: Mapping[str, Field]
    drafts: bool = False
    auth: bool = False
    read: Access = "users"

    @property
    def plural(self) -> str:
        return f"{self.singular[:-1]}ies" if self.singular.endswith("y") else f"{self.singular}s"

    @property
    def status_field(self) -> str:
        """Where a document says whether it is published."""
        return "_status" if self.drafts else "status"

    @cached_property
    def queryable(self) -> dict[str, Field]:
        """Every field that a filter may name, Payload's own among them."""
        own = {"createdAt": Field("date"), "updatedAt": Field("date"), **self.fields}
        if self.drafts:
            own["_status"] = STATUS
        if self.auth:
            own["email"] = Field("text")
        return own


STATUS = Field("select", options=("draft", "published"), default="draft")
TITLE, SLUG = Field("text", required=True), Field("text", required=True, unique=True)
TEXT, NUMBER, DATE, JSON = Field("text"), Field("number"), Field("date"), Field("json")
META = Field("group", fields={"title": TEXT, "description": TEXT})
CURRENCY = Field("select", options=("EUR", "ALL"))

USERS = Collection("users", "User", {"name": TEXT}, auth=True)
_OFFER = {
    "title": TITLE,
    "slug": SLUG,
    "tenant": TEXT,
    "description": TEXT,
    "price": NUMBER,
    "currency": CURRENCY,
    "seats": NUMBER,
}
_MIRRORED = {"gatewayId": SLUG, "status": TEXT, "data": JSON, "sourceUpdatedAt": DATE}

DEMO = (
    USERS,
    Collection(
        "pages",
        "Page",
        {"title": TITLE, "slug": SLUG, "tenant": TEXT, "content": JSON, "layout": Field("blocks"), "meta": META},
        drafts=True,
        read="anyone",
    ),
    Collection(
        "posts",
        "Post",
        {
            "title": TITLE,
            "slug": SLUG,
            "tenant": TEXT,
            "excerpt": TEXT,
            "author": Field("relationship", to="users"),
            "relatedPage": Field("relationship", to="pages"),
            "tags": Field("select", many=True, options=("news", "books", "city")),
            "publishedAt": DATE,
            "body": JSON,
        },
        drafts=True,
        read="published",
    ),
    Collection("services", "Service", {**_OFFER, "durationMinutes": NUMBER}, drafts=True, read="published"),
    Collection("events", "Event", {**_OFFER, "startsAt": DATE, "location": TEXT}, drafts=True, read="published"),
    Collection("verifications", "Verification", {**_MIRRORED, "userId": TEXT, "credentialType": TEXT}),
    Collection("orders", "Order", {**_MIRRORED, "paymentStatus": TEXT, "fulfillmentStatus": TEXT}),
    Collection("deliveries", "Delivery", {**_MIRRORED, "orderId": TEXT, "trackingNumber": TEXT}),
)
"""The demo company's. `gatewayId` is what the gateway calls the row that a document mirrors."""
