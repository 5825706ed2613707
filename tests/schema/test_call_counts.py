"""How many calls lists and joins cost: one for each backend and chunk, however many rows there are.

Which lists and joins there are the schema tells; what they may cost is written here, by hand: one that has no line
fails. Calls are those that an operation tells of itself; `test_dashboard` holds that against what arrives.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest
from graphql import GraphQLObjectType, get_named_type

from core.demo import DemoCredentials
from core.settings import Settings
from resolvers.principals import Identification
from schema import build_schema
from tests.access import shapes
from tests.access.callers import CUSTOMER
from tests.access.gateway import Answer, Served, open_gateway
from tests.schema.selections import all_fields
from tests.schema.working import working

SCHEMA = build_schema(Settings())
GRAPHQL = SCHEMA._schema
FIELDS = all_fields(GRAPHQL)
ROOTS = ("Query", "Mutation", "Subscription")
PARENTS = 50
ROWS = "(first: 2)"
"""What is asked of a list that hangs on a parent."""

Calls = dict[str, int]


def _table(text: str) -> dict[str, Calls]:
    lines = [line.split() for line in text.splitlines() if line.strip()]
    return {name: {backend: int(n) for backend, _, n in (word.partition("=") for word in words)}
            for name, *words in lines}  # fmt: skip


# -- the decisions -----------------------------------------------------------------------------------------------------

LISTS = _table("""
clientApps      omnistack=1
clients         omnistack=1
users           omnistack=1
families        omnistack=1
batches         omnistack=1
credentials     omnistack=1
products        medusa=1
categories      medusa=1
stores          medusa=1
orders          medusa=1
deliveries      fleetbase=1
drivers         fleetbase=1
vehicles        fleetbase=1
fleets          fleetbase=1
serviceZones    fleetbase=1
invoices        erpnext=1
erpCustomers    erpnext=1
stockLevels     erpnext=1
employees       erpnext=1
pages           payload=1
content         payload=1
searchContent   payload=4
jobs            strapi=1
jobCustomers    strapi=1
workflows       temporal=1
""")
"""What fifty rows cost with all that they hold themselves. `searchContent` looks into four collections."""

JOINS = _table("""
Viewer.user                       omnistack=1
Viewer.client                     omnistack=1
Viewer.clientApp

Client.app                        omnistack=1
Client.backendScope
Client.users                      omnistack=1
Client.families                   omnistack=1
Client.orders                     medusa=1
Client.invoices                   erpnext=1
ClientApp.clients                 omnistack=1
User.client                       omnistack=1
User.family                       omnistack=1
User.credentials                  omnistack=1
User.orders                       omnistack=1 medusa=25
User.invoices                     omnistack=1 erpnext=1
User.deliveries                   omnistack=51 medusa=41 fleetbase=3
User.paymentMethods               stripe=40
User.workflows                    temporal=1
Family.client                     omnistack=1
Family.members                    omnistack=1
FamilyBenefit.sharedBy            omnistack=1
Credential.holder                 omnistack=1
Batch.client                      omnistack=1
Batch.product                     medusa=2

Product.stockLevels               erpnext=1
ProductVariant.inventoryQuantity  medusa=1
Category.parent                   medusa=1
LineItem.product                  medusa=1
Order.customer                    omnistack=1
Order.deliveries                  fleetbase=1
Order.delivery                    fleetbase=1
Order.invoices                    erpnext=1
Order.invoice                     erpnext=1
Order.workflow                    temporal=1

Delivery.order                    medusa=1
Delivery.etaSeconds
Driver.vehicle
Invoice.customer                  omnistack=1
Invoice.order                     medusa=1
Invoice.items                     erpnext=1
InvoiceItem.product               medusa=2
StockLevel.product                medusa=2
ErpCustomer.user                  omnistack=1
Employee.user                     omnistack=1
PaymentCustomer.user              omnistack=1
JobCustomer.user                  omnistack=2

