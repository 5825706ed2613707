"""Payment collections with their sessions, payments with captures and refunds."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sandbox.medusa.body import Field, validate
from sandbox.medusa.fields import LEAF, Kind, View, pick, select
from sandbox.medusa.listing import Listing, columns, shower
from sandbox.medusa.money import ZERO, number, raw, text, with_raw
from sandbox.medusa.wire import Call, MedusaError, missing, new_id, now
from sandbox.store import Row, Store

SYSTEM_PROVIDER = "pp_system_default"
FAILING_PROVIDER = "pp_fail"
"""Refuses every authorization; real shops have none such, and it is not listed."""
CONFLICTING_PROVIDER = "pp_conflict"
"""Makes the first completion of its cart answer that another one is running; not listed either."""
PROVIDERS = frozenset({SYSTEM_PROVIDER, FAILING_PROVIDER, CONFLICTING_PROVIDER})

PAYMENT = Kind({"captures": LEAF, "refunds": LEAF, "payment_session": LEAF, "payment_collection": LEAF})
COLLECTION = Kind({"payments": PAYMENT, "payment_sessions": LEAF})
COLLECTION_DEFAULTS = ("id", "currency_code", "amount", "*payment_sessions")
PAYMENT_DEFAULTS = (
    "id", "currency_code", "amount", "captured_at", "payment_collection_id", "payment_session_id",
    "captures.amount", "refunds.amount", "refunds.note", "refunds.payment_id", "refunds.refund_reason",
)  # fmt: skip
PAYMENTS = Listing(
    "payments", PAYMENT, PAYMENT_DEFAULTS, columns("id", "payment_session_id", "created_at", "updated_at"), 20
)
AMOUNT = Field("number", minimum=0, above=True)


def captured(payment: Row) -> Decimal:
    return sum((Decimal(capture["amount"]) for capture in payment["captures"]), ZERO)


def refunded(payment: Row) -> Decimal:
    return sum((Decimal(refund["amount"]) for refund in payment["refunds"]), ZERO)


def new_session(collection: Row, provider: str, data: Any, status: str = "pending") -> Row:
    moment = now()
    return {
        "id": new_id("payses"),
        "currency_code": collection["currency_code"],
        "provider_id": provider,
        "data": data or {},
        "context": {},
        "status": status,
        "authorized_at": moment if status == "authorized" else None,
        "amount": collection["amount"],
        "created_at": moment,
        "updated_at": moment,
    }


def new_payment(id: str, collection: Row, session: Row, moment: str) -> Row:
    """An authorized payment of everything that the collection asks for."""
    return {
        "id": id,
        "currency_code": collection["currency_code"],
        "provider_id": session["provider_id"],
        "data": session["data"],
        "metadata": None,
        "amount": collection["amount"],
        "payment_collection_id": collection["id"],
        "payment_session_id": session["id"],
        "captured_at": None,
        "canceled_at": None,
        "captures": [],
        "refunds": [],
        "created_at": moment,
        "updated_at": moment,
    }


class Payments:
    """Handlers about money that was or will be paid."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of_collection(self, collection: Row) -> list[Row]:
        found = (self._store.get("payment", each) for each in collection["payment_ids"])
        return [payment for payment in found if payment]

    # Collections

    def create_sessions(self, call: Call) -> Any:
        """POST /store/payment-collections/:id/payment-sessions: one new session in place of the older ones."""
        validate(call.body, {"provider_id": Field("string", required=True, nullable=False), "data": Field("object")})
        collection = self._store.get("payment_collection", call.id)
        if collection is None:
            raise missing("Payment collection", call.id)
        provider = call.body["provider_id"]
        if provider not in PROVIDERS:
            raise MedusaError("invalid_data", f"Payment provider {provider} is not enabled in the region of the cart")
        session = new_session(collection, provider, call.body.get("data"))
        changed = {**collection, "status": "awaiting", "sessions": [session], "updated_at": now()}
        self._store.put("payment_collection", call.id, changed)
        return {
            "payment_collection": pick(
                self.collection_view(changed), select(call.fields, COLLECTION_DEFAULTS), COLLECTION
            )
        }

    def mark_as_paid(self, call: Call) -> Any:
        """POST /admin/payment-collections/:id/mark-as-paid: a manual payment, captured at once."""
        validate(
            call.body, {"order_id": Field("string", required=True, nullable=False), "provider_id": Field("string")}
        )
        collection = self._store.get("payment_collection", call.id)
        if collection is None:
            raise missing("Payment collection", call.id)
        if collection["status"] != "not_paid":
            raise MedusaError("not_allowed", "Can only mark 'not_paid' payment collection as paid")
        if self._store.get("order", call.body["order_id"]) is None:
            raise missing("Order", call.body["order_id"])
        session = new_session(collection, call.body.get("provider_id") or SYSTEM_PROVIDER, {}, status="authorized")
        payment = self._with_capture(
            new_payment(new_id("pay"), collection, session, now()), Decimal(collection["amount"])
        )
        with self._store.transaction():
            self._store.put("payment", payment["id"], payment)
            changed = {**collection, "sessions": [session], "payment_ids": [*collection["payment_ids"], payment["id"]]}
            self._settle(changed)
        kept = self._store.get("payment_collection", call.id) or changed
        return {
            "payment_collection": pick(
                self.collection_view(kept), select(call.fields, (*COLLECTION_DEFAULTS, "status")), COLLECTION
            )
        }

    # Payments

    def payments(self, call: Call) -> Any:
        return PAYMENTS.answer(call, self._store.rows("payment"), shower(PAYMENT, self.payment_view))

    def payment(self, call: Call) -> Any:
        row = self._store.get("payment", call.id)
        if row is None:
            raise MedusaError("not_found", f"Payment with id: {call.id} was not found")
        return {"payment": pick(self.payment_view(row), select(call.fields, PAYMENT_DEFAULTS), PAYMENT)}

    def capture(self, call: Call) -> Any:
        """POST /admin/payments/:id/capture; a payment that is captured in full stays as it is."""
        validate(call.body, {"amount": AMOUNT})
        row = self._store.get("payment", call.id)
        if row is None:
            raise missing("Payment", call.id)
        if row["canceled_at"]:
            raise MedusaError("invalid_data", f"The payment: {call.id} has been canceled.")
        if row["captured_at"]:
            return self.payment(call)
        amount = Decimal(str(call.body.get("amount") or row["amount"]))
        if amount > Decimal(row["amount"]) - captured(row):
            raise MedusaError(
                "invalid_data",
                "You cannot capture more than the authorized amount substracted by what is already captured.",
            )
        self._save(self._with_capture(row, amount))
        return self.payment(call)

    def refund(self, call: Call) -> Any:
        """POST /admin/payments/:id/refund: another refund each time; without an amount, all that is left."""
        validate(
            call.body, {"amount": AMOUNT, "refund_reason_id": Field("string", supported=False), "note": Field("string")}
        )
        row = self._store.get("payment", call.id)
        if row is None:
            raise missing("Payment", call.id)
        left = captured(row) - refunded(row)
        asked = call.body.get("amount")
        if asked and Decimal(str(asked)) > left:
            raise MedusaError("invalid_data", "You are not allowed to refund more than the captured amount")
        if not left:
            raise MedusaError("invalid_data", "You cannot refund more than what is captured on the payment.")
        self._save(self.with_refund(row, Decimal(str(asked)) if asked else left, call.body.get("note")))
        return self.payment(call)

    def cancel_of_order(self, collection: Row) -> None:
        """Undo what was paid: holds are released, captures refunded in full. Runs in the caller's transaction."""
        for payment in self.of_collection(collection):
            left = captured(payment) - refunded(payment)
            if left:
                changed = self.with_refund(payment, left, None)
            elif payment["captures"]:
                continue
            else:
                changed = {**payment, "canceled_at": now(), "updated_at": now()}
            self._store.put("payment", payment["id"], changed)
        self._store.put(
            "payment_collection", collection["id"], {**collection, "status": "canceled", "updated_at": now()}
        )

    @staticmethod
    def with_refund(payment: Row, amount: Decimal, note: str | None) -> Row:
        refund = {"id": new_id("ref"), "amount": text(amount), "note": note, "created_at": now()}
        return {**payment, "refunds": [*payment["refunds"], refund], "updated_at": now()}

    @staticmethod
    def _with_capture(payment: Row, amount: Decimal) -> Row:
        moment = now()
        capture = {"id": new_id("capt"), "amount": text(amount), "created_at": moment}
        changed = {**payment, "captures": [*payment["captures"], capture], "updated_at": moment}
        if captured(changed) >= Decimal(payment["amount"]):
            changed["captured_at"] = moment
        return changed

    def _save(self, payment: Row) -> None:
        collection = self._store.get("payment_collection", payment["payment_collection_id"])
        with self._store.transaction():
            self._store.put("payment", payment["id"], payment)
            if collection:
                self._settle(collection)

    def _settle(self, collection: Row) -> None:
        """Bring a collection's status in line with its payments."""
        paid = sum((captured(payment) for payment in self.of_collection(collection)), ZERO)
        changed = {**collection, "status": "authorized", "updated_at": now()}
        if paid >= Decimal(collection["amount"]):
            changed |= {"status": "completed", "completed_at": collection["completed_at"] or now()}
        self._store.put("payment_collection", collection["id"], changed)

    # Views

    def collection_view(self, row: Row) -> View:
        payments = self.of_collection(row)
        authorized = sum((Decimal(each["amount"]) for each in row["sessions"] if each["status"] == "authorized"), ZERO)
        return {
            **{
                key: row[key]
                for key in ("id", "currency_code", "completed_at", "status", "metadata", "created_at", "updated_at")
            },
            "deleted_at": None,
            **with_raw(
                {
                    "amount": Decimal(row["amount"]),
                    "authorized_amount": authorized,
                    "captured_amount": sum(map(captured, payments), ZERO),
                    "refunded_amount": sum(map(refunded, payments), ZERO),
                }
            ),
            "payments": [self.payment_view(payment) for payment in payments],
            "payment_sessions": [_session_view(session, row) for session in row["sessions"]],
        }

    def payment_view(self, row: Row) -> View:
        amount = Decimal(row["amount"])
        return {
            **{key: value for key, value in row.items() if key not in ("captures", "refunds", "amount")},
            "deleted_at": None,
            "amount": number(amount),
            "raw_amount": raw(amount),
            "payment_session": {"id": row["payment_session_id"]},
            "captures": [_part_view(each, row) for each in row["captures"]],
            "refunds": [
                {**_part_view(each, row), "note": each["note"], "refund_reason": None} for each in row["refunds"]
            ],
        }


def _part_view(part: Row, payment: Row) -> View:
    amount = Decimal(part["amount"])
    return {
        "id": part["id"],
        "amount": number(amount),
        "raw_amount": raw(amount),
        "payment_id": payment["id"],
        "metadata": None,
        "created_by": None,
        "created_at": part["created_at"],
        "updated_at": part["created_at"],
        "deleted_at": None,
    }


def _session_view(session: Row, collection: Row) -> View:
    amount = Decimal(session["amount"])
    return {
        **session,
        "amount": number(amount),
        "raw_amount": raw(amount),
        "payment_collection_id": collection["id"],
        "payment": None,
        "metadata": {},
        "deleted_at": None,
    }
