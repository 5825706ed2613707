"""The DocTypes of the simulated site, as ERPNext 15 declares them (the columns a client meets, not all of them).

`custom_...` are the fields that the gateway asks every site to add.
"""

from __future__ import annotations

from itertools import chain

from sandbox.erpnext.doctypes import DocType, Field, fields, select

ABSENT = frozenset(
    (
        "Quotation|Lead|Opportunity|Contact|Address|Delivery Note|Purchase Receipt|Purchase Invoice|Journal Entry|"
        "GL Entry|Payment Ledger Entry|Payment Request|Stock Entry|Stock Ledger Entry|Stock Reconciliation|Pick List|"
        "Material Request|Item Price|Price List|Pricing Rule|Batch|Serial No|BOM|Work Order|Project|Task|Timesheet|"
        "Issue|User|Role|File|ToDo|Webhook|Report|DocType|Comment|Communication|Department|Designation|Brand|"
        "POS Invoice|Subscription"
    ).split("|")
)
"""DocTypes of the real site that are not simulated."""

INVOICE_STATUSES = (
    "|Draft|Return|Credit Note Issued|Submitted|Paid|Partly Paid|Unpaid|Unpaid and Discounted"
    "|Partly Paid and Discounted|Overdue and Discounted|Overdue|Cancelled|Internal Transfer"
)
ORDER_STATUSES = "|Draft|On Hold|To Deliver and Bill|To Bill|To Deliver|Completed|Cancelled|Closed"
PURCHASE_STATUSES = "|Draft|On Hold|To Receive and Bill|To Bill|To Receive|Completed|Cancelled|Closed|Delivered"

ITEM = DocType(
    "Item",
    (
        *fields("Data", "naming_series=STO-ITEM-.YYYY.- item_code! item_name asset_category asset_naming_series image"),
        *fields("Text", "description"),
        *fields("Data", "brand end_of_life default_material_request_type=Purchase valuation_method= warranty_period"),
        *fields("Data", "weight_uom batch_number_series serial_no_series variant_based_on=Item_Attribute purchase_uom"),
        *fields("Data", "country_of_origin customs_tariff_number sales_uom quality_inspection_template default_bom"),
        *fields("Data", "customer_code= default_item_manufacturer default_manufacturer_part_no"),
        *fields("Link", "item_group>Item_Group! stock_uom>UOM! variant_of>Item customer>Customer"),
        *fields("Check", "disabled allow_alternative_item is_stock_item=1 has_variants is_fixed_asset"),
        *fields("Check", "auto_create_assets is_grouped_asset allow_negative_stock has_batch_no create_new_batch"),
        *fields("Check", "has_expiry_date retain_sample has_serial_no enable_deferred_expense enable_deferred_revenue"),
        *fields("Check", "is_purchase_item=1 is_customer_provided_item delivered_by_supplier grant_commission=1"),
        *fields("Check", "is_sales_item=1 inspection_required_before_purchase inspection_required_before_delivery"),
        *fields("Check", "include_item_in_manufacturing=1 is_sub_contracted_item"),
        *fields("Int", "shelf_life_in_days sample_quantity no_of_months_exp no_of_months lead_time_days"),
        *fields("Float", "opening_stock valuation_rate standard_rate over_delivery_receipt_allowance"),
        *fields("Float", "over_billing_allowance weight_per_unit min_order_qty safety_stock last_purchase_rate"),
        *fields("Float", "max_discount total_projected_qty"),
        *fields("Table", "supplier_items>Item_Supplier reorder_levels>Item_Reorder barcodes>Item_Barcode"),
        *fields("Table", "customer_items>Item_Customer_Detail taxes>Item_Tax attributes>Item_Variant_Attribute"),
        *fields("Table", "uoms>UOM_Conversion_Detail item_defaults>Item_Default"),
    ),
    naming="field:item_code",
)

