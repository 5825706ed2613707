"""What production does not start with, one reason at a time."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr
from pydantic_settings import BaseSettings

from core.production import refusals
from core.settings import (
    ErpnextSettings,
    FleetbaseSettings,
    MedusaSettings,
    MongoSettings,
    SendgridSettings,
    Settings,
    StripeSettings,
    TemporalSettings,
)

KEY = SecretStr("k")
LIVE: dict[str, BaseSettings] = {
    "mongodb": MongoSettings(uri=SecretStr("mongodb://db.example")),
    "temporal": TemporalSettings(address="temporal.example:7233"),
    "medusa": MedusaSettings(api_key=KEY),
    "fleetbase": FleetbaseSettings(api_key=KEY),
    "erpnext": ErpnextSettings(api_key=KEY),
    "stripe": StripeSettings(secret_key=KEY),
    "sendgrid": SendgridSettings.model_validate({"api_key": KEY}),
}


def production(**changes: Any) -> Settings:
    secrets = {"jwt_secret": SecretStr("s" * 32), "key_pepper": SecretStr("p" * 32)}
    return Settings.model_validate({"app_env": "production", **secrets, **LIVE, **changes})


def test_development_starts_with_anything() -> None:
    assert refusals(Settings()) == []


def test_production_starts_when_everything_is_live_and_secret() -> None:
    assert refusals(production()) == []


@pytest.mark.parametrize("name", LIVE)
def test_it_refuses_each_backend_that_is_not_live(name: str) -> None:
    [reason] = refusals(production(**{name: type(LIVE[name])()}))
    assert "ALLOW_SANDBOX" in reason
    assert name in reason.lower()
    assert refusals(production(allow_sandbox=True, **{name: type(LIVE[name])()})) == []


@pytest.mark.parametrize("name", ["jwt_secret", "key_pepper"])
def test_it_refuses_to_start_without_secrets_of_its_own(name: str) -> None:
    assert refusals(production(**{name: None})) == [f"{name.upper()} is not set"]
    assert refusals(production(allow_sandbox=True, **{name: None})) == [f"{name.upper()} is not set"]


ADDRESSES = {
    "MEDUSA_API_URL": ("medusa", "api_url"),
    "FLEETBASE_URL": ("fleetbase", "url"),
    "ERPNEXT_URL": ("erpnext", "url"),
    "STRIPE_API_BASE": ("stripe", "api_base"),
    "SENDGRID_API_BASE": ("sendgrid", "api_base"),
}


def at(variable: str, url: str) -> Settings:
    block, field = ADDRESSES[variable]
    fields = LIVE[block].model_dump() | {field: url}
    return production(**{block: type(LIVE[block]).model_validate(fields)})


@pytest.mark.parametrize("variable", ADDRESSES)
def test_it_refuses_each_plain_address_on_a_public_network(variable: str) -> None:
    [reason] = refusals(at(variable, "http://backend.example"))
    assert variable in reason
    assert refusals(at(variable, "https://backend.example")) == []


@pytest.mark.parametrize(
    ("url", "is_private"),
    [
        ("http://127.0.0.1:9000", True),
        ("http://localhost:9000", True),
        ("http://[::1]:9000", True),
        ("http://10.1.2.3", True),
        ("http://172.16.0.1", True),
        ("http://192.168.1.1", True),
        ("http://[fd00::1]", True),
        ("http://8.8.8.8", False),
        ("http://172.32.0.1", False),
        ("http://[2001:4860:4860::8888]", False),
        ("http://[::ffff:8.8.8.8]", False),
        ("http://localhost.example", False),
        ("http://medusa:9000", False),
    ],
)
def test_only_loopback_and_private_ranges_are_private(url: str, is_private: bool) -> None:
    assert (refusals(at("MEDUSA_API_URL", url)) == []) is is_private


def test_every_reason_is_told_at_once() -> None:
    assert len(refusals(Settings(app_env="production"))) == len(LIVE) + 2
