"""Declared fields: joins that batch, money, and the scalars that several domains share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
import strawberry
from strawberry.schema.config import StrawberryConfig

from core.errors import BadUserInput
from core.principals import Principal
from resolvers.context import Context, OneByKey
from resolvers.pages import offset_page
from schema.fields import link, money
from schema.info import Info
from schema.inputs import AddressInput
from schema.pages import Connection
from schema.scalars import SCALARS, CurrencyCode, Money
from tests.conftest import MakeContext


@dataclass
class OwnerRecord:
    id: str
    name: str


@dataclass
class PetRecord:
    owner_id: str | None
    price: Decimal | None = None
    currency: str = "EUR"


class OwnerById(OneByKey[str, OwnerRecord]):
    calls: list[list[str]]

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        self.calls = []

    async def fetch(self, keys: list[str]) -> Sequence[OwnerRecord]:
        self.calls.append(keys)
        return [OwnerRecord(key, f"owner {key}") for key in keys if key != "nobody"]

    def key(self, row: OwnerRecord) -> str:
        return row.id


@strawberry.type
class Owner:
    id: strawberry.ID
    name: str


@strawberry.type
class Pet:
    owner: Owner | None = link(OwnerById, key="owner_id", description="Whose it is.")
    price: Money | None = money("price")


PETS = [PetRecord("o1", Decimal("12.50")), PetRecord(None), PetRecord("o2"), PetRecord("nobody"), PetRecord("o1")]
counted: list[int] = []


@strawberry.type
class Query:
    @strawberry.field
    def pets(self) -> list[Pet]:
        return PETS  # type: ignore[return-value]

    @strawberry.field
    def page(self, info: Info) -> Connection[Pet] | None:
        async def count() -> int:
            counted.append(1)
            return 9

        return offset_page(PETS[:2], 3, has_next=True, total=count)  # type: ignore[return-value]

    @strawberry.field
    def echo(self, currency: CurrencyCode, amount: Decimal) -> Money:
        return Money(amount=amount, currency=currency)


@pytest.fixture(scope="module")
def schema() -> strawberry.federation.Schema:
    return strawberry.federation.Schema(query=Query, config=StrawberryConfig(scalar_map=SCALARS))


@pytest.fixture
def ctx(make_context: MakeContext, service: Principal) -> Context:
    counted.clear()
    return make_context(service)


async def test_joins_of_many_rows_are_one_fetch(schema: strawberry.federation.Schema, ctx: Context) -> None:
    result = await schema.execute("{ pets { owner { id name } } again: pets { owner { id } } }", context_value=ctx)
    assert result.errors is None
    assert result.data is not None
    names = [pet["owner"] and pet["owner"]["name"] for pet in result.data["pets"]]
    assert names == ["owner o1", None, "owner o2", None, "owner o1"]
    assert ctx.loader(OwnerById).calls == [["o1", "o2", "nobody"]]


async def test_money_is_an_amount_with_its_currency_or_nothing(
    schema: strawberry.federation.Schema, ctx: Context
) -> None:
    result = await schema.execute("{ pets { price { amount currency } } }", context_value=ctx)
    assert result.data is not None
    assert result.data["pets"][0]["price"] == {"amount": "12.50", "currency": "EUR"}
    assert result.data["pets"][1]["price"] is None


def test_a_declaration_says_what_it_does() -> None:
    fields = {field.python_name: field for field in Pet.__strawberry_definition__.fields}  # type: ignore[attr-defined]
    assert fields["owner"].metadata == {"link": (OwnerById, "owner_id")}
    assert fields["price"].metadata == {"money": "price"}
    assert fields["owner"].description == "Whose it is."


async def test_a_page_has_nodes_beside_edges_and_counts_only_when_asked(
    schema: strawberry.federation.Schema, ctx: Context
) -> None:
    fields = "nodes { owner { id } } edges { cursor node { owner { id } } } pageInfo { hasNextPage endCursor }"
    result = await schema.execute(f"{{ page {{ {fields} }} }}", context_value=ctx)
    assert result.data is not None
    page = result.data["page"]
    assert page["nodes"] == [edge["node"] for edge in page["edges"]] == [{"owner": {"id": "o1"}}, {"owner": None}]
    assert page["pageInfo"] == {"hasNextPage": True, "endCursor": page["edges"][-1]["cursor"]}
    assert counted == []
    result = await schema.execute("{ page { totalCount } }", context_value=ctx)
    assert (result.data, counted) == ({"page": {"totalCount": 9}}, [1])


ECHO = "query($c: CurrencyCode!, $a: Decimal!) { echo(currency: $c, amount: $a) { amount currency } }"


async def test_a_currency_is_three_letters_in_upper_case(schema: strawberry.federation.Schema, ctx: Context) -> None:
    result = await schema.execute(ECHO, {"c": "eur", "a": "1.10"}, context_value=ctx)
    assert result.data == {"echo": {"amount": "1.10", "currency": "EUR"}}


@pytest.mark.parametrize("currency", ["EURO", "", "E1R", "€€€", 7, {"$ne": ""}, None])
async def test_another_currency_is_refused(schema: strawberry.federation.Schema, ctx: Context, currency: Any) -> None:
    result = await schema.execute(ECHO, {"c": currency, "a": "1"}, context_value=ctx)
    assert result.data is None
    assert result.errors


def address(**changes: Any) -> AddressInput:
    return AddressInput(**{"street": "Rruga 1", "city": "Tirana", "country": "al", **changes})


def test_an_address_is_understood() -> None:
    told = address(name="N", postal_code="1001", latitude=41.3, longitude=19.8).to_address()
    assert (told.country, told.name, told.postal_code, told.latitude, told.longitude) == ("AL", "N", "1001", 41.3, 19.8)
    bare = address().to_address()
    assert (bare.name, bare.postal_code, bare.latitude, bare.longitude, bare.phone) == (None,) * 5
    assert address(latitude=None, longitude=None).to_address().latitude is None


@pytest.mark.parametrize(
    "changes",
    [
        {"country": "Albania"},
        {"country": ""},
        {"country": "A1"},
        {"latitude": 41.3},
        {"longitude": 19.8},
        {"latitude": 91.0, "longitude": 0.0},
        {"latitude": 0.0, "longitude": -181.0},
        {"latitude": float("nan"), "longitude": 0.0},
    ],
)
def test_an_address_that_is_nowhere_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadUserInput):
        address(**changes).to_address()
