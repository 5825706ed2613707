"""The demo world's books: companies with accounts and warehouses, customers, items with stock, invoices, payments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sandbox.erpnext import documents
from sandbox.erpnext.invoices import mark_overdue
from sandbox.erpnext.payments import payment_for
from sandbox.erpnext.trading import new_bin
from sandbox.erpnext.unit import SITE_TIME_ZONE, USER, Unit
from sandbox.store import Row, Store
from sandbox.world import LEK_PER_EURO, Client, Order, World

CURRENCIES = {"EUR": "Cent", "ALL": "Qindarka"}
NODES = {
    "Customer Group": ("All Customer Groups", "Individual", "Commercial"),
    "Territory": ("All Territories", "Albania", "Rest Of The World"),
    "Item Group": ("All Item Groups", "Products", "Services"),
}
WAREHOUSES = ("All Warehouses", "Stores", "Work In Progress", "Finished Goods", "Goods In Transit")
MODES = {"Cash": "Cash", "Credit Card": "Bank", "Wire Transfer": "Bank", "Bank Draft": "Bank", "Cheque": "Bank"}
DAYS_TO_PAY = 14
WALK_INS = 3
"""Invoices that belong to no order."""


def seed(store: Store) -> None:
    """The demo world as of now; the caller holds a transaction."""
    world = World(datetime.now(UTC))
    unit = Unit(store, world.anchor)
    basics(unit)
    for client in world.clients:
        company(unit, client)
    _years(unit)
    _master_data(unit, world)
    _stock(unit, world)
    for place, order in enumerate(world.invoiced):
        _invoice(unit, world, order, place)
    _at(unit, world.anchor)
    for client in world.clients[:WALK_INS]:
        _walk_in(unit, world, client)
    for client in world.clients:
        _purchase(unit, world, client)
    mark_overdue(unit)
    unit.write()


def _put(unit: Unit, doctype: str, name: str, **values: object) -> Row:
    """A row that no client could write: basics of the site."""
    standard = {"name": name, "owner": USER, "creation": unit.stamp, "modified": unit.stamp, "modified_by": USER}
    return unit.put(doctype, {**standard, "docstatus": 0, "idx": 0, "doctype": doctype, **values})


def basics(unit: Unit) -> None:
    """What every site has before its first company."""
    for currency, fraction in CURRENCIES.items():
        _put(unit, "Currency", currency, currency_name=currency, fraction=fraction)
    rate = {"from_currency": "EUR", "to_currency": "ALL", "exchange_rate": float(LEK_PER_EURO), "date": unit.today}
    _put(unit, "Currency Exchange", f"{unit.today}-EUR-ALL", **rate)
    documents.insert(unit, "UOM", {"uom_name": "Nos", "must_be_whole_number": 1})
    for doctype, (root, *leaves) in NODES.items():
        snake = doctype.lower().replace(" ", "_")
        documents.insert(unit, doctype, {f"{snake}_name": root, "is_group": 1})
        for name in leaves:
            documents.insert(unit, doctype, {f"{snake}_name": name, f"parent_{snake}": root})
    for name, kind in MODES.items():
        documents.insert(unit, "Mode of Payment", {"mode_of_payment": name, "type": kind})


def company(unit: Unit, client: Client) -> None:
    """A company with its accounts, in both currencies, and its warehouses."""
    abbr, home = client.company_abbr, client.default_currency
    foreign = next(currency for currency in CURRENCIES if currency != home)
    _put(
        unit, "Company", client.company, company_name=client.company, abbr=abbr, country="Albania",
        default_currency=home, cost_center=f"Main - {abbr}", default_receivable_account=f"Debtors - {abbr}",
        default_payable_account=f"Creditors - {abbr}", default_bank_account=f"Bank - {abbr}",
        default_cash_account=f"Cash - {abbr}", default_income_account=f"Sales - {abbr}",
    )  # fmt: skip
    _put(unit, "Cost Center", f"Main - {abbr}", cost_center_name="Main", company=client.company, is_group=0, disabled=0)
    for name, kind, root, currency in (
        ("Debtors", "Receivable", "Asset", home),
        (f"Debtors {foreign}", "Receivable", "Asset", foreign),
        ("Creditors", "Payable", "Liability", home),
        ("Bank", "Bank", "Asset", home),
        (f"Bank {foreign}", "Bank", "Asset", foreign),
        ("Cash", "Cash", "Asset", home),
        ("Sales", "Income Account", "Income", home),
        ("VAT", "Tax", "Liability", home),
        ("Freight and Forwarding Charges", "Chargeable", "Expense", home),
    ):
        _put(
            unit, "Account", f"{name} - {abbr}", account_name=name, account_type=kind, root_type=root, is_group=0,
            account_currency=currency, company=client.company, parent_account=None, disabled=0,
        )  # fmt: skip
    for name in WAREHOUSES:
        group = name == WAREHOUSES[0]
        parent = None if group else f"{WAREHOUSES[0]} - {abbr}"
        values = {"warehouse_name": name, "company": client.company, "is_group": group, "parent_warehouse": parent}
        documents.insert(unit, "Warehouse", values)


def _years(unit: Unit) -> None:
    """Calendar years: the one before, for its invoices may still be open, this one and the next."""
    for year in range(unit.now.year - 1, unit.now.year + 2):
        ends = {"year_start_date": f"{year}-01-01", "year_end_date": f"{year}-12-31"}
        documents.insert(unit, "Fiscal Year", {"year": str(year), **ends})


def _master_data(unit: Unit, world: World) -> None:
    for person in world.customers:
        values = {
            "customer_name": person.name, "customer_type": "Individual", "customer_group": "Individual",
            "territory": "Albania", "email_id": person.email, "mobile_no": person.phone,
            "custom_commerce_customer_id": person.medusa_id,
        }  # fmt: skip
        documents.insert(unit, "Customer", values, name=person.erp_id)
    for product in world.products:
        for variant in product.variants:
            title = f"{product.title}, {variant.title}" if len(product.variants) > 1 else product.title
            item: Row = {
                "item_code": variant.sku, "item_name": title, "description": product.description,
                "item_group": "Products", "stock_uom": "Nos", "standard_rate": float(variant.eur),
                "image": product.thumbnail,
            }  # fmt: skip
            documents.insert(unit, "Item", item)
    for person in world.people:
        if person.role == "STAFF":
            employee: Row = {
                "first_name": person.name, "gender": "Prefer not to say", "date_of_birth": "1990-01-01",
                "date_of_joining": f"{person.created_at:%Y-%m-%d}", "company": person.client.company,
                "designation": "Shop Assistant", "department": f"Operations - {person.client.company_abbr}",
                "user_id": person.email, "company_email": person.email, "cell_number": person.phone,
            }  # fmt: skip
            documents.insert(unit, "Employee", employee)


def _stock(unit: Unit, world: World) -> None:
    for product in world.products:
        for variant in product.variants:
            item = unit.known("Item", variant.sku)
            for client in world.clients:
                row = unit.put("Bin", new_bin(unit, item, client.warehouse))
                stock = float(variant.stock)
                row |= {"actual_qty": stock, "projected_qty": stock, "valuation_rate": float(variant.eur) / 2}
                row["stock_value"] = row["actual_qty"] * row["valuation_rate"]


def _invoice(unit: Unit, world: World, order: Order, place: int) -> None:
    _at(unit, order.created_at)
    if order.customer is None:
        raise ValueError("guests get no invoices")
    abbr = order.client.company_abbr
    doc = documents.insert(
        unit,
        "Sales Invoice",
        {
            "customer": order.customer.erp_id, "company": order.client.company, "currency": order.currency,
            "set_posting_time": 1, "posting_date": unit.today, "due_date": _day(unit.now + timedelta(days=DAYS_TO_PAY)),
            "disable_rounded_total": 1, "custom_commerce_order_id": order.id, "po_no": str(order.n), "docstatus": 1,
            "items": [
                {"item_code": line.variant.sku, "qty": line.quantity, "rate": float(line.variant.price(order.currency)),
                 "warehouse": order.client.warehouse}
                for line in order.lines
            ],
            "taxes": [
                {"charge_type": "Actual", "account_head": f"Freight and Forwarding Charges - {abbr}",
                 "description": "Shipping", "tax_amount": float(order.shipping)}
            ],
        },
    )  # fmt: skip
    age = world.anchor - order.created_at
    if age > timedelta(days=DAYS_TO_PAY):
        # Of those long due, every ninth customer has not paid.
        if place % 9 != 4:
            _pay(unit, doc["name"], order.created_at + timedelta(days=2), 1.0)
    elif place % 4 == 0:
        _pay(unit, doc["name"], order.created_at + timedelta(minutes=30), 1.0 if place % 8 else 0.5)


def _pay(unit: Unit, invoice: str, when: datetime, share: float) -> None:
    _at(unit, when)
    amount = round(unit.known("Sales Invoice", invoice)["outstanding_amount"] * share, 2)
    asked = {"dt": "Sales Invoice", "dn": invoice, "party_amount": amount, "reference_date": unit.today}
    entry = payment_for(unit, asked)
    paid = {"mode_of_payment": "Credit Card", "reference_no": f"card-{invoice}", "docstatus": 1}
    documents.insert(unit, "Payment Entry", entry | paid)


def _walk_in(unit: Unit, world: World, client: Client) -> None:
    customer = next(person for person in world.customers if person.client is client)
    variant = world.products[0].variants[0]
    values = {
        "customer": customer.erp_id, "company": client.company, "currency": "EUR", "disable_rounded_total": 1,
        "due_date": _day(unit.now + timedelta(days=DAYS_TO_PAY)), "po_no": "walk-in", "docstatus": 1,
        "items": [{"item_code": variant.sku, "qty": 1, "rate": float(variant.eur), "warehouse": client.warehouse}],
    }  # fmt: skip
    documents.insert(unit, "Sales Invoice", values)


def _purchase(unit: Unit, world: World, client: Client) -> None:
    supplier = f"Supplier of {client.code}"
    documents.insert(unit, "Supplier", {"supplier_name": supplier, "country": "Albania"})
    items = [
        {"item_code": product.variants[0].sku, "qty": 10, "rate": float(product.variants[0].eur) / 2,
         "warehouse": client.warehouse}
        for product in world.products[:2]
    ]  # fmt: skip
    values = {
        "supplier": supplier, "company": client.company, "currency": "EUR", "docstatus": 1,
        "transaction_date": unit.today, "schedule_date": _day(unit.now + timedelta(days=20)), "items": items,
    }  # fmt: skip
    documents.insert(unit, "Purchase Order", values)


def _at(unit: Unit, when: datetime) -> None:
    unit.now = when.astimezone(ZoneInfo(SITE_TIME_ZONE)).replace(tzinfo=None)


def _day(when: datetime) -> str:
    return f"{when:%Y-%m-%d}"
