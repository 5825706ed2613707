"""Customers: accounts, and the guests that carts make."""

from __future__ import annotations

import re
from typing import Any

from sandbox.medusa.body import METADATA, Field, validate
from sandbox.medusa.fields import LEAF, Kind, View, pick, select
from sandbox.medusa.listing import Listing, column, columns, shower
from sandbox.medusa.query import words
from sandbox.medusa.wire import Call, MedusaError, new_id, now
from sandbox.store import Row, Store

OWN = (
    "id", "company_name", "first_name", "last_name", "email", "phone", "metadata", "has_account", "created_by",
    "created_at", "updated_at", "deleted_at",
)  # fmt: skip
CUSTOMER = Kind({"groups": LEAF, "addresses": LEAF})
CUSTOMERS = Listing(
    "customers",
    CUSTOMER,
    OWN,
    {
        **columns("id", "email", "company_name", "first_name", "last_name", "has_account", "created_by", "created_at"),
        **columns("updated_at"),
        "q": words(*map(column, ("email", "first_name", "last_name", "company_name", "phone"))),
    },
    declined=frozenset({"$and", "$or", "with_deleted", "groups", "deleted_at"}),
    sortable=frozenset({"id", "email", "first_name", "last_name", "company_name", "created_at", "updated_at"}),
)
FIELDS = {
    **dict.fromkeys(("email", "company_name", "first_name", "last_name", "phone"), Field("string")),
    "metadata": METADATA,
}
CREATE = {**FIELDS, "email": Field("string", required=True, nullable=False)}


def customer_row(email: str, moment: str, *, id: str | None = None, has_account: bool = False, **known: Any) -> Row:
    return {
        **dict.fromkeys(OWN),
        "id": id or new_id("cus"),
        "email": email,
        "has_account": has_account,
        "created_at": moment,
        "updated_at": moment,
        **known,
    }


def checked_email(email: str) -> str:
    """In lower case, as Medusa keeps it. Raises: MedusaError when it is none."""
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s.]+", email):
        raise MedusaError("invalid_data", "The email is not valid")
    return email.lower()


class Customers:
    """Handlers and look-ups. A guest and an account may share an address and are different customers."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def guest(self, email: str) -> Row | None:
        """The guest with this address; carts never find accounts by it."""
        return self._with(email, has_account=False)

    def customers(self, call: Call) -> Any:
        return CUSTOMERS.answer(call, self._store.rows("customer"), shower(CUSTOMER, self._view))

    def customer(self, call: Call) -> Any:
        return {"customer": pick(self._view(self._known(call.id)), select(call.fields, OWN), CUSTOMER)}

    def create(self, call: Call) -> Any:
        validate(call.body, CREATE)
        email = checked_email(call.body["email"])
        self._refuse_twin(email, has_account=False)
        row = customer_row(email, now(), **{key: value for key, value in call.body.items() if key != "email"})
        self._store.put("customer", row["id"], row)
        return {"customer": pick(self._view(row), select(call.fields, OWN), CUSTOMER)}

    def update(self, call: Call) -> Any:
        validate(call.body, FIELDS)
        row = self._known(call.id)
        changed = {**row, **call.body, "updated_at": now()}
        if call.body.get("email"):
            changed["email"] = checked_email(call.body["email"])
            if changed["email"] != row["email"]:
                self._refuse_twin(changed["email"], has_account=row["has_account"])
        self._store.put("customer", call.id, changed)
        return self.customer(call)

    def _known(self, id: str) -> Row:
        row = self._store.get("customer", id)
        if row is None:
            raise MedusaError("not_found", f"Customer with id: {id} was not found")
        return row

    def _with(self, email: str, *, has_account: bool) -> Row | None:
        rows = self._store.rows("customer")
        return next((row for row in rows if row["email"] == email and row["has_account"] is has_account), None)

    def _refuse_twin(self, email: str, *, has_account: bool) -> None:
        if self._with(email, has_account=has_account):
            known = "true" if has_account else "false"
            raise MedusaError(
                "duplicate_error",
                f"Customer with email: {email}, has_account: {known}, already exists.",
                code="invalid_request_error",
            )

    def _view(self, row: Row) -> View:
        return {**row, "groups": [], "addresses": []}
