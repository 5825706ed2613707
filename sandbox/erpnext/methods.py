"""The functions under `/api/method/`: which there are, who may call them and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.erpnext import documents, reports
from sandbox.erpnext.errors import NotSupported, Refusal, invalid, notice
from sandbox.erpnext.filters import decode, doctype_named
from sandbox.erpnext.lists import count, get_list
from sandbox.erpnext.payments import payment_for
from sandbox.erpnext.unit import USER, Unit
from sandbox.store import Row

Args = Mapping[str, Any]
FRAPPE_VERSION = "15.74.1"
MAX_INSERTED = 200
BARE = frozenset("login logout web_logout upload_file download_file run_custom_method run_doc_method".split())


@dataclass(frozen=True)
class Method:
    """`writes`: POST and PUT only. `document`: the answer is a document, without its nulls."""

    call: Callable[[Unit, Args], Any]
    guest: bool = False
    writes: bool = False
    document: bool = False


def run(unit: Unit, path: str, verb: str, args: Args, *, guest: bool) -> tuple[Any, bool]:
    """The method's result and whether it is a document. Raises: Refusal, NotSupported."""
    method = METHODS.get(path)
    if method is None:
        raise _unknown(path)
    if guest and not method.guest:
        detail = f"Function <strong>{path}</strong> is not whitelisted."
        text = f"<details><summary>You are not permitted to access this resource.</summary>{detail}</details>"
        raise invalid(text, "PermissionError", "Method Not Allowed")
    if method.writes and verb not in ("POST", "PUT"):
        raise invalid("Not permitted", "PermissionError")
    return method.call(unit, args), method.document


def _unknown(path: str) -> Exception:
    app = path.partition(".")[0]
    if app in ("frappe", "erpnext") or path in BARE:
        return NotSupported(path)
    cause = f"App {app} is not installed" if "." in path else f"'{path}'"
    text = f"Failed to get method for command {path} with {cause}"
    notices = (notice(cause), notice(text)) if "." in path else (notice(text),)
    return Refusal("ValidationError", text, notices)


def _needed(args: Args, *names: str) -> list[Any]:
    missing = [name for name in names if args.get(name) in (None, "")]
    if missing:
        raise Refusal("TypeError", f"missing required argument: {', '.join(repr(name) for name in missing)}")
    return [args[name] for name in names]


def _list(unit: Unit, args: Args) -> Any:
    (doctype,) = _needed(args, "doctype")
    return get_list(unit, doctype, args)


def _count(unit: Unit, args: Args) -> Any:
    (doctype,) = _needed(args, "doctype")
    return count(unit, doctype, {"filters": args.get("filters")})


def _safely(value: Any) -> Any:
    """JSON where it is JSON, else the text itself: a name."""
    try:
        decoded = decode(value)
    except Refusal:
        return value
    return str(decoded) if isinstance(decoded, int | float) else decoded


def _value(unit: Unit, args: Args) -> Any:
    doctype, fieldname = _needed(args, "doctype", "fieldname")
    fields = _safely(fieldname)
    asked = {
        "fields": fields if isinstance(fields, list) else [fields],
        "filters": _filters(_safely(args.get("filters"))),
        "limit_page_length": 1,
        "parent": args.get("parent"),
    }
    found = get_list(unit, doctype, asked)
    return found[0] if found else {}


def _filters(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) and value else value


def _get(unit: Unit, args: Args) -> Any:
    (doctype,) = _needed(args, "doctype")
    if args.get("name"):
        return documents.read(unit, doctype, str(args["name"]))
    filters = _filters(_safely(args.get("filters")))
    found = get_list(unit, doctype, {"filters": filters, "limit_page_length": 1})
    if not found:
        raise Refusal("DoesNotExistError", notices=(notice("No document found for given filters"),), traceback=False)
    return documents.read(unit, doctype, found[0]["name"])


def _set_value(unit: Unit, args: Args) -> Any:
    doctype, name, fieldname = _needed(args, "doctype", "name", "fieldname")
    values = _safely(fieldname)
    if not isinstance(values, dict):
        values = {str(fieldname): args.get("value")}
    if "name" in values or doctype_named(doctype).child:
        raise NotSupported("set_value of a name or of a child's field")
    return documents.save(unit, doctype, str(name), values)


def _insert(unit: Unit, args: Args) -> Any:
    (doc,) = _needed(args, "doc")
    return _insert_one(unit, decode(doc))


def _insert_many(unit: Unit, args: Args) -> Any:
    (docs,) = _needed(args, "docs")
    docs = decode(docs)
    if len(docs) > MAX_INSERTED:
        raise invalid(f"Only {MAX_INSERTED} inserts allowed in one request")
    return [_insert_one(unit, doc)["name"] for doc in docs]


def _insert_one(unit: Unit, doc: Row) -> Row:
    (doctype,) = _needed(doc, "doctype")
    if doc.get("parenttype"):
        raise NotSupported("inserting a child alone")
    return documents.insert(unit, doctype, doc)


def _cancel(unit: Unit, args: Args) -> Any:
    doctype, name = _needed(args, "doctype", "name")
    return documents.save(unit, doctype, str(name), {"docstatus": documents.CANCELLED})


def _delete(unit: Unit, args: Args) -> Any:
    doctype, name = _needed(args, "doctype", "name")
    documents.delete(unit, doctype, str(name))


METHODS = {
    "ping": Method(lambda unit, args: "pong", guest=True),
    "frappe.ping": Method(lambda unit, args: "pong", guest=True),
    "version": Method(lambda unit, args: FRAPPE_VERSION, guest=True),
    "frappe.auth.get_logged_user": Method(lambda unit, args: USER),
    "frappe.client.get_list": Method(_list),
    "frappe.client.get_count": Method(_count),
    "frappe.client.get_value": Method(_value),
    "frappe.client.get": Method(_get, document=True),
    "frappe.client.set_value": Method(_set_value, writes=True, document=True),
    "frappe.client.insert": Method(_insert, writes=True, document=True),
    "frappe.client.insert_many": Method(_insert_many, writes=True),
    "frappe.client.cancel": Method(_cancel, writes=True, document=True),
    "frappe.client.delete": Method(_delete, writes=True),
    "frappe.desk.query_report.run": Method(reports.run),
    "erpnext.accounts.doctype.payment_entry.payment_entry.get_payment_entry": Method(
        lambda unit, args: payment_for(unit, args), document=True
    ),
}
