"""What `make run` promises to somebody who stops it, kills it and starts it again."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.end_to_end.conftest import NewGateway
from tests.end_to_end.gateway import Gateway


def pids(gateway: Gateway) -> dict[str, int]:
    endpoints = json.loads((gateway.data_dir / "endpoints.json").read_text())
    return {name: child["pid"] for name, child in endpoints.items()}


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0]


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
async def test_stopping_leaves_nothing_behind_and_a_second_start_has_everything(new_gateway: NewGateway) -> None:
    gateway = await new_gateway()
    first = gateway.credentials
    cart = await gateway.data('mutation { createCart(input: { currency: "EUR" }) { id } }',
                              headers=gateway.user("MANAGER"))  # fmt: skip
    children = pids(gateway)
    assert all(lives(pid) for pid in children.values())
    await gateway.stop()
    assert not any(lives(pid) for pid in children.values())

    await gateway.start()
    assert gateway.credentials["service_key"] == first["service_key"]
    query = "query ($id: ID!) { cart(id: $id) { id } users(first: 1) { totalCount } }"
    found = await gateway.data(query, {"id": cart["createCart"]["id"]})
    assert found["cart"] == {"id": cart["createCart"]["id"]}
    assert found["users"]["totalCount"] == 56


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
async def test_after_kill_9_the_orphans_are_taken_over_and_nothing_is_lost(new_gateway: NewGateway) -> None:
    gateway = await new_gateway()
    cart = await gateway.data('mutation { createCart(input: { currency: "EUR" }) { id } }',
                              headers=gateway.user("MANAGER"))  # fmt: skip
    orphans = pids(gateway)
    await gateway.kill()
    await gateway.start()
    assert (await gateway.data("query ($id: ID!) { cart(id: $id) { id } }", {"id": cart["createCart"]["id"]}))["cart"]
    now = pids(gateway)
    await gateway.stop()
    assert not any(lives(pid) for pid in {*orphans.values(), *now.values()})


async def test_two_gateways_never_share_a_data_directory(new_gateway: NewGateway) -> None:
    gateway = await new_gateway()
    other = Gateway(gateway.data_dir)
    with pytest.raises(AssertionError, match=r"The gateway cannot start: .* is in use by another gateway"):
        await other.start()
    assert (await gateway.get("/readyz")).status_code == 200
    await other.aclose()


async def test_the_files_of_secrets_are_the_owners_alone(gateway: Gateway) -> None:
    assert os.stat(gateway.data_dir).st_mode & 0o777 == 0o700
    assert os.stat(gateway.data_dir / "credentials.json").st_mode & 0o777 == 0o600
    log = gateway.data_dir.with_suffix(".log").read_text()
    assert gateway.credentials["jwt_secret"] not in log
    assert gateway.credentials["key_pepper"] not in log