CUSTOMER = DocType(
    "Customer",
    (
        *fields("Data", "naming_series=CUST-.YYYY.- customer_name! default_price_list tax_id email_id mobile_no"),
        *fields("Data", "language=en website customer_primary_contact customer_primary_address account_manager"),
        select("customer_type", "Company|Individual|Partnership", "Company", mandatory=True),
        *fields("Link", "customer_group>Customer_Group territory>Territory default_currency>Currency"),
        *fields("Data", "custom_commerce_customer_id#"),
        *fields("Check", "is_internal_customer so_required dn_required is_frozen disabled"),
        *fields("Float", "default_commission_rate"),
        *fields("Table", "companies>Allowed_To_Transact_With credit_limits>Customer_Credit_Limit"),
        *fields("Table", "accounts>Party_Account portal_users>Portal_User sales_team>Sales_Team"),
    ),
    naming="rule",
)

_TOTALS = (
    *fields("Float", "total_qty total_net_weight base_total base_net_total total net_total"),
    *fields("Float", "base_total_taxes_and_charges total_taxes_and_charges base_grand_total base_rounding_adjustment"),
    *fields("Float", "base_rounded_total grand_total rounding_adjustment rounded_total base_discount_amount"),
    *fields("Float", "additional_discount_percentage discount_amount"),
    *fields("Data", "in_words base_in_words apply_discount_on=Grand_Total tax_category= taxes_and_charges"),
    *fields("Check", "disable_rounded_total ignore_pricing_rule group_same_items has_unit_price_items"),
)
_CURRENCY = (
    *fields("Link", "company>Company! currency>Currency! price_list_currency>Currency"),
    *fields("Float", "conversion_rate plc_conversion_rate=1"),
)
_SELLING = (
    *fields("Link", "customer>Customer! customer_group>Customer_Group territory>Territory"),
    *fields("Data", "title customer_name tax_id selling_price_list=Standard_Selling language=en"),
    *fields("Data", "po_no^ project"),
    *fields("Date", "po_date^"),
    *fields("Float", "amount_eligible_for_commission commission_rate total_commission loyalty_amount"),
    *fields("Int", "loyalty_points"),
    *fields("Check", "is_internal_customer"),
    *fields("Table", "payment_schedule>Payment_Schedule packed_items>Packed_Item taxes>Sales_Taxes_and_Charges"),
    *fields("Table", "pricing_rules>Pricing_Rule_Detail sales_team>Sales_Team"),
)
_LINE = (
    *fields("Link", "item_code>Item! uom>UOM stock_uom>UOM warehouse>Warehouse cost_center>Cost_Center"),
    *fields("Text", "description item_tax_rate={}"),
    *fields("Data", "item_name item_group image= margin_type= project"),
    *fields("Float", "qty! conversion_factor=1 stock_qty price_list_rate base_price_list_rate margin_rate_or_amount"),
    *fields("Float", "rate_with_margin discount_percentage discount_amount distributed_discount_amount"),
    *fields("Float", "base_rate_with_margin rate amount base_rate base_amount stock_uom_rate net_rate net_amount"),
    *fields("Float", "base_net_rate base_net_amount weight_per_unit total_weight actual_qty"),
    *fields("Check", "is_free_item page_break"),
)
_SOLD_LINE = (
    *_LINE,
    *fields("Float", "company_total_stock"),
    *fields("Check", "grant_commission=1 delivered_by_supplier"),
)

