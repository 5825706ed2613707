"""What orders and invoices have in common, the two kinds of order, and the stock that they move.

Stock is quantities per item and warehouse: the Bin, which only other documents change.
"""

from __future__ import annotations

from sandbox.erpnext.errors import invalid
from sandbox.erpnext.rules import Rules, check_company, default_company
from sandbox.erpnext.totals import compute, exchange_rate, to_pay
from sandbox.erpnext.unit import USER, Unit
from sandbox.store import Row

QUANTITIES = ("actual_qty", "reserved_qty", "ordered_qty", "indented_qty", "planned_qty", "projected_qty")
OTHERS = ("reserved_qty_for_production", "reserved_qty_for_sub_contract", "reserved_qty_for_production_plan",
          "reserved_stock", "valuation_rate", "stock_value")  # fmt: skip


def move(unit: Unit, item_code: str, warehouse: str, field: str, quantity: float) -> None:
    """Add to one quantity of a Bin, made when missing. Raises: Refusal (417) when stock would become negative."""
    item = unit.get("Item", item_code)
    if item is None or not item["is_stock_item"]:
        return
    found = next(
        (row for row in unit.rows("Bin") if row["item_code"] == item_code and row["warehouse"] == warehouse), None
    )
    if field == "actual_qty" and (found["actual_qty"] if found else 0) + quantity < 0:
        text = f"{-quantity} units of Item {item_code} needed in Warehouse {warehouse} to complete this transaction."
        raise invalid(text, "NegativeStockError", "Insufficient Stock")
    row = unit.edit("Bin", found["name"]) if found else unit.put("Bin", new_bin(unit, item, warehouse))
    row[field] += quantity
    row["projected_qty"] = row["actual_qty"] + row["ordered_qty"] - row["reserved_qty"]
    row["modified"] = unit.stamp


def new_bin(unit: Unit, item: Row, warehouse: str) -> Row:
    """An empty one."""
    place = unit.get("Warehouse", warehouse) or {}
    standard = {"owner": USER, "creation": unit.stamp, "modified": unit.stamp, "modified_by": USER}
    return {
        "name": unit.row_name(), **standard, "docstatus": 0, "idx": 0, "doctype": "Bin", "item_code": item["name"],
        "warehouse": warehouse, "stock_uom": item["stock_uom"], "company": place.get("company"),
        **dict.fromkeys((*QUANTITIES, *OTHERS), 0.0),
    }  # fmt: skip


PRICE_LIST_CURRENCY = "EUR"


class TradeRules(Rules):
    """`date_field`: the document's own date."""

    date_field = "transaction_date"

    def fill(self, unit: Unit, doc: Row) -> None:
        company = unit.get("Company", doc["company"]) if doc["company"] else default_company(unit)
        doc["company"] = doc["company"] or (company and company["name"])
        doc[self.date_field] = doc[self.date_field] or unit.today
        doc["currency"] = doc["currency"] or (company and company["default_currency"])
        doc["price_list_currency"] = PRICE_LIST_CURRENCY
        if company is None or unit.get("Currency", doc["currency"]) is None:
            return
        home = company["default_currency"]
        doc["conversion_rate"] = (
            1.0 if doc["currency"] == home else doc["conversion_rate"] or exchange_rate(unit, doc["currency"], home)
        )
        doc["plc_conversion_rate"] = exchange_rate(unit, PRICE_LIST_CURRENCY, home)
        for line in doc["items"]:
            self.fill_line(unit, doc, line, company)

    def fill_line(self, unit: Unit, doc: Row, line: Row, company: Row) -> None:
        item = unit.get("Item", line["item_code"] or "")
        if item is None:
            return
        for name in ("item_name", "description", "item_group", "stock_uom"):
            line[name] = line[name] or item[name]
        line["uom"] = line["uom"] or line["stock_uom"]
        line["cost_center"] = line["cost_center"] or company["cost_center"]
        if item["is_stock_item"]:
            usual = doc.get("set_warehouse") or f"Stores - {company['abbr']}"
            line["warehouse"] = line["warehouse"] or usual
        if not line["price_list_rate"] and item["standard_rate"]:
            line["price_list_rate"] = item["standard_rate"] * exchange_rate(unit, PRICE_LIST_CURRENCY, doc["currency"])

    def settle(self, unit: Unit, doc: Row) -> None:
        for line in doc["items"]:
            check_company(unit, "Warehouse", line["warehouse"], doc["company"])
        for tax in doc["taxes"]:
            check_company(unit, "Account", tax["account_head"], doc["company"])
        compute(unit, doc)
        self.schedule(doc, doc[self.date_field])

    def schedule(self, doc: Row, due_date: str) -> None:
        """One payment of everything."""
        kept = doc["payment_schedule"][0] if doc["payment_schedule"] else {}
        amount, base = to_pay(doc, doc["currency"]), doc["base_rounded_total"] or doc["base_grand_total"]
        zeros = dict.fromkeys(("discount", "paid_amount", "discounted_amount", "base_paid_amount"), 0.0)
        due = {"due_date": due_date, "invoice_portion": 100.0, "payment_amount": amount, "outstanding": amount}
        doc["payment_schedule"] = [{**kept, **zeros, **due, "base_payment_amount": base, "base_outstanding": base}]

    def move_stock(self, unit: Unit, doc: Row, field: str, sign: int) -> None:
        for line in doc["items"]:
            if line["warehouse"]:
                move(unit, line["item_code"], line["warehouse"], field, sign * line["stock_qty"])


