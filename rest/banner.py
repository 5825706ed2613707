"""What `make run` tells the person at the terminal."""

from __future__ import annotations

from core.demo import DemoCredentials
from core.settings import Settings


def banner(settings: Settings, new: DemoCredentials | None) -> str:
    """Where to go and which mode each backend is in; `new` credentials are shown this once."""
    address = f"http://{settings.host}:{settings.port}"
    modes = {
        "MongoDB": settings.mongodb.mode,
        "Temporal": settings.temporal.mode,
        "Medusa": settings.medusa.mode,
        "Fleetbase": settings.fleetbase.mode,
        "ERPNext": settings.erpnext.mode,
        "Stripe": settings.stripe.mode,
        "SendGrid": settings.sendgrid.mode,
        "Twilio": settings.twilio.mode,
        "OpenAI": settings.openai.mode,
        "walt.id": settings.waltid.mode,
        "Payload": settings.payload.mode,
        "Strapi": settings.strapi.mode,
        "MinIO": settings.minio.mode,
    }
    lines = ["", "OmniStack Gateway", f"  GraphiQL  {address}/graphql", f"  REST      {address}/docs", ""]
    lines += [f"  {name:<10}{mode.name}" for name, mode in modes.items()]
    kept = settings.data_dir / "credentials.json"
    if new is None:
        lines += ["", f"  Keys and tokens are in {kept}"]
    else:
        lines += ["", "  The demo's credentials, shown this once and kept in " + str(kept)]
        lines += [f"  service key {new.service_key}"]
        lines += [f"  key of {owner:<12}{key}" for owner, key in new.keys.items()]
        lines += [f"  {role:<10}{token}" for role, token in new.tokens.items()]
    return "\n".join([*lines, ""])
