"""The credentials that the simulators accept. They open nothing but the sandbox."""

MEDUSA_API_KEY = "sk_sandbox_0123456789abcdef"
MEDUSA_PUBLISHABLE_KEY = "pk_sandbox_0123456789abcdef"
FLEETBASE_API_KEY = "flb_test_sandbox0123456789"
ERPNEXT_API_KEY = "sandbox0key0001"
ERPNEXT_API_SECRET = "sandbox0secret1"  # noqa: S105
STRIPE_SECRET_KEY = "sk_test_sandbox0123456789"  # noqa: S105
SENDGRID_API_KEY = "SG.sandbox.0123456789"
SENDGRID_FROM = "orders@omnistack.example"
