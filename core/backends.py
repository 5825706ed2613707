"""The systems behind the gateway, by the names that clients see."""

from __future__ import annotations

from enum import Enum


class BackendName(Enum):
    OMNISTACK = "omnistack"
    """The gateway's own records, in MongoDB."""
    PAYLOAD = "payload"
    MEDUSA = "medusa"
    FLEETBASE = "fleetbase"
    ERPNEXT = "erpnext"
    WALTID = "waltid"
    STRIPE = "stripe"
    SENDGRID = "sendgrid"
    TWILIO = "twilio"
    MINIO = "minio"
    OPENAI = "openai"
    STRAPI = "strapi"
    TEMPORAL = "temporal"


class BackendMode(Enum):
    LIVE = "live"
    """The configured address."""
    EMBEDDED = "embedded"
    """An engine that the gateway started itself."""
    SANDBOX = "sandbox"
    """The built-in simulator."""
