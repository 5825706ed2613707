"""What a DocType does beyond the common life of documents; here the base and the master data."""

from __future__ import annotations

from sandbox.erpnext.errors import invalid
from sandbox.erpnext.unit import Unit
from sandbox.store import Row


class Rules:
    """Hooks in the order they run; every one may refuse."""

    def require(self, doc: Row) -> None:
        """What is asked before anything else."""

    def fill(self, unit: Unit, doc: Row) -> None:
        """Defaults, before links are checked: what is referred to may not exist."""

    def name(self, unit: Unit, doc: Row) -> str:
        """Its identity. Kinds that nobody creates through the API have none to give."""
        raise TypeError(f"{doc.get('doctype')} is never created here")

    def series(self, doc: Row, usual: str) -> str:
        """The naming series, `.YYYY.` for the year."""
        return usual

    def settle(self, unit: Unit, doc: Row) -> None:
        """Validate and compute; links and mandatory fields are in order."""

    def before_submit(self, unit: Unit, doc: Row) -> None: ...

    def on_submit(self, unit: Unit, doc: Row) -> None: ...

    def on_cancel(self, unit: Unit, doc: Row) -> None: ...

    def on_trash(self, unit: Unit, doc: Row) -> None: ...


def default_company(unit: Unit) -> Row | None:
    """The site's Global Default."""
    return next(iter(unit.rows("Company")), None)


def check_company(unit: Unit, doctype: str, name: str | None, company: str) -> None:
    """Raises: Refusal (417) when a warehouse or account belongs to another company."""
    row = unit.get(doctype, name) if name else None
    if row is not None and row.get("company") != company:
        exc_type = "InvalidWarehouseCompany" if doctype == "Warehouse" else "InvalidAccountCurrency"
        raise invalid(f"{doctype} {name} does not belong to company {company}", exc_type)


class ItemRules(Rules):
    def require(self, doc: Row) -> None:
        if not doc["item_code"]:
            raise invalid("Item Code is required")

    def fill(self, unit: Unit, doc: Row) -> None:
        doc["item_name"] = doc["item_name"] or doc["item_code"]
        doc["description"] = doc["description"] or doc["item_name"]
        doc["end_of_life"] = doc["end_of_life"] or "2099-12-31"
        if not doc["uoms"] and doc["stock_uom"]:
            doc["uoms"] = [{"uom": doc["stock_uom"], "conversion_factor": 1.0}]
        company = default_company(unit)
        if not doc["item_defaults"] and company is not None:
            stores = f"Stores - {company['abbr']}"
            doc["item_defaults"] = [{"company": company["name"], "default_warehouse": stores}]

    def on_trash(self, unit: Unit, doc: Row) -> None:
        bins = [row for row in unit.rows("Bin") if row["item_code"] == doc["name"]]
        if any(row["actual_qty"] for row in bins):
            text = f"Cannot delete or cancel because Item {doc['name']} is linked with Stock Ledger Entry"
            raise invalid(text, "LinkExistsError")
        for row in bins:
            unit.delete("Bin", row["name"])


class CustomerRules(Rules):
    def name(self, unit: Unit, doc: Row) -> str:
        name = str(doc["customer_name"] or "")
        names = {row["name"] for row in unit.rows("Customer")}
        suffix = 1
        while (given := f"{name} - {suffix}" if name in names else name) in names:
            suffix += 1
        return given


class EmployeeRules(Rules):
    def settle(self, unit: Unit, doc: Row) -> None:
        doc["employee"] = doc["name"]
        parts = (doc["first_name"], doc["middle_name"], doc["last_name"])
        doc["employee_name"] = " ".join(part for part in parts if part)


class WarehouseRules(Rules):
    def name(self, unit: Unit, doc: Row) -> str:
        company = unit.get("Company", doc["company"] or "")
        return f"{doc['warehouse_name']} - {company['abbr']}" if company else str(doc["warehouse_name"])
