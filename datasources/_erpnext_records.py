"""What ERPNext's answers and requests hold: the records that the gateway speaks in, and Frappe's envelopes."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
from msgspec.structs import replace

T = TypeVar("T")

CANCELLED = 2
"""The last `docstatus`, after 0 (draft) and 1 (submitted)."""
_STATUS_OF_DOCSTATUS = ("Draft", "Submitted", "Cancelled")
REISSUE = "#"
"""Between an order's id and a number: what a second invoice for an order carries, because the field is unique and the
first one, though cancelled, keeps its value."""
OURS = "gateway-"
"""What the reference of an invoice without order begins with, where it has one."""

_BREAKS = re.compile(r"<(?:br|/p|/div|/li|/tr)\b[^>]*>", re.IGNORECASE)
_TAGS = re.compile(r"<[^>]*>")


# -- what the gateway reads ----------------------------------------------------------------------------------------


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what is read. The wire's names are also the columns that lists are asked for."""


class InvoiceKey(NamedTuple):
    """An invoice, and the currency that its lines are in without saying so."""

    id: str
    currency: str


class InvoiceRecord(_Record, frozen=True, kw_only=True):
    """A sales invoice. Amounts are in `currency`; `customer_id` is ERPNext's customer, which it calls by name.

    `order_reference` stands under a name that the site's settings choose.
    """

    id: str = msgspec.field(name="name")
    docstatus: int
    customer_id: str = msgspec.field(name="customer")
    customer_name: str | None = None
    company: str
    currency: str
    posting_date: date
    due_date: date | None = None
    net_total: Decimal
    tax_total: Decimal = msgspec.field(name="total_taxes_and_charges", default=Decimal(0))
    """Taxes and charges, shipping among them."""
    grand_total: Decimal
    owed: Decimal = msgspec.field(name="outstanding_amount", default=Decimal(0))
    """In `owed_currency`."""
    owed_currency: str | None = msgspec.field(name="party_account_currency", default=None)
    conversion_rate: Decimal = Decimal(1)
    """How many units of the company's currency one of `currency` is."""
    status_text: str | None = msgspec.field(name="status", default=None)
    order_reference: str | None = None
    updated_at: datetime = msgspec.field(name="modified")

    @property
    def number(self) -> str:
        return self.id

    @property
    def status(self) -> str:
        """ERPNext's own word, such as `Unpaid` or `Overdue`."""
        return self.status_text or _STATUS_OF_DOCSTATUS[self.docstatus]

    @property
    def is_cancelled(self) -> bool:
        return self.docstatus == CANCELLED

    @property
    def order_id(self) -> str | None:
        """The commerce order that it is for."""
        reference = (self.order_reference or "").partition(REISSUE)[0]
        return None if not reference or reference.startswith(OURS) else reference

    @property
    def outstanding_amount(self) -> Decimal:
        """What is still to be paid. The ledger keeps it in the receivable account's currency, which may differ."""
        if self.owed_currency in (None, "", self.currency) or not self.conversion_rate:
            return self.owed
        return (self.owed / self.conversion_rate).quantize(Decimal("0.01"))

    @property
    def buyer(self) -> tuple[str, str]:
        """The customer and the company, which only together say whose the invoice is."""
        return self.customer_id, self.company

    @property
    def key(self) -> InvoiceKey:
        return InvoiceKey(self.id, self.currency)


class InvoiceItemRecord(_Record, frozen=True, kw_only=True):
    """A line of an invoice, priced in the invoice's currency, which the wire leaves to the invoice."""

    invoice_id: str = msgspec.field(name="parent")
    sku: str | None = msgspec.field(name="item_code", default=None)
    item_name: str | None = None
    description_html: str | None = msgspec.field(name="description", default=None)
    quantity: Decimal = msgspec.field(name="qty")
    rate: Decimal
    amount: Decimal
    currency: str = ""

    @property
    def description(self) -> str | None:
        """Plain text: the line's own, else the item's name."""
        return plain_text(self.description_html or "") or self.item_name or None

    @property
    def key(self) -> InvoiceKey:
        return InvoiceKey(self.invoice_id, self.currency)


class StockLevelRecord(_Record, frozen=True, kw_only=True):
    """One item in one warehouse, in the item's stock unit."""

    sku: str = msgspec.field(name="item_code")
    warehouse: str
    actual_quantity: Decimal = msgspec.field(name="actual_qty")
    reserved_quantity: Decimal = msgspec.field(name="reserved_qty")

    @property
    def available_quantity(self) -> Decimal:
        """What is not promised to somebody; negative where more is promised than there is."""
        return self.actual_quantity - self.reserved_quantity


class ErpCustomerRecord(_Record, frozen=True, kw_only=True):
    id: str = msgspec.field(name="name")
    customer_name: str | None = None
    group: str | None = msgspec.field(name="customer_group", default=None)
    territory: str | None = None

    @property
    def name(self) -> str:
        return self.customer_name or self.id


class EmployeeRecord(_Record, frozen=True, kw_only=True):
    """Somebody who works for a company; no more of them than colleagues may know."""

    id: str = msgspec.field(name="name")
    employee_name: str | None = None
    company: str | None = None
    department: str | None = None
    designation: str | None = None
    status: str | None = None
    login: str | None = msgspec.field(name="user_id", default=None)
    """The address that they sign in to ERPNext with."""
    company_email: str | None = None

    @property
    def name(self) -> str:
        return self.employee_name or self.id

    @property
    def person(self) -> tuple[str, str] | None:
        """Their address, in small letters, and the company, which together say which user they are; None: there is no
        telling."""
        email = (self.login or self.company_email or "").strip().casefold()
        return (email, self.company) if email and self.company else None


