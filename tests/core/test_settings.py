"""Settings: read from the environment, with nothing to set for a start."""

from __future__ import annotations

import pytest
from pydantic import SecretStr, ValidationError

from core.backends import BackendMode
from core.buckets import Limit
from core.settings import MongoSettings, PayloadSettings, RateLimitSettings, Settings

BLOCKS = {
    "mongodb": ("MONGODB_URI", BackendMode.EMBEDDED),
    "temporal": ("TEMPORAL_ADDRESS", BackendMode.EMBEDDED),
    "medusa": ("MEDUSA_API_KEY", BackendMode.SANDBOX),
    "fleetbase": ("FLEETBASE_API_KEY", BackendMode.SANDBOX),
    "erpnext": ("ERPNEXT_API_KEY", BackendMode.SANDBOX),
    "stripe": ("STRIPE_SECRET_KEY", BackendMode.SANDBOX),
    "sendgrid": ("SENDGRID_API_KEY", BackendMode.SANDBOX),
    "twilio": ("TWILIO_AUTH_TOKEN", BackendMode.SANDBOX),
    "openai": ("OPENAI_API_KEY", BackendMode.SANDBOX),
    "payload": ("PAYLOAD_URL", BackendMode.SANDBOX),
}


def test_nothing_needs_to_be_set() -> None:
    settings = Settings()
    assert settings.app_env == "development"
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert {name: getattr(settings, name).mode for name in BLOCKS} == {name: mode for name, (_, mode) in BLOCKS.items()}
    assert settings.payload_api_key is settings.jwt_secret is settings.key_pepper is None


@pytest.mark.parametrize("name", BLOCKS)
def test_a_backend_is_live_when_its_credential_is_set_and_not_empty(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variable, otherwise = BLOCKS[name]
    monkeypatch.setenv(variable, "")
    assert getattr(Settings(), name).mode is otherwise
    monkeypatch.setenv(variable, "http://something" if variable.endswith("_URL") else "something")
    modes = {other: getattr(Settings(), other).mode for other in BLOCKS}
    assert modes.pop(name) is BackendMode.LIVE
    assert BackendMode.LIVE not in modes.values()


def test_empty_variables_count_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PORT", "PAYLOAD_API_KEY", "JWT_SECRET", "CORS_ORIGINS", "FLEETBASE_RATE_PER_MINUTE", "SENDGRID_FROM"):
        monkeypatch.setenv(name, "")
    settings = Settings()
    assert settings == Settings(port=8000)
    assert settings.payload_api_key is None
    assert settings.fleetbase.rate_per_minute == 120
    assert settings.sendgrid.sender == "orders@localhost"


def test_blocks_read_variables_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "MONGODB_DATABASE": "shop",
        "MEDUSA_API_URL": "https://medusa.example",
        "FLEETBASE_RATE_PER_MINUTE": "60",
        "ERPNEXT_ORDER_FIELD": "po_no",
        "SENDGRID_FROM": "shop@example.com",
        "OPENAI_MODELS": "gpt-4.1, o4-mini",
        "TEMPORAL_EMBEDDED_WORKER": "false",
    }.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.mongodb.database == "shop"
    assert str(settings.medusa.api_url) == "https://medusa.example/"
    assert settings.fleetbase.rate_per_minute == 60
    assert settings.erpnext.order_field == "po_no"
    assert settings.sendgrid.sender == "shop@example.com"
    assert settings.openai.models == ("gpt-4.1", "o4-mini")
    assert not settings.temporal.embedded_worker


def test_arguments_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "9000")
    assert Settings().port == 9000
    assert Settings(port=9001).port == 9001


def test_secrets_print_as_stars() -> None:
    settings = Settings(
        payload_api_key=SecretStr("hush"),
        jwt_secret=SecretStr("hush"),
        key_pepper=SecretStr("hush"),
        mongodb=MongoSettings(uri=SecretStr("mongodb://u:hush@db.example")),
    )
    for printed in (repr(settings), str(settings), settings.model_dump_json()):
        assert "hush" not in printed
        assert "****" in printed


def test_an_error_names_the_setting_and_not_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDUSA_API_URL", "user:hush@nowhere")
    with pytest.raises(ValidationError, match="api_url") as caught:
        Settings()
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(("name", "value"), [("APP_ENV", "prod"), ("PORT", "http"), ("LOG_LEVEL", "loud")])
def test_a_setting_that_makes_no_sense_stops_the_start(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        Settings()


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1


def test_browsers_may_come_from_the_storefronts_and_the_listed_origins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOREFRONT_URL_DEV", "https://dev.example/")
    monkeypatch.setenv("CORS_ORIGINS", " https://a.example , ,https://b.example:8443/")
    assert Settings().allowed_origins == ["https://dev.example", "https://a.example", "https://b.example:8443"]
    assert Settings(storefront_url_dev=None, cors_origins=()).allowed_origins == []


def test_limits_are_a_rate_and_a_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().rate_limit.user == Limit(2_000, 10_000)
    assert Settings().auth_failure_limit == Limit(10, 50)
    assert Settings().registration_limit == Limit(1, 60)
    for name, value in {"RATE_LIMIT_USER": "0.5:20", "RATE_LIMIT_CLIENT": "0", "AUTH_FAILURE_LIMIT": "1:5"}.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.rate_limit.user == Limit(0.5, 20)
    assert settings.rate_limit.client.is_off
    assert settings.auth_failure_limit == Limit(1, 5)
    assert settings.rate_limit.service == RateLimitSettings().service


@pytest.mark.parametrize("value", ["10", "10:", ":10", "a:b", "10:0", "-1:5", "10:inf", "nan:5", "1:2:3"])
def test_what_is_no_limit_stops_the_start(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATE_LIMIT_USER", value)
    with pytest.raises(ValidationError, match="user"):
        Settings()


@pytest.mark.parametrize(
    ("name", "value"), [("REDIS_URL", "http://u:hush@redis.example"), ("TRUSTED_PROXIES", "10.0.0.1, hush")]
)
def test_addresses_are_checked_at_the_start(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=name.lower()) as caught:
        Settings()
    assert "hush" not in str(caught.value)


def test_payload_is_told_what_callers_may_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYLOAD_COLLECTIONS", "pages, recipes")
    monkeypatch.setenv("PAYLOAD_TENANT_FIELD", "owner.slug")
    block = Settings().payload
    assert (block.collections, block.tenant_field, block.auth_collection) == (
        ("pages", "recipes"),
        "owner.slug",
        "users",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("PAYLOAD_COLLECTIONS", value)
            for value in ("pages,orders", "verifications", "deliveries", "users", "payload-jobs", "Pages", "a/b", "..")
        ),
        ("PAYLOAD_AUTH_COLLECTION", "users/1"),
        ("PAYLOAD_TENANT_FIELD", "tenant]["),
        ("PAYLOAD_TENANT_FIELD", "tenant."),
    ],
)
def test_payload_is_not_told_to_show_what_is_not_for_callers(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        Settings()


def test_payloads_key_is_the_inbound_one_in_development_only() -> None:
    inbound, outbound = SecretStr("hush, in"), SecretStr("hush, out")
    assert Settings().payload_key is None
    assert Settings(payload_api_key=inbound).payload_key == inbound
    assert Settings(payload_api_key=inbound, app_env="production").payload_key is None
    both = Settings(payload_api_key=inbound, payload=PayloadSettings(outbound_api_key=outbound), app_env="production")
    assert both.payload_key == outbound
    assert "hush" not in repr(both)
