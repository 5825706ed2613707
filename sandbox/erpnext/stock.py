"""Quantities per item and warehouse: the Bin, which only other documents change."""

from __future__ import annotations

from sandbox.erpnext.errors import invalid
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
