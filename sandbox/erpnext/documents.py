"""The life of a document, the same for every DocType: insert, save, submit, cancel, delete, with Frappe's checks.

What is special about one DocType is in its `Rules`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from sandbox.erpnext.catalogue import DOCTYPES
from sandbox.erpnext.doctypes import DocType, Field
from sandbox.erpnext.errors import NotSupported, Refusal, forbidden, invalid, not_found, notice
from sandbox.erpnext.filters import doctype_named
from sandbox.erpnext.invoices import SalesInvoiceRules
from sandbox.erpnext.payments import PaymentEntryRules
from sandbox.erpnext.rules import CustomerRules, EmployeeRules, ItemRules, Rules, WarehouseRules
from sandbox.erpnext.trading import PurchaseOrderRules, SalesOrderRules
from sandbox.erpnext.unit import USER, Unit
from sandbox.store import Row

DRAFT, SUBMITTED, CANCELLED = 0, 1, 2
STATES = ("0 (Draft)", "1 (Submitted)", "2 (Cancelled)")
CANCEL_FIRST = "https://docs.erpnext.com//docs/user/manual/en/setting-up/articles/delete-submitted-document"

_OWN: dict[str, Rules] = {
    "Customer": CustomerRules(),
    "Employee": EmployeeRules(),
    "Item": ItemRules(),
    "Payment Entry": PaymentEntryRules(),
    "Purchase Order": PurchaseOrderRules(),
    "Sales Invoice": SalesInvoiceRules(),
    "Sales Order": SalesOrderRules(),
    "Warehouse": WarehouseRules(),
}
RULES: dict[str, Rules] = {name: _OWN.get(name, Rules()) for name in DOCTYPES}


def read(unit: Unit, doctype_name: str, name: str) -> Row:
    """Raises: Refusal (404)."""
    row = unit.get(doctype_named(doctype_name).name, name)
    if row is None:
        raise not_found(doctype_name, name)
    return row


def insert(unit: Unit, doctype_name: str, data: Row, *, name: str | None = None) -> Row:
    """A new document, submitted at once where `docstatus` is 1. `name` overrides how the DocType names."""
    doctype = _writable(doctype_name)
    rules = RULES[doctype.name]
    target = _whole(data.get("docstatus"))
    if target not in (DRAFT, SUBMITTED):
        raise Refusal("DocstatusTransitionError", _transition(DRAFT, target))
    doc: Row = {"name": None, "owner": USER, "creation": unit.stamp, "docstatus": DRAFT, "idx": 0}
    doc |= {"doctype": doctype.name} | {column.name: copy.copy(column.default) for column in doctype.columns}
    _assign(doctype, doc, data)
    rules.require(doc)
    rules.fill(unit, doc)
    _check_links(unit, doctype, doc)
    doc["name"] = name or _name(unit, doctype, doc)
    _check_mandatory(unit, doctype, doc)
    _settle(unit, doctype, doc)
    if unit.get(doctype.name, doc["name"]) is not None:
        raise _duplicate(doctype, doc["name"])
    _check_unique(unit, doctype, doc)
    unit.put(doctype.name, doc)
    if target == SUBMITTED:
        _move(unit, doctype, doc, SUBMITTED)
    return doc


def save(unit: Unit, doctype_name: str, name: str, data: Row) -> Row:
    """A partial update, by which a document may also be submitted or cancelled."""
    doctype = _writable(doctype_name)
    old = read(unit, doctype_name, name)
    if data.get("modified") not in (None, old["modified"]):
        text = "Error: Document has been modified after you have opened it"
        text += f" ({old['modified']}, {unit.stamp}). Please refresh to get the latest document."
        raise invalid(text, "TimestampMismatchError")
    before, after = old["docstatus"], _whole(data.get("docstatus", old["docstatus"]))
    if before == CANCELLED:
        raise Refusal("ValidationError", "Cannot edit cancelled document")
    if after - before not in (0, 1):
        raise Refusal("DocstatusTransitionError", _transition(before, after))
    if after == CANCELLED:
        return _cancel(unit, doctype, name)
    doc = copy.deepcopy(old)
    _assign(doctype, doc, data)
    if before == DRAFT:
        RULES[doctype.name].fill(unit, doc)
        _check_links(unit, doctype, doc)
        _check_mandatory(unit, doctype, doc)
        _settle(unit, doctype, doc)
    else:
        _check_after_submit(doctype, old, doc)
    _check_unique(unit, doctype, doc)
    _touch(unit, doctype, doc)
    unit.put(doctype.name, doc)
    if after > before:
        _move(unit, doctype, doc, SUBMITTED)
    return doc


def delete(unit: Unit, doctype_name: str, name: str) -> None:
    """Drafts and cancelled documents only, and only when nothing refers to them."""
    doctype = _writable(doctype_name)
    doc = unit.get(doctype.name, name)
    if doc is None:
        raise Refusal("DoesNotExistError", traceback=False)
    if doc["docstatus"] == SUBMITTED:
        link = f"<a href='{CANCEL_FIRST}' target='_blank'> Cancel </a>"
        raise invalid(f"{doctype.name} {name}: Submitted Record cannot be deleted. You must {link} it first.")
    _check_unlinked(unit, doctype.name, name, (DRAFT, SUBMITTED))
    RULES[doctype.name].on_trash(unit, doc)
    unit.delete(doctype.name, name)


def _cancel(unit: Unit, doctype: DocType, name: str) -> Row:
    _check_unlinked(unit, doctype.name, name, (SUBMITTED,))
    doc = unit.edit(doctype.name, name)
    _move(unit, doctype, doc, CANCELLED)
    return doc


def _move(unit: Unit, doctype: DocType, doc: Row, docstatus: int) -> None:
    if not doctype.submittable:
        raise Refusal("DocstatusTransitionError", f"{doctype.name} cannot be submitted")
    rules = RULES[doctype.name]
    if docstatus == SUBMITTED:
        rules.before_submit(unit, doc)
    doc["docstatus"] = docstatus
    _touch(unit, doctype, doc)
    (rules.on_submit if docstatus == SUBMITTED else rules.on_cancel)(unit, doc)


def _writable(name: str) -> DocType:
    doctype = doctype_named(name)
    if doctype.writes == "forbidden":
        raise forbidden(USER, name)
    if doctype.writes == "unsupported" or doctype.child:
        raise NotSupported(f"writing {name}")
    return doctype


def _assign(doctype: DocType, doc: Row, data: Row) -> None:
    """Known fields, coerced; unknown ones are dropped without a word. A list of children replaces the old one."""
    for column in doctype.columns:
        if column.name not in data:
            continue
        value = data[column.name]
        if column.kind != "Table":
            doc[column.name] = column.coerce(value)
        elif value and column.options not in DOCTYPES:
            raise NotSupported(f"rows of {column.options}")
        else:
            doc[column.name] = [_child(DOCTYPES[column.options], row, doc[column.name]) for row in value or ()]


def _child(doctype: DocType, data: Row, existing: list[Row]) -> Row:
    known = {row["name"] for row in existing}
    row: Row = {"name": data.get("name") if data.get("name") in known else None, "__unsaved": 1}
    row |= {column.name: copy.copy(column.default) for column in doctype.columns}
    _assign(doctype, row, data)
    return row


def _settle(unit: Unit, doctype: DocType, doc: Row) -> None:
    """Let the rules compute, then stamp the document and its children."""
    RULES[doctype.name].settle(unit, doc)
    _touch(unit, doctype, doc)


def _touch(unit: Unit, doctype: DocType, doc: Row) -> None:
    doc |= {"modified": unit.stamp, "modified_by": USER}
    for table, child in doctype.tables.items():
        for idx, row in enumerate(doc[table], 1):
            row |= {"modified": unit.stamp, "modified_by": USER, "docstatus": doc["docstatus"], "idx": idx}
            row.setdefault("owner", USER)
            row.setdefault("creation", unit.stamp)
            row["name"] = row.get("name") or unit.row_name()
            row |= {"parent": doc["name"], "parentfield": table, "parenttype": doctype.name, "doctype": child}


def _name(unit: Unit, doctype: DocType, doc: Row) -> str:
    how, _, rest = doctype.naming.partition(":")
    if how == "field":
        return str(doc[rest] or "")
    if how == "hash":
        return unit.row_name()
    if how == "rule":
        return RULES[doctype.name].name(unit, doc)
    if doc.get("amended_from"):
        earlier = sum(row.get("amended_from") == doc["amended_from"] for row in unit.rows(doctype.name))
        return f"{doc['amended_from']}-{earlier + 1}"
    prefix = RULES[doctype.name].series(doc, rest).replace(".YYYY.", f"{unit.now:%Y}")
    return f"{prefix}{unit.count(f'series {prefix}'):05d}"


def _check_links(unit: Unit, doctype: DocType, doc: Row) -> None:
    missing, cancelled = [], []
    for at, column, value in _link_values(doctype, doc):
        target = column.options if column.kind == "Link" else str(value[0])
        name = value if column.kind == "Link" else value[1]
        if target not in DOCTYPES:
            missing.append(f"{at}{column.label}: {name}")
            continue
        found = unit.get(target, name)
        if found is None and target == "Item" and at:
            raise not_found("Item", name)
        if found is None:
            missing.append(f"{at}{column.label}: {name}")
        elif found.get("docstatus") == CANCELLED and column.name != "amended_from":
            cancelled.append(f"{at}{column.label}: {name}")
    if missing:
        raise invalid(f"Could not find {', '.join(missing)}", "LinkValidationError")
    if cancelled:
        raise invalid(f"Cannot link cancelled document: {', '.join(cancelled)}", "CancelledLinkError")


def _link_values(doctype: DocType, doc: Row, at: str = "") -> Iterator[tuple[str, Field, Any]]:
    """(where, field, name) of what a document refers to; for Dynamic Links the name is (DocType, name)."""
    for column in doctype.columns:
        value = doc.get(column.name)
        if not value:
            continue
        if column.kind == "Link":
            yield at, column, value
        elif column.kind == "Dynamic Link":
            yield at, column, (doc.get(column.options) or "", value)
        elif column.kind == "Table":
            for number, row in enumerate(value, 1):
                yield from _link_values(DOCTYPES[column.options], row, f"Row #{number}: ")


def _check_mandatory(unit: Unit, doctype: DocType, doc: Row) -> None:
    missing = []
    for column in doctype.columns:
        if column.mandatory and doc[column.name] in (None, "", []):
            what = "Data missing in table:" if column.kind == "Table" else f"Value missing for {doctype.name}:"
            missing.append((f"Error: {what} {column.label}", column.name))
    for table, child in doctype.tables.items():
        for number, row in enumerate(doc[table], 1):
            missing += [
                (f"Error: Value missing for {doctype.name}: Row #{number}: {column.label}", column.name)
                for column in DOCTYPES[child].columns
                if column.mandatory and row.get(column.name) in (None, "")
            ]
    if missing:
        names = ", ".join(name for _, name in missing)
        notices = tuple(notice(text) for text, _ in missing)
        raise Refusal("MandatoryError", f"[{doctype.name}, {doc['name']}]: {names}", notices)


def _check_unique(unit: Unit, doctype: DocType, doc: Row) -> None:
    for column in doctype.columns:
        value = doc[column.name] if column.unique else None
        if not value:
            continue
        if any(_same(row.get(column.name), value) and row["name"] != doc["name"] for row in unit.rows(doctype.name)):
            cause = f"IntegrityError(1062, \"Duplicate entry '{value}' for key '{column.name}'\")"
            told = ({"message": f"{column.label} must be unique", "title": "Message"},)
            raise Refusal("UniqueValidationError", f"('{doctype.name}', '{doc['name']}', {cause})", told)


def _same(one: Any, other: str) -> bool:
    return isinstance(one, str) and one.casefold() == other.casefold()


def _duplicate(doctype: DocType, name: str) -> Refusal:
    cause = f"IntegrityError(1062, \"Duplicate entry '{name}' for key 'PRIMARY'\")"
    told = f"{doctype.name} <strong>{name}</strong> already exists"
    notices = ({"message": told, "title": "Duplicate Name", "indicator": "red"},)
    return Refusal("DuplicateEntryError", f"('{doctype.name}', '{name}', {cause})", notices)


def _check_after_submit(doctype: DocType, old: Row, new: Row, at: str = "") -> None:
    for column in doctype.columns:
        was, now = old.get(column.name), new.get(column.name)
        if column.allow_on_submit or was == now:
            continue
        if column.kind == "Table":
            if len(was or ()) != len(now or ()):
                raise _changed_after_submit(at, column.label, f"{len(was or ())} rows", f"{len(now or ())} rows")
            for number, (one, other) in enumerate(zip(was or (), now or (), strict=True), 1):
                sent = {name: other[name] for name in other if other[name] != _default(column.options, name)}
                _check_after_submit(DOCTYPES[column.options], one, {**one, **sent}, f"Row #{number}:")
            new[column.name] = was
            continue
        raise _changed_after_submit(at, column.label, was, now)


def _default(doctype: str, name: str) -> Any:
    known = DOCTYPES[doctype].by_name.get(name)
    return known.default if known else None


def _changed_after_submit(at: str, label: str, was: Any, now: Any) -> Refusal:
    text = f"{at} Not allowed to change <strong>{label}</strong> after submission"
    text += f" from <strong>{was}</strong> to <strong>{now}</strong>"
    return invalid(text, "UpdateAfterSubmitError", "Cannot Update After Submit")


def _check_unlinked(unit: Unit, doctype: str, name: str, states: tuple[int, ...]) -> None:
    """Raises: Refusal (417 LinkExistsError) when a document in one of these states refers to this one."""
    for owner in DOCTYPES.values():
        if owner.child or owner.writes == "forbidden" or not _may_refer(owner, doctype):
            continue
        for row in unit.rows(owner.name):
            if row["docstatus"] not in states or (owner.name == doctype and row["name"] == name):
                continue
            for _, column, value in _link_values(owner, row):
                if value == ((doctype, name) if column.kind == "Dynamic Link" else name) and (
                    column.kind == "Dynamic Link" or column.options == doctype
                ):
                    one, other = _anchor(doctype, name), _anchor(owner.name, row["name"])
                    text = f"Cannot delete or cancel because {doctype} {one} is linked with {owner.name} {other}"
                    raise invalid(text, "LinkExistsError")


def _may_refer(owner: DocType, doctype: str) -> bool:
    columns = [
        *owner.columns,
        *(c for child in owner.tables.values() if child in DOCTYPES for c in DOCTYPES[child].columns),
    ]
    return any(c.kind == "Dynamic Link" or (c.kind == "Link" and c.options == doctype) for c in columns)


def _anchor(doctype: str, name: str) -> str:
    return f'<a href="/app/{doctype.lower().replace(" ", "-")}/{name}">{name}</a>'


def _transition(before: int, after: int) -> str:
    names = [STATES[state] if 0 <= state < len(STATES) else str(state) for state in (before, after)]
    return f"Cannot change docstatus from {names[0]} to {names[1]}"


def _whole(value: Any) -> int:
    try:
        return int(value or 0)
    except (TypeError, ValueError):
        return -1
