"""The credentials that the simulators accept. They open nothing but the sandbox."""

MEDUSA_API_KEY = "sk_sandbox_0123456789abcdef"
MEDUSA_PUBLISHABLE_KEY = "pk_sandbox_0123456789abcdef"
FLEETBASE_API_KEY = "flb_test_sandbox0123456789"
ERPNEXT_API_KEY = "sandbox0key0001"
ERPNEXT_API_SECRET = "sandbox0secret1"  # noqa: S105
STRIPE_SECRET_KEY = "sk_test_sandbox0123456789"  # noqa: S105
SENDGRID_API_KEY = "SG.sandbox.0123456789"
SENDGRID_FROM = "orders@omnistack.example"
PAYLOAD_API_KEY = "7e0f1c52-sandbox-0123456789"
TWILIO_ACCOUNT_SID = "AC5a4db0c0000000000000000000000001"
TWILIO_AUTH_TOKEN = "sandbox0token0123456789012345678"  # noqa: S105
TWILIO_PHONE_NUMBER = "+15005550006"
OPENAI_API_KEY = "sk-sandbox-0123456789"
WALTID_WALLET_SECRET = "sandbox0wallets0123456789abcdef0"  # noqa: S105
WALTID_ISSUER_KEY = {
    "kty": "OKP",
    "crv": "Ed25519",
    "x": "fAtxpPml_y2fODAn1yXSlrZR4ZdxcgtUIC0NINwwdFI",
    "d": "XB5CAFIP1HmXY6NlCQzAJ9mMcLPW0KU19N-_Bc33mm0",
}
STRAPI_API_TOKEN = "sandbox0strapi0token0123456789"  # noqa: S105
MINIO_ACCESS_KEY = "sandbox0minio0key"
MINIO_SECRET_KEY = "sandbox0minio0secret0123456789"  # noqa: S105
MINIO_BUCKET = "files"