class SellingRules(TradeRules):
    """A customer pays."""

    def fill(self, unit: Unit, doc: Row) -> None:
        super().fill(unit, doc)
        customer = unit.get("Customer", doc["customer"] or "")
        if customer is not None:
            doc["customer_name"] = customer["customer_name"]
            doc["customer_group"] = doc["customer_group"] or customer["customer_group"]
            doc["territory"] = doc["territory"] or customer["territory"]

    def settle(self, unit: Unit, doc: Row) -> None:
        super().settle(unit, doc)
        doc["amount_eligible_for_commission"] = doc["base_net_total"]


class SalesOrderRules(SellingRules):
    def fill(self, unit: Unit, doc: Row) -> None:
        super().fill(unit, doc)
        doc["title"] = doc["title"] or "{customer_name}"
        for line in doc["items"]:
            item = unit.get("Item", line["item_code"] or "") or {}
            line["is_stock_item"] = item.get("is_stock_item", 0)
            line["transaction_date"] = doc["transaction_date"]
            line["delivery_date"] = line["delivery_date"] or doc["delivery_date"]

    def settle(self, unit: Unit, doc: Row) -> None:
        if not all(line["delivery_date"] for line in doc["items"]):
            raise invalid("Please enter Delivery Date")
        super().settle(unit, doc)
        for line in doc["items"]:
            line["gross_profit"] = line["base_net_amount"] - line["valuation_rate"] * line["stock_qty"]

    def on_submit(self, unit: Unit, doc: Row) -> None:
        doc["status"] = "To Deliver and Bill"
        self.move_stock(unit, doc, "reserved_qty", 1)

    def on_cancel(self, unit: Unit, doc: Row) -> None:
        doc["status"] = "Cancelled"
        self.move_stock(unit, doc, "reserved_qty", -1)


class PurchaseOrderRules(TradeRules):
    def fill(self, unit: Unit, doc: Row) -> None:
        super().fill(unit, doc)
        supplier = unit.get("Supplier", doc["supplier"] or "")
        doc["supplier_name"] = supplier["supplier_name"] if supplier else None
        for line in doc["items"]:
            line["schedule_date"] = line["schedule_date"] or doc["schedule_date"]

    def settle(self, unit: Unit, doc: Row) -> None:
        if not all(line["schedule_date"] for line in doc["items"]):
            raise invalid("Please enter Reqd by Date")
        doc["schedule_date"] = min(line["schedule_date"] for line in doc["items"])
        for number, line in enumerate(doc["items"], 1):
            if line["schedule_date"] < doc["transaction_date"]:
                raise invalid(f"Row #{number}: Reqd by Date cannot be before Transaction Date")
        super().settle(unit, doc)

    def on_submit(self, unit: Unit, doc: Row) -> None:
        doc["status"] = "To Receive and Bill"
        self.move_stock(unit, doc, "ordered_qty", 1)

    def on_cancel(self, unit: Unit, doc: Row) -> None:
        doc["status"] = "Cancelled"
        self.move_stock(unit, doc, "ordered_qty", -1)
