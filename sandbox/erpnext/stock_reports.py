"""Reports over stock. Without a company they are of all companies."""

from __future__ import annotations

from sandbox.erpnext.report_parts import Report, column, dates_of
from sandbox.erpnext.unit import Unit
from sandbox.store import Row


def stock_balance(unit: Unit, filters: Row) -> Report:
    """This site keeps no movements, only what lies there now: all of it was there at the beginning."""
    dates_of(filters)
    rows = []
    for level in unit.rows("Bin"):
        item = unit.known("Item", level["item_code"])
        told = {**level, "item_group": item["item_group"]}
        names = ("company", "item_code", "item_group", "warehouse")
        if any(name in filters and filters[name] != told[name] for name in names):
            continue
        quantity, value = level["actual_qty"], level["stock_value"]
        rows.append(
            {
                "item_code": level["item_code"], "item_name": item["item_name"], "item_group": item["item_group"],
                "warehouse": level["warehouse"], "company": level["company"], "stock_uom": level["stock_uom"],
                "opening_qty": quantity, "opening_val": value, "in_qty": 0.0, "in_val": 0.0, "out_qty": 0.0,
                "out_val": 0.0, "bal_qty": quantity, "bal_val": value, "val_rate": level["valuation_rate"],
            }
        )  # fmt: skip
    amounts = ("bal_qty", "bal_val", "opening_qty", "opening_val", "in_qty", "in_val", "out_qty", "out_val")
    columns = [
        column("item_code", "Link", "Item"), column("item_name"), column("warehouse", "Link", "Warehouse"),
        column("stock_uom", "Link", "UOM"), *(column(name, "Float") for name in amounts),
        column("val_rate", "Currency"), column("company", "Link", "Company"),
    ]  # fmt: skip
    return Report(columns, rows, amounts)
