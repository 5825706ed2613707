"""Which rules each DocType has."""

from __future__ import annotations

from sandbox.erpnext.catalogue import DOCTYPES
from sandbox.erpnext.invoices import SalesInvoiceRules
from sandbox.erpnext.payments import PaymentEntryRules
from sandbox.erpnext.rules import CustomerRules, EmployeeRules, ItemRules, Rules, WarehouseRules
from sandbox.erpnext.trading import PurchaseOrderRules, SalesOrderRules

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