class PurchaseOrderRecord(_Record, frozen=True, kw_only=True):
    """An order to a supplier, with its lines."""

    id: str = msgspec.field(name="name")
    docstatus: int
    supplier: str
    currency: str
    grand_total: Decimal
    status_text: str | None = msgspec.field(name="status", default=None)
    lines: list[InvoiceItemRecord] = msgspec.field(name="items", default_factory=list)

    @property
    def status(self) -> str:
        """ERPNext's own word, such as `To Receive and Bill`."""
        return self.status_text or _STATUS_OF_DOCSTATUS[self.docstatus]

    @property
    def items(self) -> list[InvoiceItemRecord]:
        """In the order's currency, which the wire leaves to the order."""
        return [replace(line, currency=self.currency) for line in self.lines]


class PaymentEntryRecord(_Record, frozen=True, kw_only=True):
    """Money booked. `reference` is whatever its payer or collector calls it."""

    id: str = msgspec.field(name="name")
    docstatus: int
    reference: str | None = msgspec.field(name="reference_no", default=None)

    @property
    def is_cancelled(self) -> bool:
        return self.docstatus == CANCELLED


class AccountRecord(_Record, frozen=True, kw_only=True):
    id: str = msgspec.field(name="name")
    name: str | None = msgspec.field(name="account_name", default=None)


def invoice_record(order_field: str) -> type[InvoiceRecord]:
    """The record as a site writes it that keeps the order's id in `order_field`."""
    reference = ("order_reference", str | None, msgspec.field(name=order_field, default=None))
    return msgspec.defstruct(  # type: ignore[return-value]
        "InvoiceRecord", [reference], bases=(InvoiceRecord,), frozen=True, kw_only=True
    )


def columns_of(record: type[msgspec.Struct]) -> list[str]:
    """What to ask a list for: the wire's names of a record's fields."""
    return list(record.__struct_encode_fields__)


# -- which rows it reads -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InvoiceSelection:
    """Which invoices; None: no condition, an empty tuple: none at all."""

    companies: tuple[str, ...] | None = None
    customer_ids: tuple[str, ...] | None = None
    order_ids: tuple[str, ...] | None = None
    status: str | None = None
    overdue: bool | None = None
    """Submitted, not all paid, and due before today at the site; False: the others."""

    @property
    def is_empty(self) -> bool:
        return () in (self.companies, self.customer_ids, self.order_ids)


# -- what the gateway writes ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewInvoiceItem:
    """`rate` is the price of one, in the invoice's currency."""

    sku: str
    quantity: Decimal
    rate: Decimal


@dataclass(frozen=True, slots=True)
class NewInvoice:
    """`currency` None: the customer's or company's own. `due_date` None: at once. `shipping` is charged on top.
    `idempotency_key` counts without an order only, which is a key itself."""

    customer_id: str
    company: str
    items: Sequence[NewInvoiceItem]
    order_id: str | None = None
    currency: str | None = None
    due_date: date | None = None
    shipping: Decimal = Decimal(0)
    idempotency_key: str | None = None

    @property
    def reference(self) -> str | None:
        """What it can be found by; None: nothing."""
        if self.order_id is not None:
            return self.order_id
        return None if self.idempotency_key is None else OURS + self.idempotency_key


@dataclass(frozen=True, slots=True)
class NewPurchaseOrder:
    """What is to come by `schedule_date`, into `warehouse` (None: the company's usual one). `idempotency_key` None: it
    cannot be found again."""

    supplier: str
    company: str
    schedule_date: date
    items: Sequence[NewInvoiceItem]
    warehouse: str | None = None
    idempotency_key: str | None = None

    @property
    def reference(self) -> str | None:
        """What it can be found by; None: nothing."""
        return None if self.idempotency_key is None else OURS + self.idempotency_key


# -- envelopes -----------------------------------------------------------------------------------------------------


class Message(msgspec.Struct, Generic[T], frozen=True):
    """What a method answers."""

    message: T


class Document(msgspec.Struct, Generic[T], frozen=True):
    """What `/api/resource` answers."""

    data: T


class Named(msgspec.Struct, frozen=True):
    name: str


class ReferredCustomer(msgspec.Struct, frozen=True):
    name: str
    reference: str = msgspec.field(name="custom_commerce_customer_id")


class DocumentState(msgspec.Struct, frozen=True):
    docstatus: int


class ErrorBody(msgspec.Struct, frozen=True):
    """Only `exc_type` is always there. The rest of the body holds tracebacks, which are for nobody."""

    exc_type: str | None = None
    server_messages: str | None = msgspec.field(name="_server_messages", default=None)

    @property
    def notices(self) -> list[str]:
        """What Frappe wrote for its user, as plain text: those that stopped the request, if it tells them apart."""
        try:
            written = msgspec.json.decode(self.server_messages or "[]", type=list[str])
            notices = [msgspec.json.decode(text, type=dict[str, Any]) for text in written]
        except msgspec.DecodeError:
            return []
        fatal = [notice for notice in notices if notice.get("raise_exception")]
        texts = [plain_text(str(notice.get("message") or "")) for notice in fatal or notices]
        return [text for text in dict.fromkeys(texts) if text]


def plain_text(text: str) -> str:
    """HTML without tags, on one line.

    >>> plain_text("Item <strong>A&amp;B</strong><br>already  exists")
    'Item A&B already exists'
    """
    return " ".join(html.unescape(_TAGS.sub("", _BREAKS.sub(" ", text))).split())