Workflow.startedBy                omnistack=1
Workflow.order                    medusa=1
Workflow.children                 temporal=1
Workflow.result                   temporal=4
""")
"""What a join costs under fifty parents, or as many as there are, besides what these cost.

By SKU a product is two calls: its variant, then itself. Whose a job customer is stands in `ownership`, who that is in
`users`. What users have is a page that several share, then a call for each whom it leaves short: 24 of their orders;
all 40 who buy where their deliveries are looked for, by way of more of their orders, and in `ownership` for everybody.
There is no batch of the payment methods of the 40 who have an account, nor of the results of four workflows.
"""

TOTALS = _table("""
Client.users        omnistack=6
Client.families     omnistack=6
Client.orders       medusa=4
Client.invoices     erpnext=4
ClientApp.clients   omnistack=2
User.orders         medusa=16
User.invoices       erpnext=40
User.deliveries
User.credentials    omnistack=50
User.workflows      temporal=50
""")
"""What `totalCount` costs besides its list: one call for each parent who can have such rows, but where the list has
told it already."""

_PAYER = f'userId: "{CUSTOMER.id}", email: "{CUSTOMER.email}"'
PATHS = {
    "Viewer": "{ viewer { <selected> } }",
    "LineItem": "{ orders(first: 50) { nodes { items { <selected> } } } }",
    "ProductVariant": "{ products(first: 50) { nodes { variants { <selected> } } } }",
    "InvoiceItem": "{ invoices(first: 50) { nodes { items { <selected> } } } }",
    "FamilyBenefit": "{ families(first: 50) { nodes { benefits { <selected> } } } }",
    "PaymentCustomer": f"mutation {{ createPaymentCustomer(input: {{{_PAYER}}}) {{ <selected> }} }}",
}
"""Where those parents are that no list of Query shows."""
FEW = {"Viewer", "PaymentCustomer", "FamilyBenefit"}
"""Of these there are no fifty in fifty rows of what shows them."""
CALLERS = {"Viewer": "customer"}
"""Who asks, where it is not the service."""
NOWHERE = {"Viewer.clientApp", "Workflow.children"}
"""Joins that lead nowhere in this world: users are not shown their platform, and no workflow starts others."""


# -- what there is to decide about -------------------------------------------------------------------------------------


def joins() -> Iterator[str]:
    """Every field below the roots whose value is fetched, or may be: links, and resolvers that see the request."""
    for type_ in GRAPHQL.type_map.values():
        definition: Any = type_.extensions.get("strawberry-definition")
        if isinstance(type_, GraphQLObjectType) and definition is not None and type_.name not in ROOTS:
            for field in definition.fields:
                resolver = field.base_resolver
                if "link" in field.metadata or (resolver is not None and resolver.info_parameter is not None):
                    yield f"{type_.name}.{SCHEMA.config.name_converter.get_graphql_name(field)}"


ALL_JOINS = set(joins())
LISTING = {name: root for name, root in shapes.roots(GRAPHQL).items() if root.how != "one" and name != "_entities"}


def is_connection(name: str) -> bool:
    return bool(get_named_type(FIELDS[name].type).name.endswith("Connection"))


def test_every_list_and_every_join_is_decided_about() -> None:
    assert set(LISTS) == set(LISTING)
    assert set(JOINS) == ALL_JOINS
    assert set(TOTALS) == {name for name in ALL_JOINS if is_connection(name)}


# -- counting ----------------------------------------------------------------------------------------------------------


class Counter:
    def __init__(self, served: Served) -> None:
        self._served = served

    async def ask(self, text: str, caller: str = "service") -> Answer:
        """When nobody has asked lately."""
        await self._served.forget_rows()
        answer = await self._served.ask(self._served.callers[caller], text)
        assert "errors" not in answer.body, answer.body["errors"]
        return answer


@pytest.fixture(scope="module")
async def counter(
    tmp_path_factory: pytest.TempPathFactory, demo: DemoCredentials, identification: Identification
) -> AsyncIterator[Counter]:
    """With workflows that are completed."""
    async with open_gateway(tmp_path_factory.mktemp("counts"), demo, identification) as served, working(served):
        yield Counter(served)


def listing(root: shapes.Field, selection: str) -> str:
    """A document that asks a list of Query for fifty rows."""
    if root.how == "connection":
        arguments, selection = f"{root.given}first: {PARENTS}", f"{{ nodes {selection} pageInfo {{ hasNextPage }} }}"
    else:
        arguments = root.given.removesuffix(", ")
    return f"{{ {root.name}{f'({arguments})' if arguments else ''} {selection} }}"


def plain(type_: Any) -> str:
    """All that rows of a type hold themselves."""
    inner: Any = get_named_type(type_)
    if not isinstance(inner, GraphQLObjectType):
        return ""
    names = [name for name in inner.fields if f"{inner.name}.{name}" not in ALL_JOINS]
    return f"{{ {' '.join(f'{name} {plain(inner.fields[name].type)}' for name in names)} }}"


def parents(kind: str, selection: str) -> str:
    """A document that asks fifty rows of a type for this."""
    if kind in PATHS:
        return PATHS[kind].replace("<selected>", selection)
    root = next(root for root in LISTING.values() if root.kind == kind)
    return listing(root, f"{{ {selection} }}")


def joined(name: str, inner: str = "") -> str:
    """A join as it is selected, with as little behind it as can be."""
    field = name.partition(".")[2]
    if is_connection(name):
        return f"{field}{ROWS} {{ nodes {{ __typename }} {inner} }}"
    return f"{field} {{ __typename }}" if isinstance(get_named_type(FIELDS[name].type), GraphQLObjectType) else field


def objects(value: Any, kind: str) -> Iterator[Mapping[str, Any]]:
    """Those of a type in an answer, but for what hangs on them."""
    if isinstance(value, list):
        for each in value:
            yield from objects(each, kind)
    elif isinstance(value, dict):
        if value.get("__typename") == kind:
            yield value
        else:
            for each in value.values():
                yield from objects(each, kind)


def more(calls: Mapping[str, int], than: Mapping[str, int]) -> Calls:
    differences = {backend: calls.get(backend, 0) - than.get(backend, 0) for backend in {**calls, **than}}
    return {backend: n for backend, n in differences.items() if n}


def has_something(value: Any) -> bool:
    rows = value["nodes"] if isinstance(value, dict) and "nodes" in value else value
    return rows not in (None, [])


@pytest.mark.parametrize("name", LISTS)
async def test_what_rows_hold_themselves_comes_with_them(counter: Counter, name: str) -> None:
    root = LISTING[name]
    answer = await counter.ask(listing(root, plain(GRAPHQL.type_map[root.kind])))
    assert answer.upstream == LISTS[name]
    assert has_something(answer.only())


@pytest.mark.parametrize("name", JOINS)
async def test_a_join_under_fifty_parents(counter: Counter, name: str) -> None:
    kind, _, field = name.partition(".")
    caller = CALLERS.get(kind, "service")
    if kind == "PaymentCustomer":
        await counter.ask(parents(kind, "__typename"))  # made by the first who asks, found by the next
    alone = await counter.ask(parents(kind, "__typename"), caller)
    answer = await counter.ask(parents(kind, f"__typename {joined(name)}"), caller)
    assert more(answer.upstream, alone.upstream) == JOINS[name]
    found = list(objects(answer.data, kind))
    assert len(found) >= PARENTS or kind in FEW or not answer.only()["pageInfo"]["hasNextPage"]
    assert any(has_something(each[field]) for each in found) == (name not in NOWHERE)


@pytest.mark.parametrize("name", TOTALS)
async def test_totals_under_fifty_parents(counter: Counter, name: str) -> None:
    kind = name.partition(".")[0]
    alone = await counter.ask(parents(kind, joined(name)))
    answer = await counter.ask(parents(kind, joined(name, "totalCount")))
    assert more(answer.upstream, alone.upstream) == TOTALS[name]