SALES_ORDER = DocType(
    "Sales Order",
    (
        *fields("Data", "naming_series=SAL-ORD-.YYYY.- order_type=Sales delivery_status=Not_Delivered"),
        *fields("Data", "billing_status=Not_Billed"),
        select("status", ORDER_STATUSES, "Draft"),
        *fields("Date", "transaction_date delivery_date"),
        *_CURRENCY,
        *_SELLING,
        *_TOTALS,
        *fields("Float", "advance_paid per_delivered per_billed per_picked"),
        *fields("Check", "skip_delivery_note reserve_stock"),
        *fields("Link", "amended_from>Sales_Order set_warehouse>Warehouse"),
        *fields("Table", "items>Sales_Order_Item!"),
    ),
    naming="series:SAL-ORD-.YYYY.-",
    submittable=True,
)
SALES_ORDER_ITEM = DocType(
    "Sales Order Item",
    (
        *_SOLD_LINE,
        *fields("Date", "delivery_date transaction_date"),
        *fields("Float", "stock_reserved_qty billed_amt valuation_rate gross_profit blanket_order_rate"),
        *fields("Float", "projected_qty ordered_qty planned_qty production_plan_qty work_order_qty"),
        *fields("Float", "delivered_qty produced_qty returned_qty picked_qty"),
        *fields("Check", "ensure_delivery_based_on_produced_serial_no is_stock_item reserve_stock"),
        *fields("Check", "against_blanket_order"),
    ),
    child=True,
)
SALES_INVOICE = DocType(
    "Sales Invoice",
    (
        *fields("Data", "naming_series=ACC-SINV-.YYYY.- custom_commerce_order_id^# against_income_account"),
        *fields("Text", "remarks^"),
        select("status", INVOICE_STATUSES, "Draft"),
        *fields("Date", "posting_date due_date"),
        *fields("Data", "posting_time"),
        *_CURRENCY,
        *_SELLING,
        *_TOTALS,
        *fields("Float", "paid_amount base_paid_amount outstanding_amount total_advance write_off_amount"),
        *fields("Float", "change_amount"),
        *fields("Check", "set_posting_time update_stock is_pos is_return is_debit_note is_opening"),
        *fields("Check", "update_outstanding_for_self"),
        *fields("Link", "debit_to>Account party_account_currency>Currency cost_center>Cost_Center"),
        *fields("Link", "return_against>Sales_Invoice amended_from>Sales_Invoice set_warehouse>Warehouse"),
        *fields("Table", "items>Sales_Invoice_Item!"),
    ),
    naming="series:ACC-SINV-.YYYY.-",
    submittable=True,
)
SALES_INVOICE_ITEM = DocType(
    "Sales Invoice Item",
    (
        *_SOLD_LINE,
        *fields("Link", "income_account>Account sales_order>Sales_Order"),
        *fields("Data", "so_detail delivery_note dn_detail sales_invoice_item"),
        *fields("Float", "delivered_qty incoming_rate"),
    ),
    child=True,
)
PURCHASE_ORDER = DocType(
    "Purchase Order",
    (
        *fields("Data", "naming_series=PUR-ORD-.YYYY.- title supplier_name buying_price_list=Standard_Buying"),
        *fields("Data", "language=en advance_payment_status custom_gateway_ref^#"),
        select("status", PURCHASE_STATUSES, "Draft"),
        *fields("Date", "transaction_date schedule_date"),
        *_CURRENCY,
        *_TOTALS,
        *fields("Float", "advance_paid per_received per_billed"),
        *fields("Link", "supplier>Supplier! amended_from>Purchase_Order set_warehouse>Warehouse"),
        *fields("Table", "payment_schedule>Payment_Schedule taxes>Purchase_Taxes_and_Charges"),
        *fields("Table", "items>Purchase_Order_Item!"),
    ),
    naming="series:PUR-ORD-.YYYY.-",
    submittable=True,
)
PURCHASE_ORDER_ITEM = DocType(
    "Purchase Order Item",
    (
        *_LINE,
        *fields("Date", "schedule_date"),
        *fields("Float", "received_qty returned_qty billed_amt last_purchase_rate"),
    ),
    child=True,
)
TAXES = DocType(
    "Sales Taxes and Charges",
    (
        select(
            "charge_type",
            "Actual|On Net Total|On Previous Row Amount|On Previous Row Total|On Item Quantity",
            mandatory=True,
        ),
        *fields("Link", "account_head>Account! cost_center>Cost_Center"),
        *fields("Text", "description"),
        *fields("Check", "included_in_print_rate included_in_paid_amount"),
        *fields("Float", "rate tax_amount total tax_amount_after_discount_amount base_tax_amount base_total"),
        *fields("Float", "base_tax_amount_after_discount_amount"),
    ),
    child=True,
)
PURCHASE_TAXES = DocType("Purchase Taxes and Charges", TAXES.columns, child=True)
PAYMENT_SCHEDULE = DocType(
    "Payment Schedule",
    (
        *fields("Date", "due_date"),
        *fields("Float", "invoice_portion discount payment_amount outstanding paid_amount discounted_amount"),
        *fields("Float", "base_payment_amount base_outstanding base_paid_amount"),
    ),
    child=True,
)
PAYMENT_ENTRY = DocType(
    "Payment Entry",
    (
        *fields("Data", "naming_series=ACC-PAY-.YYYY.- title party_name project reference_no^"),
        *fields("Data", "custom_gateway_ref^#"),
        *fields("Text", "remarks^"),
        select("payment_type", "Receive|Pay|Internal Transfer", mandatory=True),
        select("party_type", "Customer|Supplier|Employee"),
        select("status", "|Draft|Submitted|Cancelled", "Draft"),
        *fields("Date", "posting_date reference_date^"),
        *fields("Link", "company>Company! mode_of_payment>Mode_of_Payment paid_from>Account! paid_to>Account!"),
        *fields("Link", "paid_from_account_currency>Currency paid_to_account_currency>Currency"),
        *fields("Link", "cost_center>Cost_Center amended_from>Payment_Entry"),
        Field("party", "Dynamic Link", "party_type"),
        *fields("Float", "paid_amount! received_amount! source_exchange_rate target_exchange_rate base_paid_amount"),
        *fields("Float", "base_received_amount total_allocated_amount base_total_allocated_amount unallocated_amount"),
        *fields("Float", "difference_amount total_taxes_and_charges base_total_taxes_and_charges"),
        *fields("Table", "references>Payment_Entry_Reference taxes>Advance_Taxes_and_Charges"),
        *fields("Table", "deductions>Payment_Entry_Deduction"),
    ),
    naming="series:ACC-PAY-.YYYY.-",
    submittable=True,
)
PAYMENT_REFERENCE = DocType(
    "Payment Entry Reference",
    (
        *fields("Link", "account>Account"),
        *fields("Data", "reference_doctype! bill_no"),
        Field("reference_name", "Dynamic Link", "reference_doctype", mandatory=True),
        *fields("Date", "due_date"),
        *fields("Float", "total_amount outstanding_amount allocated_amount exchange_rate exchange_gain_loss"),
    ),
    child=True,
)
BIN = DocType(
    "Bin",
    (
        *fields("Link", "item_code>Item! warehouse>Warehouse! stock_uom>UOM company>Company"),
        *fields("Float", "actual_qty reserved_qty ordered_qty indented_qty planned_qty projected_qty"),
        *fields("Float", "reserved_qty_for_production reserved_qty_for_sub_contract reserved_qty_for_production_plan"),
        *fields("Float", "reserved_stock valuation_rate stock_value"),
    ),
    writes="forbidden",
)
EMPLOYEE = DocType(
    "Employee",
    (
        *fields("Data", "naming_series=HR-EMP- employee employee_name first_name! middle_name last_name gender! image"),
        *fields("Data", "department designation branch user_id company_email personal_email prefered_email"),
        *fields("Data", "cell_number employee_number holiday_list employment_type"),
        *fields("Date", "date_of_birth! date_of_joining! relieving_date"),
        select("status", "Active|Inactive|Suspended|Left", "Active", mandatory=True),
        *fields("Link", "company>Company! reports_to>Employee"),
    ),
    naming="series:HR-EMP-",
)
WAREHOUSE = DocType(
    "Warehouse",
    (
        *fields("Data", "warehouse_name! warehouse_type address_line_1 city"),
        *fields("Link", "company>Company! parent_warehouse>Warehouse"),
        *fields("Check", "is_group disabled is_rejected_warehouse"),
    ),
    naming="rule",
    tree_parent="parent_warehouse",
)


