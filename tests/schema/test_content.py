"""Content as queries see it, and in how many calls."""

from __future__ import annotations

from typing import Any

import strawberry
from strawberry.schema.config import StrawberryConfig

from core import operation
from core.errors import GatewayError
from core.principals import Principal
from engine.scopes import enforce_scopes
from schema.content import ContentQuery
from schema.scalars import SCALARS
from tests.callers import SERVICE, person, user
from tests.market import Market

pytest_plugins = ["tests.backends"]

CUSTOMER = user(person("CUSTOMER", 2))


@strawberry.type
class Query(ContentQuery):
    pass


SCHEMA = strawberry.federation.Schema(query=Query, config=StrawberryConfig(scalar_map=SCALARS))
enforce_scopes(SCHEMA)


async def try_to(market: Market, principal: Principal, document: str, **variables: Any) -> tuple[Any, list[str]]:
    """The data of an operation, and its errors' codes with the fields they stand for."""
    await market.content.payload.ping()
    result = await SCHEMA.execute(document, context_value=market.context(principal), variable_values=variables)
    told = []
    for error in result.errors or []:
        assert isinstance(error.original_error, GatewayError), error
        told.append(f"{'.'.join(map(str, error.path or []))}: {error.original_error.code}")
    return result.data, told


async def ask(market: Market, principal: Principal, document: str, **variables: Any) -> Any:
    """The data of an operation that has no errors."""
    data, errors = await try_to(market, principal, document, **variables)
    assert errors == []
    return data


async def test_a_page_tells_everything(market: Market) -> None:
    page = (await ask(market, CUSTOMER, '{ page(slug: "home") { id slug title blocks status updatedAt } }'))["page"]
    assert (page["slug"], page["title"], page["status"]) == ("home", "Home", "published")
    assert [block["blockType"] for block in page["blocks"]] == ["hero", "productGrid"]
    assert page["id"].isdigit()
    assert page["updatedAt"].endswith("+00:00")


async def test_a_document_tells_everything(market: Market) -> None:
    document = """{ content(collection: "events", first: 1) {
        totalCount edges { cursor node { id collection title data updatedAt } } pageInfo { hasNextPage }
    } }"""
    found = (await ask(market, CUSTOMER, document))["content"]
    [edge] = found["edges"]
    assert (found["totalCount"], found["pageInfo"]["hasNextPage"]) == (3, True)
    assert (edge["node"]["collection"], edge["node"]["title"]) == ("events", "Wine tasting")
    assert (edge["node"]["data"]["price"], edge["node"]["data"]["seats"]) == (28.5, 24)
    assert edge["node"]["updatedAt"]


async def test_fifty_documents_and_their_number_are_one_call(market: Market) -> None:
    document = """{ content(collection: "posts", first: 50) { totalCount nodes { id title data } } }"""
    found = (await ask(market, SERVICE, document))["content"]
    assert (len(found["nodes"]), found["totalCount"]) == (50, 56)
    assert len(operation.current().calls) == 1


async def test_pages_by_their_slugs_are_one_call(market: Market) -> None:
    slugs = ("home", "about", "delivery", "terms", "nope", "home-bbdf25")
    aliases = " ".join(f'p{n}: page(slug: "{slug}") {{ slug }}' for n, slug in enumerate(slugs))
    found = await ask(market, CUSTOMER, f'{{ {aliases} again: page(slug: "home") {{ title }} }}')
    assert [page and page["slug"] for page in found.values() if page is None or "slug" in page] == [
        *slugs[:4], None, None,
    ]  # fmt: skip
    assert found["again"] == {"title": "Home"}
    assert len(operation.current().calls) == 1


async def test_a_filter_is_a_variable_or_a_literal(market: Market) -> None:
    document = """query ($where: JSON) { content(collection: "services", where: $where) { nodes { title } } }"""
    found = await ask(market, CUSTOMER, document, where={"title": {"like": "tour"}})
    assert found["content"]["nodes"] == [{"title": "City tour"}]
    assert len((await ask(market, CUSTOMER, document, where=None))["content"]["nodes"]) == 3
    literal = '{ content(collection: "services", where: {price: {less_than: 5}}) { nodes { title } } }'
    assert (await ask(market, CUSTOMER, literal))["content"]["nodes"] == [{"title": "Gift wrapping"}]


async def test_a_search_is_a_call_for_each_collection(market: Market) -> None:
    document = '{ searchContent(query: "book") { collection title } }'
    found = (await ask(market, CUSTOMER, document))["searchContent"]
    assert found == [{"collection": "events", "title": "Book fair"}]
    assert len(operation.current().calls) == 4
    one = '{ searchContent(query: "book", collections: ["events"]) { title } }'
    assert (await ask(market, CUSTOMER, one))["searchContent"] == [{"title": "Book fair"}]
    assert len(operation.current().calls) == 1


async def test_what_is_wrong_is_null_with_a_reason_and_the_rest_arrives(market: Market) -> None:
    document = """{
        pages(first: 1) { nodes { slug } }
        users: content(collection: "users") { nodes { id } }
        drafts: content(collection: "posts", where: {_status: {equals: "draft"}}) { nodes { id } }
        many: content(collection: "posts", first: 101) { nodes { id } }
        searchContent(query: "x") { id }
    }"""
    data, errors = await try_to(market, CUSTOMER, document)
    assert data == {
        "pages": {"nodes": [{"slug": "terms"}]}, "users": None, "drafts": None, "many": None, "searchContent": None,
    }  # fmt: skip
    assert sorted(errors) == [f"{name}: BAD_USER_INPUT" for name in ("drafts", "many", "searchContent", "users")]


async def test_a_wrong_key_is_an_error_and_no_half_empty_list(market: Market) -> None:
    market.content.store.put("users", "1", {**market.content.store.rows("users")[0], "apiKey": "another"})
    document = '{ pages { nodes { id } } page(slug: "home") { id } }'
    result = await SCHEMA.execute(document, context_value=market.context(CUSTOMER))
    assert result.data == {"pages": None, "page": None}
    codes = {
        error.original_error.code for error in result.errors or () if isinstance(error.original_error, GatewayError)
    }
    assert codes == {"UPSTREAM_REJECTED"}


async def test_content_needs_its_scope(market: Market) -> None:
    nobody = Principal(CUSTOMER.kind, frozenset({"core:read"}), backend_scope=CUSTOMER.backend_scope)
    document = '{ pages { nodes { id } } page(slug: "home") { id } searchContent(query: "tour") { id } }'
    data, errors = await try_to(market, nobody, document)
    assert data == {"pages": None, "page": None, "searchContent": None}
    assert {error.partition(": ")[2] for error in errors} == {"FORBIDDEN"}
    assert [call.path for call in market.content.line.calls] == ["/api/users/me"]
