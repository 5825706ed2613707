from __future__ import annotations

import httpx
from graphql import parse, validate
from httpx_aiohttp import AiohttpTransport
from strawberry.extensions import ParserCache, ValidationCache

from bench.plain import plain_schema, stock_transports
from core.settings import Settings
from datasources._http import open_client
from graphiql.examples import DASHBOARD
from schema import build_schema


async def test_backends_are_asked_through_httpx_as_it_comes_only_within_the_block() -> None:
    async with open_client("http://shop.example", {}) as before:
        with stock_transports():
            async with open_client("http://shop.example", {}) as within:
                assert type(within._transport) is httpx.AsyncHTTPTransport
        async with open_client("http://shop.example", {}) as after:
            assert type(before._transport) is type(after._transport) is AiohttpTransport


def test_the_plain_schema_has_the_gateways_queries_and_none_of_its_caches() -> None:
    plain, gateways = plain_schema(Settings()), build_schema(Settings())
    assert not any(isinstance(each, ParserCache | ValidationCache) for each in plain.get_extensions())
    assert any(isinstance(each, ParserCache) for each in gateways.get_extensions())
    ours, theirs = plain._schema.query_type, gateways._schema.query_type
    assert ours is not None
    assert theirs is not None
    assert set(ours.fields) == set(theirs.fields)


def test_the_plain_schema_takes_the_dashboard() -> None:
    assert validate(plain_schema(Settings())._schema, parse(DASHBOARD.query)) == []
