"""All settings: one frozen model, one block per backend, read from the environment at the edge.

A backend is LIVE when its credential is set and otherwise answered by the gateway's own engine or simulator. Empty
variables count as unset. Secrets are `SecretStr` and print as stars.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network
from math import inf
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, HttpUrl, IPvAnyNetwork, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from core.backends import BackendMode
from core.buckets import Limit
from core.principals import PrincipalKind

UPLOAD_MAX_BYTES = 256 * 1024 * 1024


def _split(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""A comma-separated list."""


def _limit(value: Any) -> Any:
    """From `rate:burst`, or `0`."""
    if not isinstance(value, str):
        return value
    rate, _, burst = value.partition(":")
    if not burst and float(rate) == 0:
        return Limit(0, 0)
    limit = Limit(float(rate), float(burst))
    if not (0 <= limit.rate_per_s < inf and 0 < limit.burst < inf):
        raise ValueError("a limit is rate:burst, both numbers above zero, or 0 for none")
    return limit


RateLimit = Annotated[Limit, NoDecode, BeforeValidator(_limit)]
"""`rate:burst`, in tokens a second and tokens; 0 switches it off."""


def _redis_url(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("it begins with redis://, rediss:// or unix://")
    return value


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


class WaltidSettings(BaseSettings):
    model_config = _block("WALTID_")
    url: HttpUrl | None = None
    """Where the services that have no address of their own are found."""
    issuer_url: HttpUrl | None = None
    verifier_url: HttpUrl | None = None
    wallet_url: HttpUrl | None = None
    api_key: SecretStr | None = None
    """Of what stands in front of the services: they have none themselves."""
    wallet_secret: SecretStr | None = None
    """What the passwords of the wallets' accounts are derived from. With another one no wallet opens."""
    issuer_key: SecretStr | None = None
    """A private JWK, or a key as walt.id has them, such as a reference to a vault's."""
    issuer_did: str | None = None
    """Needed beside a key that is in a vault; otherwise the key's own."""
    credential_days: Annotated[int, Field(ge=1, le=36500)] = 365
    """How long what is issued is valid."""
    presentation_hosts: Names = ()
    """Verifiers besides the gateway's own that wallets may present to: host, or host:port."""
    timeout_s: float = 8.0

    @property
    def mode(self) -> BackendMode:
        return BackendMode.LIVE if self.url else BackendMode.SANDBOX

    @property
    def bases(self) -> dict[str, str]:
        """The address of each service, without a slash at its end."""
        own = {"issuer": self.issuer_url, "verifier": self.verifier_url, "wallet": self.wallet_url}
        return {service: str(url or self.url or "http://127.0.0.1:7000").rstrip("/") for service, url in own.items()}


OWN_COLLECTIONS = ("verifications", "orders", "deliveries")
"""Collections of Payload in which the gateway mirrors other backends' rows, of all companies."""


def _readable(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
            raise ValueError("a collection is named by its slug, in lower case")
        if name in OWN_COLLECTIONS or name.startswith("payload-"):
            raise ValueError(f"{name} is not for callers")
    return names


class PayloadSettings(BaseSettings):
    model_config = _block("PAYLOAD_")
    url: HttpUrl | None = None
    outbound_api_key: SecretStr | None = None
    """What the gateway shows to Payload. None: in development the inbound service key, otherwise no start."""
    auth_collection: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")] = "users"
    """Slug of the collection that the key's account is in."""
    collections: Annotated[Names, AfterValidator(_readable)] = ("pages", "posts", "services", "events")
    """Slugs of what callers may read."""
    tenant_field: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.\w+)*$")] = "tenant"
    """Path of the field that holds a client's `payloadTenant`: a text, or a relation, which is its row's id."""
    timeout_s: float = 8.0

    @model_validator(mode="after")
    def _no_accounts(self) -> Self:
        if self.auth_collection in self.collections:
            raise ValueError("PAYLOAD_COLLECTIONS names PAYLOAD_AUTH_COLLECTION, and accounts are not for callers")
        return self

    @property
    def mode(self) -> BackendMode:
        return BackendMode.LIVE if self.url else BackendMode.SANDBOX


class StrapiSettings(BaseSettings):
    model_config = _block("STRAPI_")
    url: HttpUrl = HttpUrl("http://127.0.0.1:1337")
    api_token: SecretStr | None = None
    timeout_s: float = 8.0

    @property
    def mode(self) -> BackendMode:
        return BackendMode.LIVE if self.api_token else BackendMode.SANDBOX


class TwilioSettings(BaseSettings):
    model_config = _block("TWILIO_")
    account_sid: str | None = None
    auth_token: SecretStr | None = None
    phone_number: str | None = None
    """Of E.164: whom every SMS is from."""
    api_base: HttpUrl = HttpUrl("https://api.twilio.com")
    timeout_s: float = 8.0

    @property
    def mode(self) -> BackendMode:
        return BackendMode.LIVE if self.auth_token else BackendMode.SANDBOX


class OpenaiSettings(BaseSettings):
    model_config = _block("OPENAI_")
    api_key: SecretStr | None = None
    base_url: HttpUrl = HttpUrl("https://api.openai.com/v1")
    model: str = "gpt-4.1-mini"
    """What answers chats that name no model."""
    embedding_model: str = "text-embedding-3-small"
    models: Names = ()
    """What else callers may ask for by name."""
    timeout_s: float = 60.0

    @property
    def mode(self) -> BackendMode:
        return BackendMode.LIVE if self.api_key else BackendMode.SANDBOX


class MinioSettings(BaseSettings):
    """Object storage that speaks S3."""

    model_config = _block("MINIO_")
    endpoint: HttpUrl = HttpUrl("http://127.0.0.1:9000")
    public_endpoint: HttpUrl | None = None
    """Where those who are given a file's URL reach the storage; the same as `endpoint` unless told."""
    access_key: SecretStr | None = None
    secret_key: SecretStr | None = None
    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")] = "files"
    """It has to be there: the gateway makes none."""
    region: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")] = "us-east-1"
    timeout_s: float = 8.0

    @property
    def mode(self) -> BackendMode:
        return BackendMode.LIVE if self.access_key else BackendMode.SANDBOX


class RateLimitSettings(BaseSettings):
    """Points of cost a second, by kind of principal. All but a user's lie above what one machine can serve: they keep
    one caller of many machines from taking all of them."""

    model_config = _block("RATE_LIMIT_")
    service: RateLimit = Limit(5_000_000, 10_000_000)
    platform: RateLimit = Limit(1_000_000, 2_000_000)
    client: RateLimit = Limit(1_000_000, 2_000_000)
    user: RateLimit = Limit(2_000, 10_000)

    @property
    def by_kind(self) -> dict[PrincipalKind, Limit]:
        return {
            PrincipalKind.SERVICE: self.service,
            PrincipalKind.PLATFORM: self.platform,
            PrincipalKind.CLIENT: self.client,
            PrincipalKind.USER: self.user,
        }


class Settings(BaseSettings):
    """The whole. `Settings()` reads the environment; keyword arguments win over it."""

    model_config = _block("")

    app_env: Literal["development", "production"] = "development"
    allow_sandbox: bool = False
    """Let production start with simulators and embedded engines."""
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    public_url: HttpUrl | None = None
    """Where others reach the gateway; HOST and PORT unless told."""
    data_dir: Path = Path(".data")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    query_timeout_s: float = 10.0
    mutation_timeout_s: float = 40.0
    upload_max_bytes: Annotated[int, Field(ge=1)] = UPLOAD_MAX_BYTES
    """Of one file."""

    payload_api_key: SecretStr | None = None
    """The inbound service key. None: nobody is a service by key, except by the demo's own key in development."""
    cityos_cms_api_key: SecretStr | None = None
    """The same, by its older name."""
    jwt_secret: SecretStr | None = None
    jwks_url: HttpUrl | None = None
    """Where the issuer of tokens publishes its keys."""
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    key_pepper: SecretStr | None = None
    identity_cache_s: Annotated[float, Field(ge=0, le=2.5)] = 2.5
    """How long a caller who was recognised is remembered. Longer would keep a revoked key alive for too long."""

    storefront_url_dev: str | None = None
    storefront_url_local: str | None = None
    cors_origins: Names = ()

    redis_url: Annotated[SecretStr, AfterValidator(_redis_url)] | None = None
    """What workers share limits and signals through. None: each worker has its own."""
    redis_timeout_s: Annotated[float, Field(gt=0)] = 0.1
    """How long a caller waits for Redis before its worker does without for a moment."""
    auth_failure_limit: RateLimit = Limit(10, 50)
    """Failed authentications from one network address."""
    registration_limit: RateLimit = Limit(1, 60)
    """Clients that a platform's browser key registers from one network address."""
    trusted_proxies: Annotated[tuple[IPvAnyNetwork, ...], NoDecode, BeforeValidator(_split)] = (
        IPv4Network("127.0.0.1/32"),
    )
    """Addresses and networks whose X-Forwarded-For says where a request comes from."""

    sandbox_faults: str | None = None
    """JSON, fault rules by backend; handed to the sandbox as it is."""

    rate_limit: RateLimitSettings = Field(default_factory=RateLimitSettings)
    mongodb: MongoSettings = Field(default_factory=MongoSettings)
    temporal: TemporalSettings = Field(default_factory=TemporalSettings)
    medusa: MedusaSettings = Field(default_factory=MedusaSettings)
    fleetbase: FleetbaseSettings = Field(default_factory=FleetbaseSettings)
    erpnext: ErpnextSettings = Field(default_factory=ErpnextSettings)
    stripe: StripeSettings = Field(default_factory=StripeSettings)
    payload: PayloadSettings = Field(default_factory=PayloadSettings)
    strapi: StrapiSettings = Field(default_factory=StrapiSettings)
    sendgrid: SendgridSettings = Field(default_factory=lambda: SendgridSettings.model_validate({}))
    twilio: TwilioSettings = Field(default_factory=TwilioSettings)
    openai: OpenaiSettings = Field(default_factory=OpenaiSettings)
    minio: MinioSettings = Field(default_factory=MinioSettings)
    waltid: WaltidSettings = Field(default_factory=WaltidSettings)

    @property
    def public_base(self) -> str:
        """Where others reach the gateway, without a slash at its end."""
        return str(self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def payload_key(self) -> SecretStr | None:
        """What the gateway shows to Payload. The key that callers show is no secret between the two in production."""
        if self.payload.outbound_api_key is not None or self.app_env == "production":
            return self.payload.outbound_api_key
        return self.payload_api_key

    @property
    def allowed_origins(self) -> list[str]:
        """Browser origins that may call: the storefronts' and those of CORS_ORIGINS. An origin ends without slash."""
        named = (self.storefront_url_dev, self.storefront_url_local, *self.cors_origins)
        return [origin.rstrip("/") for origin in named if origin]
