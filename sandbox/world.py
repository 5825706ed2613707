"""The demo world: one small company group in Tirana, the same in every backend.

Everything is derived from counters, so that each simulator and the gateway's own store, seeded apart, agree on every
id. Only times hang on the moment of seeding: the newest order is an hour old then.

200 orders; the newest 120 have a delivery and the newest 150 an invoice, the oldest were placed by guests nobody
knows; three deliveries and three invoices belong to no order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property

ORDERS, DELIVERIES, INVOICES, GUEST_ORDERS, PRODUCTS = 200, 120, 150, 20, 60
CUSTOMERS_PER_CLIENT, DRIVERS, FLEETS = 10, 12, 3
TIRANA = (41.3275, 19.8187)
"""Latitude and longitude."""

REGION_EUR, REGION_ALL = "reg_01DEMO00000000000000000EUR", "reg_01DEMO00000000000000000ALL"
SHIPPING_EUR, SHIPPING_ALL = "so_01DEMO000000000000000000EUR", "so_01DEMO000000000000000000ALL"
STORE_ID = "store_01DEMO0000000000000000001"
LEK_PER_EURO = 100


def ulid(prefix: str, n: int) -> str:
    """A Medusa-shaped id: `prefix_` and 26 characters; ids of one kind sort by `n`."""
    return f"{prefix}_01DEMO{n:020d}"


def short(prefix: str, n: int) -> str:
    """A Fleetbase-shaped id: `prefix_` and 10 lower-case alphanumerics."""
    return f"{prefix}_demo{n:06d}"


def document_id(prefix: str, n: int) -> str:
    """A Strapi-shaped id: 24 lower-case alphanumerics."""
    return f"{prefix}{n:0{24 - len(prefix)}d}"


def object_id(kind: int, n: int) -> str:
    """A MongoDB-shaped id: 24 hexadecimal digits."""
    return f"{kind:08x}{n:016x}"


@dataclass(frozen=True)
class App:
    id: str
    name: str
    is_server_side: bool


@dataclass(frozen=True)
class Address:
    name: str
    street: str
    city: str
    postal_code: str
    country: str
    latitude: float
    longitude: float
    phone: str


@dataclass(frozen=True)
class Client:
    id: str
    app: App
    external_id: str
    name: str
    code: str
    default_currency: str
    channel_id: str
    """Medusa sales channel."""
    company: str
    """ERPNext company; `warehouse` is one of its."""
    company_abbr: str
    warehouse: str
    pickup: Address


@dataclass(frozen=True)
class Person:
    """A user of the gateway. Only customers have accounts in the backends."""

    n: int
    id: str
    client: Client
    role: str
    name: str
    email: str
    phone: str
    address: Address
    created_at: datetime

    @property
    def medusa_id(self) -> str:
        return ulid("cus", self.n)

    @property
    def stripe_id(self) -> str:
        return f"cus_Demo{self.n:010d}"

    @property
    def card_id(self) -> str:
        """Their default payment method, a Visa that succeeds."""
        return f"pm_Demo{self.n:010d}"

    @property
    def erp_id(self) -> str:
        """ERPNext's customer name, which is its identity."""
        return f"CUST-{self.n:05d}"

    @property
    def wallet_id(self) -> str:
        return f"00000000-0000-4000-8000-{self.n:012d}"

    @property
    def print_customer_id(self) -> str:
        """Strapi customer of the print shop."""
        return document_id("customer", self.n)

    @property
    def contact_id(self) -> str:
        """Fleetbase contact."""
        return short("contact", self.n)


@dataclass(frozen=True)
class Category:
    id: str
    name: str
    handle: str
    parent_id: str | None


@dataclass(frozen=True)
class Variant:
    id: str
    title: str
    sku: str
    eur: Decimal
    stock: int

    @property
    def lek(self) -> Decimal:
        return self.eur * LEK_PER_EURO

    def price(self, currency: str) -> Decimal:
        return self.eur if currency == "EUR" else self.lek


