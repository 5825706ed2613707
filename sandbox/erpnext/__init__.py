"""ERPNext 15, as far as the gateway meets it: Frappe's REST API over a small site of four companies.

`doctypes` and `catalogue` say what documents look like, `documents` how they live; the rules of single DocTypes stand
in `rules`, `trading`, `invoices` and `payments`; `lists` and `filters` read; `app` and `methods` are the HTTP side.
What the real system does and this one does not is answered with 501.
"""

from __future__ import annotations

from sandbox.erpnext.app import create_app
from sandbox.erpnext.seeding import seed
from sandbox.erpnext.unit import SITE_TIME_ZONE

__all__ = ["SITE_TIME_ZONE", "create_app", "seed"]
