"""What Strapi answers, under the names of the schema. `documentId` is the identity: the number called `id` changes
whenever a row is published again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Generic, TypeVar

import msgspec
from msgspec import field

Row = TypeVar("Row")


class JobCustomerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A customer of the print shop."""

    id: str = field(name="documentId")
    name: str = field(name="Name")
    email: str | None = field(name="Email", default=None)
    created_at: datetime = field(name="createdAt")


class JobRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A print job. `job_id` is what the print shop calls it, `status` one of its own words."""

    id: str = field(name="documentId")
    job_id: str = field(name="JobID")
    status: str | None = field(name="Status", default=None)
    quantity: int | None = field(name="Quantity", default=None)
    customer: JobCustomerRecord | None = None
    created_at: datetime = field(name="createdAt")
    updated_at: datetime = field(name="updatedAt")

    @property
    def customer_id(self) -> str | None:
        return self.customer.id if self.customer else None


class Pagination(msgspec.Struct, frozen=True):
    total: int


class Meta(msgspec.Struct, frozen=True):
    pagination: Pagination


class Page(msgspec.Struct, Generic[Row], frozen=True):
    data: list[Row]
    meta: Meta

    @property
    def total(self) -> int:
        """Of the whole list."""
        return self.meta.pagination.total


class One(msgspec.Struct, Generic[Row], frozen=True):
    data: Row


class Problem(msgspec.Struct, frozen=True):
    path: list[str] = []
    message: str = ""


class Details(msgspec.Struct, frozen=True):
    errors: list[Problem] = []


class Error(msgspec.Struct, frozen=True):
    name: str = ""
    message: str = ""
    details: Details = Details()


class ErrorBody(msgspec.Struct, frozen=True):
    error: Error