@dataclass(frozen=True)
class Product:
    id: str
    title: str
    handle: str
    description: str
    thumbnail: str
    category: Category
    variants: tuple[Variant, ...]
    created_at: datetime


@dataclass(frozen=True)
class Line:
    product: Product
    variant: Variant
    quantity: int


@dataclass(frozen=True)
class Order:
    n: int
    """1 is the oldest; also Medusa's `display_id`."""
    id: str
    client: Client
    customer: Person | None
    """None: a guest, known to Medusa alone."""
    email: str
    medusa_customer_id: str
    currency: str
    lines: tuple[Line, ...]
    created_at: datetime

    @property
    def item_total(self) -> Decimal:
        return sum((line.variant.price(self.currency) * line.quantity for line in self.lines), Decimal(0))

    @property
    def shipping(self) -> Decimal:
        return Decimal(5) if self.currency == "EUR" else Decimal(500)

    @property
    def total(self) -> Decimal:
        return self.item_total + self.shipping


@dataclass(frozen=True)
class Driver:
    n: int
    id: str
    vehicle_id: str
    name: str
    phone: str
    email: str
    plate: str
    fleet: int
    latitude: float
    longitude: float


class World:
    """The whole demo world, as of `anchor` (an aware UTC time)."""

    def __init__(self, anchor: datetime) -> None:
        self.anchor = anchor.astimezone(UTC).replace(microsecond=0)

    @cached_property
    def apps(self) -> tuple[App, ...]:
        return (
            App(object_id(1, 1), "BookMaster", is_server_side=False),
            App(object_id(1, 2), "Dakkah", is_server_side=True),
        )

    @cached_property
    def clients(self) -> tuple[Client, ...]:
        names = (("ByBest Duty Free Shpk.", "BBDF25", "BBDF", "ALL"), ("Skanderbeg Books", "SKBK01", "SKB", "EUR"),
                 ("Dakkah Tirana", "DKTR01", "DKT", "EUR"), ("Dakkah Durrës", "DKDR01", "DKD", "EUR"))  # fmt: skip
        return tuple(
            Client(
                id=object_id(2, n),
                app=self.apps[(n - 1) // 2],
                external_id=object_id(9, n),
                name=name,
                code=code,
                default_currency=currency,
                channel_id=ulid("sc", n),
                company=name,
                company_abbr=abbr,
                warehouse=f"Stores - {abbr}",
                pickup=self._address(f"{name} warehouse", 900 + n),
            )
            for n, (name, code, abbr, currency) in enumerate(names, 1)
        )

    @cached_property
    def people(self) -> tuple[Person, ...]:
        """Administrators, managers and staff first, so that the newest users are customers of every client."""
        roles = [("ADMIN", 1), ("MANAGER", 1), ("STAFF", 2), ("CUSTOMER", CUSTOMERS_PER_CLIENT)]
        slots = [(role, i, client) for role, count in roles for i in range(1, count + 1) for client in self.clients]
        people = []
        for n, (role, i, client) in enumerate(slots, 1):
            name = f"{role.title()} {i} of {client.code}"
            people.append(
                Person(
                    n=n,
                    id=object_id(3, n),
                    client=client,
                    role=role,
                    name=name,
                    email=f"{role.lower()}{i}@{client.code.lower()}.example",
                    phone=f"+35569{n:07d}",
                    address=self._address(name, n),
                    created_at=self.anchor - timedelta(days=120) + timedelta(hours=n),
                )
            )
        return tuple(people)

    @cached_property
    def customers(self) -> tuple[Person, ...]:
        return tuple(person for person in self.people if person.role == "CUSTOMER")

    def print_customer_ids(self, client: Client) -> list[str]:
        """The print shop's customers that are in a client's scope."""
        return [person.print_customer_id for person in self.customers if person.client is client]

    @cached_property
    def categories(self) -> tuple[Category, ...]:
        names = ("Books", "Stationery", "Travel", "Drinks", "Children's Books", "Notebooks")
        parents = (None, None, None, None, 1, 2)
        return tuple(
            Category(
                ulid("pcat", n),
                name,
                name.lower().replace("'", "").replace(" ", "-"),
                ulid("pcat", parent) if parent else None,
            )
            for n, (name, parent) in enumerate(zip(names, parents, strict=True), 1)
        )

    @cached_property
    def products(self) -> tuple[Product, ...]:
        return tuple(self._products())

    def _products(self) -> Iterator[Product]:
        kinds = ("Atlas", "Guide", "Novel", "Notebook", "Map", "Raki", "Coffee", "Backpack", "Pen", "Lantern")
        for n in range(1, PRODUCTS + 1):
            kind, category = kinds[n % len(kinds)], self.categories[n % len(self.categories)]
            variants = tuple(
                Variant(
                    id=ulid("variant", n * 10 + v),
                    title=title,
                    sku=f"SKU-{n:03d}-{v}",
                    eur=Decimal(490 + 137 * n + 250 * v) / 100,
                    stock=100_000,
                )
                for v, title in enumerate(("Standard", "Large") if n % 3 == 0 else ("Standard",), 1)
            )
            yield Product(
                id=ulid("prod", n),
                title=f"{kind} {n:02d}",
                handle=f"{kind.lower()}-{n:02d}",
                description=f"{kind} number {n} of the demo catalogue.",
                thumbnail=f"https://cdn.omnistack.example/products/{n:02d}.jpg",
                category=category,
                variants=variants,
                created_at=self.anchor - timedelta(days=200) + timedelta(hours=n),
            )

    @cached_property
    def orders(self) -> tuple[Order, ...]:
        """Oldest first."""
        return tuple(self._order(n) for n in range(1, ORDERS + 1))

    def _order(self, n: int) -> Order:
        client = self.clients[n % len(self.clients)]
        theirs = [person for person in self.customers if person.client is client]
        customer = None if n <= GUEST_ORDERS else theirs[(n // len(self.clients)) % len(theirs)]
        lines = []
        for i in range(1 + n % 3):
            product = self.products[(n * 7 + i * 11) % PRODUCTS]
            lines.append(Line(product, product.variants[(n + i) % len(product.variants)], 1 + (n + i) % 3))
        return Order(
            n=n,
            id=ulid("order", n),
            client=client,
            customer=customer,
            email=customer.email if customer else f"guest{n}@guests.example",
            medusa_customer_id=customer.medusa_id if customer else ulid("cus", 100_000 + n),
            currency="ALL" if n % 5 == 0 else "EUR",
            lines=tuple(lines),
            created_at=self.anchor - timedelta(hours=1 + 7 * (ORDERS - n)),
        )

    @cached_property
    def delivered(self) -> tuple[Order, ...]:
        """The orders that have a delivery, oldest first."""
        return self.orders[-DELIVERIES:]

    @cached_property
    def invoiced(self) -> tuple[Order, ...]:
        """The orders that have an invoice, oldest first."""
        return self.orders[-INVOICES:]

    @cached_property
    def drivers(self) -> tuple[Driver, ...]:
        return tuple(
            Driver(
                n=n,
                id=short("driver", n),
                vehicle_id=short("vehicle", n),
                name=f"Driver {n}",
                phone=f"+35567{n:07d}",
                email=f"driver{n}@fleet.example",
                plate=f"AA {n:03d} TR",
                fleet=n % FLEETS + 1,
                latitude=TIRANA[0] + (n % 4 - 1.5) / 100,
                longitude=TIRANA[1] + (n % 5 - 2) / 100,
            )
            for n in range(1, DRIVERS + 1)
        )

    def _address(self, name: str, n: int) -> Address:
        return Address(
            name=name,
            street=f"Rruga e Durrësit {n}",
            city="Tirana",
            postal_code=f"{1001 + n % 30}",
            country="AL",
            latitude=TIRANA[0] + (n % 21 - 10) / 1000,
            longitude=TIRANA[1] + (n % 17 - 8) / 1000,
            phone=f"+35568{n:07d}",
        )
