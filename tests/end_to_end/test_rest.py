"""The REST layer of a gateway that runs as it is shipped."""

from __future__ import annotations

import hashlib

import httpx

from tests.end_to_end.conftest import NewGateway
from tests.end_to_end.gateway import Gateway
from tests.end_to_end.test_files import GROWTH_BYTES, SIZE_MB, WARM_MB, watched
from tests.end_to_end.transfer import MEGABYTE, numbers

FILES = "/api/gateway/storage"


async def test_health_is_as_its_callers_read_it(gateway: Gateway) -> None:
    body = (await gateway.get("/api/gateway/health", headers=gateway.service())).json()
    assert body["status"] == "operational"
    systems = {"payload", "medusa", "fleetbase", "erpnext", "waltid", "stripe", "temporal", "minio"}
    assert systems <= body["systems"].keys()
    for system in body["systems"].values():
        assert system["status"] == "up"
        assert system["latency"] >= 0


async def test_a_customer_finds_their_orders(gateway: Gateway) -> None:
    body = (await gateway.get("/api/gateway/commerce/orders?limit=5", headers=gateway.user("CUSTOMER"))).json()
    assert body["success"] is True
    assert body["data"]["count"] >= len(body["data"]["orders"]) > 0


async def uploaded(http: httpx.AsyncClient, megabytes: int) -> str:
    answer = await http.post(f"{FILES}/upload?name=large.bin", content=numbers(megabytes, hashlib.sha256()))
    assert answer.status_code == 201, answer.text
    stored = answer.json()["data"]
    assert stored["sizeBytes"] == megabytes * MEGABYTE
    return str(stored["key"])


async def test_a_large_file_goes_in_and_out_without_being_held(new_gateway: NewGateway) -> None:
    gateway = await new_gateway(MUTATION_TIMEOUT_S="120")  # this is about memory, on however busy a machine
    sent, received = hashlib.sha256(), hashlib.sha256()
    async with httpx.AsyncClient(base_url=gateway.url, headers=gateway.service(), timeout=120, trust_env=False) as http:
        await uploaded(http, WARM_MB)
        async with watched(gateway.pid) as memory:
            key = await uploaded(http, SIZE_MB)
            async with http.stream("GET", f"{FILES}/files/{key}", params={"download": "true"}) as answer:
                assert answer.headers["content-length"] == str(SIZE_MB * MEGABYTE)
                async for chunk in answer.aiter_bytes():
                    received.update(chunk)
        assert memory.growth < GROWTH_BYTES
        async for _ in numbers(SIZE_MB, sent):
            pass
        assert received.digest() == sent.digest()
        assert (await http.delete(f"{FILES}/files/{key}")).status_code == 200
