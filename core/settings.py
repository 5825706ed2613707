"""All settings: one frozen model, one block per backend, read from the environment at the edge.

A backend is LIVE when its credential is set and otherwise answered by the gateway's own engine or simulator. Empty
variables count as unset. Secrets are `SecretStr` and print as stars.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, HttpUrl, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from core.backends import BackendMode


def _split(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""A comma-separated list."""


def _block(prefix: str) -> SettingsConfigDict:
    """Errors name the setting and not its value, which may be a secret in the wrong place."""
    return SettingsConfigDict(
        env_prefix=prefix,
        frozen=True,
        env_ignore_empty=True,
        extra="ignore",
        populate_by_name=True,
        hide_input_in_errors=True,
    )


class MongoSettings(BaseSettings):
    model_config = _block("MONGODB_")
    uri: SecretStr | None = None
    database: str = "omnistack"

    @property
    def mode(self) -> BackendMode:
        return BackendMode.LIVE if self.uri else BackendMode.EMBEDDED


class TemporalSettings(BaseSettings):
    model_config = _block("TEMPORAL_")
    address: str | None = None
    namespace: str = "default"
    api_key: SecretStr | None = None
    task_queue: str = "omnistack-gateway"
    embedded_worker: bool = True
    """Run the workflow worker inside the gateway process; switch off where `python -m workflows.worker` runs."""

    @property
    def mode(self) -> BackendMode:
        return BackendMode.LIVE if self.address else BackendMode.EMBEDDED


class MedusaSettings(BaseSettings):
    model_config = _block("MEDUSA_")
    api_url: HttpUrl = HttpUrl("http://127.0.0.1:9000")
    api_key: SecretStr | None = None
    publishable_key: SecretStr | None = None
    region_id: str | None = None
    timeout_s: float = 8.0

    @property
    def mode(self) -> BackendMode:
        return BackendMode.LIVE if self.api_key else BackendMode.SANDBOX


class FleetbaseSettings(BaseSettings):
    model_config = _block("FLEETBASE_")
    url: HttpUrl = HttpUrl("http://127.0.0.1:8001")
    api_key: SecretStr | None = None
    rate_per_minute: int | None = 120
    timeout_s: float = 8.0

    @property
    def mode(self) -> BackendMode:
        return BackendMode.LIVE if self.api_key else BackendMode.SANDBOX


class ErpnextSettings(BaseSettings):
    model_config = _block("ERPNEXT_")
    url: HttpUrl = HttpUrl("http://127.0.0.1:8080")
    api_key: SecretStr | None = None
    api_secret: SecretStr | None = None
    company: str | None = None
    timezone: str = "Europe/Tirane"
    """The site's own zone: its datetimes carry none."""
    order_field: str = "custom_commerce_order_id"
    """The Sales Invoice field that holds the commerce order's id; `po_no` where the custom field is missing."""
    timeout_s: float = 8.0

    @property
    def mode(self) -> BackendMode:
        return BackendMode.LIVE if self.api_key else BackendMode.SANDBOX


class StripeSettings(BaseSettings):
    model_config = _block("STRIPE_")
    secret_key: SecretStr | None = None
    api_base: HttpUrl = HttpUrl("https://api.stripe.com")
    timeout_s: float = 8.0

    @property
    def mode(self) -> BackendMode:
        return BackendMode.LIVE if self.secret_key else BackendMode.SANDBOX


class SendgridSettings(BaseSettings):
    model_config = _block("SENDGRID_")
    api_key: SecretStr | None = None
    api_base: HttpUrl = HttpUrl("https://api.sendgrid.com")
    sender: str = Field("orders@localhost", validation_alias="SENDGRID_FROM")
    timeout_s: float = 8.0

    @property
    def mode(self) -> BackendMode:
        return BackendMode.LIVE if self.api_key else BackendMode.SANDBOX


class Settings(BaseSettings):
    """The whole. `Settings()` reads the environment; keyword arguments win over it."""

    model_config = _block("")

    app_env: Literal["development", "production"] = "development"
    allow_sandbox: bool = False
    """Let production start with simulators and embedded engines."""
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    data_dir: Path = Path(".data")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    query_timeout_s: float = 10.0
    mutation_timeout_s: float = 40.0

    payload_api_key: SecretStr | None = None
    """The inbound service key. None: nobody is a service by key, except by the demo's own key in development."""
    cityos_cms_api_key: SecretStr | None = None
    """The same, by its older name."""
    jwt_secret: SecretStr | None = None
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    key_pepper: SecretStr | None = None

    storefront_url_dev: str | None = None
    storefront_url_local: str | None = None
    cors_origins: Names = ()

    sandbox_faults: str | None = None
    """JSON, fault rules by backend; handed to the sandbox as it is."""

    mongodb: MongoSettings = Field(default_factory=MongoSettings)
    temporal: TemporalSettings = Field(default_factory=TemporalSettings)
    medusa: MedusaSettings = Field(default_factory=MedusaSettings)
    fleetbase: FleetbaseSettings = Field(default_factory=FleetbaseSettings)
    erpnext: ErpnextSettings = Field(default_factory=ErpnextSettings)
    stripe: StripeSettings = Field(default_factory=StripeSettings)
    sendgrid: SendgridSettings = Field(default_factory=lambda: SendgridSettings.model_validate({}))

    @property
    def allowed_origins(self) -> list[str]:
        """Browser origins that may call: the storefronts' and those of CORS_ORIGINS. An origin ends without slash."""
        named = (self.storefront_url_dev, self.storefront_url_local, *self.cors_origins)
        return [origin.rstrip("/") for origin in named if origin]
