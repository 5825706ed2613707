"""What production does not start with, one reason at a time."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import HttpUrl, SecretStr
from pydantic_settings import BaseSettings

from core.production import refusals
from core.settings import (
    ErpnextSettings,
    FleetbaseSettings,
    MedusaSettings,
    MinioSettings,
    MongoSettings,
    OpenaiSettings,
    PayloadSettings,
    SendgridSettings,
    Settings,
    StrapiSettings,
    StripeSettings,
    TemporalSettings,
    TwilioSettings,
    WaltidSettings,
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
    "twilio": TwilioSettings(auth_token=KEY),
    "openai": OpenaiSettings(api_key=KEY),
    "waltid": WaltidSettings(
        url=HttpUrl("https://identity.example"), issuer_key=SecretStr("{}"), wallet_secret=SecretStr("w" * 32)
    ),
    "payload": PayloadSettings(url=HttpUrl("https://cms.example"), outbound_api_key=KEY),
    "strapi": StrapiSettings(api_token=KEY),
    "minio": MinioSettings(access_key=KEY, secret_key=KEY),
}


def production(**changes: Any) -> Settings:
    secrets = {
        "jwt_secret": SecretStr("s" * 32),
        "key_pepper": SecretStr("p" * 32),
        "public_url": "https://gateway.example",
    }
    return Settings.model_validate({"app_env": "production", **secrets, **LIVE, **changes})


def test_development_starts_with_anything() -> None:
    assert refusals(Settings()) == []


def test_production_starts_when_everything_is_live_and_secret() -> None:
    assert refusals(production()) == []


@pytest.mark.parametrize("name", LIVE)
def test_it_refuses_each_backend_that_is_not_live(name: str) -> None:
    [reason] = refusals(production(**{name: type(LIVE[name])()}))
    assert "ALLOW_SANDBOX" in reason
    assert name in reason.lower().replace(".", "")
    assert refusals(production(allow_sandbox=True, **{name: type(LIVE[name])()})) == []


@pytest.mark.parametrize("sandbox", [False, True])
def test_it_refuses_to_start_without_secrets_of_its_own(sandbox: bool) -> None:
    assert refusals(production(allow_sandbox=sandbox, key_pepper=None)) == ["KEY_PEPPER is not set"]
    without = production(allow_sandbox=sandbox, jwt_secret=None)
    assert refusals(without) == ["neither JWT_SECRET nor JWKS_URL is set"]


def test_the_key_that_callers_show_is_not_shown_to_payload() -> None:
    live = PayloadSettings(url=HttpUrl("https://cms.example"))
    [reason] = refusals(production(payload=live, payload_api_key=KEY))
    assert "PAYLOAD_OUTBOUND_API_KEY" in reason
    assert refusals(Settings(payload=live, payload_api_key=KEY)) == []


def test_tokens_may_come_from_an_issuer_alone() -> None:
    assert refusals(production(jwt_secret=None, jwks_url="https://id.example/keys")) == []


def test_two_sources_of_tokens_must_be_told_apart() -> None:
    [reason] = refusals(production(jwks_url="https://id.example/keys"))
    assert "JWT_ISSUER" in reason
    assert refusals(production(jwks_url="https://id.example/keys", jwt_issuer="https://id.example")) == []
    assert refusals(Settings(jwt_secret=SecretStr("s"), jwks_url=HttpUrl("https://id.example/keys"))) == []


@pytest.mark.parametrize(
    ("url", "is_fine"),
    [
        ("http://id.example/keys", False),
        ("http://8.8.8.8/keys", False),
        ("https://id.example/keys", True),
        ("http://127.0.0.1:8080/keys", True),
        ("http://10.0.0.7/keys", True),
    ],
)
def test_the_keys_of_tokens_are_not_fetched_in_the_clear(url: str, is_fine: bool) -> None:
    found = refusals(production(jwt_secret=None, jwks_url=url))
    assert (found == []) is is_fine
    assert all("JWKS_URL" in reason for reason in found)


ADDRESSES = {
    "MEDUSA_API_URL": ("medusa", "api_url"),
    "FLEETBASE_URL": ("fleetbase", "url"),
    "ERPNEXT_URL": ("erpnext", "url"),
    "STRIPE_API_BASE": ("stripe", "api_base"),
    "SENDGRID_API_BASE": ("sendgrid", "api_base"),
    "TWILIO_API_BASE": ("twilio", "api_base"),
    "OPENAI_BASE_URL": ("openai", "base_url"),
    "PAYLOAD_URL": ("payload", "url"),
    "STRAPI_URL": ("strapi", "url"),
    "MINIO_ENDPOINT": ("minio", "endpoint"),
    "MINIO_PUBLIC_ENDPOINT": ("minio", "public_endpoint"),
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


@pytest.mark.parametrize(
    ("url", "may_serve"),
    [
        ("redis://:s3cret@redis.example:6379/0", False),
        ("redis://redis:6379", False),
        ("redis://8.8.8.8", False),
        ("redis://127.0.0.1:6379", True),
        ("redis://:s3cret@10.1.2.3:6379/1", True),
        ("redis://[::1]:6379", True),
        ("rediss://redis.example:6379", True),
        ("unix:///run/redis.sock", True),
    ],
)
def test_redis_is_reached_by_tls_or_in_private(url: str, may_serve: bool) -> None:
    reasons = refusals(production(redis_url=SecretStr(url)))
    assert (reasons == []) is may_serve
    assert all("REDIS_URL" in reason and "s3cret" not in reason for reason in reasons)


@pytest.mark.parametrize("everybody", ["0.0.0.0/0", "::/0"])
def test_not_everybody_is_a_trusted_proxy(everybody: str) -> None:
    [reason] = refusals(production(trusted_proxies=["10.0.0.1", everybody]))
    assert "TRUSTED_PROXIES" in reason
    assert refusals(production(trusted_proxies=["10.0.0.0/8"])) == []


def test_every_reason_is_told_at_once() -> None:
    assert len(refusals(Settings(app_env="production"))) == len(LIVE) + 2


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"wallet_secret": None}, "WALTID_WALLET_SECRET"),
        ({"wallet_secret": SecretStr("w" * 31)}, "WALTID_WALLET_SECRET"),
        ({"issuer_key": None}, "WALTID_ISSUER_KEY"),
        ({"verifier_url": HttpUrl("http://verifier.example")}, "the verifier of WALTID_URL"),
    ],
)
def test_it_refuses_wallets_that_could_not_be_opened_again(changes: dict[str, Any], name: str) -> None:
    [reason] = refusals(production(waltid=LIVE["waltid"].model_copy(update=changes)))
    assert name in reason


def test_credentials_must_say_where_their_status_is_found() -> None:
    [reason] = refusals(production(public_url=None))
    assert "PUBLIC_URL" in reason