def _tree(name: str, own: str, parent: str) -> DocType:
    columns = (
        *fields("Data", f"{own}!"),
        *fields("Link", f"{parent}>{name.replace(' ', '_')}"),
        *fields("Check", "is_group"),
    )
    return DocType(name, columns, naming=f"field:{own}", tree_parent=parent)


SMALL = (
    _tree("Customer Group", "customer_group_name", "parent_customer_group"),
    _tree("Territory", "territory_name", "parent_territory"),
    _tree("Item Group", "item_group_name", "parent_item_group"),
    DocType(
        "UOM",
        (*fields("Data", "uom_name!"), *fields("Check", "must_be_whole_number enabled=1")),
        naming="field:uom_name",
    ),
    DocType(
        "Supplier",
        (
            *fields("Data", "supplier_name! supplier_group country email_id"),
            select("supplier_type", "Company|Individual|Partnership", "Company"),
            *fields("Link", "default_currency>Currency"),
            *fields("Check", "disabled"),
        ),
        naming="field:supplier_name",
    ),
    DocType(
        "Mode of Payment",
        (
            *fields("Data", "mode_of_payment!"),
            select("type", "|Cash|Bank|General|Phone", "General"),
            *fields("Check", "enabled=1"),
        ),
        naming="field:mode_of_payment",
    ),
    DocType(
        "Currency", tuple(fields("Data", "currency_name! fraction")), naming="field:currency_name", writes="unsupported"
    ),
    DocType(
        "Currency Exchange",
        (
            *fields("Date", "date"),
            *fields("Link", "from_currency>Currency to_currency>Currency"),
            *fields("Float", "exchange_rate"),
        ),
        writes="unsupported",
    ),
    DocType(
        "Company",
        (
            *fields("Data", "company_name! abbr! country"),
            *fields("Link", "default_currency>Currency cost_center>Cost_Center default_receivable_account>Account"),
            *fields(
                "Link", "default_payable_account>Account default_bank_account>Account default_cash_account>Account"
            ),
            *fields("Link", "default_income_account>Account"),
        ),
        naming="field:company_name",
        writes="unsupported",
    ),
    DocType(
        "Account",
        (
            *fields("Data", "account_name! account_type root_type"),
            *fields("Check", "is_group disabled"),
            *fields("Link", "company>Company account_currency>Currency parent_account>Account"),
        ),
        naming="rule",
        writes="unsupported",
        tree_parent="parent_account",
    ),
    DocType(
        "Cost Center",
        (
            *fields("Data", "cost_center_name!"),
            *fields("Check", "is_group disabled"),
            *fields("Link", "company>Company"),
        ),
        naming="rule",
        writes="unsupported",
    ),
    DocType(
        "Fiscal Year",
        (
            *fields("Data", "year!"),
            *fields("Date", "year_start_date! year_end_date!"),
            *fields("Check", "disabled is_short_year"),
            *fields("Table", "companies>Fiscal_Year_Company"),
        ),
        naming="field:year",
    ),
    DocType("Fiscal Year Company", tuple(fields("Link", "company>Company")), child=True),
    DocType("UOM Conversion Detail", (*fields("Link", "uom>UOM"), *fields("Float", "conversion_factor=1")), child=True),
    DocType("Item Default", tuple(fields("Link", "company>Company default_warehouse>Warehouse")), child=True),
)

DOCTYPES = {
    doctype.name: doctype
    for doctype in chain(
        (ITEM, CUSTOMER, SALES_ORDER, SALES_ORDER_ITEM, SALES_INVOICE, SALES_INVOICE_ITEM, PURCHASE_ORDER),
        (
            PURCHASE_ORDER_ITEM,
            TAXES,
            PURCHASE_TAXES,
            PAYMENT_SCHEDULE,
            PAYMENT_ENTRY,
            PAYMENT_REFERENCE,
            BIN,
            EMPLOYEE,
            WAREHOUSE,
        ),
        SMALL,
    )
}
PARENTS: dict[str, list[tuple[DocType, str]]] = {}
"""Where the rows of a child DocType stand: (parent DocType, table field)."""
for _doctype in DOCTYPES.values():
    for _table, _child in _doctype.tables.items():
        PARENTS.setdefault(_child, []).append((_doctype, _table))
