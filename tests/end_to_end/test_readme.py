"""What README and the settings' page show is what happens."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pydantic_settings import BaseSettings

from core.settings import Settings
from tests.end_to_end.conftest import NewGateway

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
SETTINGS = (ROOT / "docs" / "settings.md").read_text("utf-8")


def block_with(start: str) -> str:
    """The indented block that begins with this text, without its indentation."""
    block = README[README.index(f"    {start}") :]
    lines = []
    for line in block.splitlines():
        if not line.startswith("    "):
            break
        lines.append(line[4:])
    return "\n".join(lines)


async def test_its_first_query_has_its_answer(new_gateway: NewGateway) -> None:
    shell = re.search(r"-d '(.*?)'$", block_with("key="), re.DOTALL)
    assert shell is not None
    asked = json.loads(shell[1])
    gateway = await new_gateway()
    assert await gateway.post(asked["query"]) == json.loads(block_with('{"data"'))


def test_the_table_of_settings_is_complete_and_holds_nothing_else() -> None:
    def variables(model: type[BaseSettings], prefix: str = "") -> set[str]:
        found = set()
        for name, field in model.model_fields.items():
            block: Any = field.annotation
            if isinstance(block, type) and issubclass(block, BaseSettings):
                found |= variables(block, str(block.model_config.get("env_prefix", "")))
            else:
                alias = field.validation_alias
                found.add(alias if isinstance(alias, str) else f"{prefix}{name}".upper())
        return found

    told = set(re.findall(r"`\*?\*?([A-Z][A-Z0-9_]+)(?:=\w+)?\*?\*?`", SETTINGS))
    assert told == variables(Settings)


def test_its_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).is_file()] == []
