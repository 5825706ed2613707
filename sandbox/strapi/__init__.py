"""Strapi 5 as PrintShop OS uses it: jobs, which are drafts and published, and customers, which are published only.

`app` is the table of contents; `query` reads what a URL asks, `filters` finds and sorts, `views` says what answers look
like, `rules` reads what is sent, `documents` is where rows are kept and numbered, `types` what the content types have.
What the simulator lacks it answers with 501.
"""

from sandbox.strapi.app import Options, create_app
from sandbox.strapi.seeding import seed

__all__ = ["Options", "create_app", "seed"]
