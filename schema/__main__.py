"""`python -m schema` prints the public contract, as it is committed in `schema/schema.graphql`."""

from __future__ import annotations

from core.settings import Settings
from schema import build_schema

if __name__ == "__main__":
    print(build_schema(Settings()).as_str())
