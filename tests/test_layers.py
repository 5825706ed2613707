"""Imports run one way; the message says which and why."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

LAYERS = {"core", "datasources", "resolvers", "schema", "engine", "rest", "graphiql", "workflows", "sandbox", "bench"}

MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "datasources": {"core"},
    "resolvers": {"core", "datasources"},
    "schema": {"core", "datasources", "resolvers", "engine"},
    "engine": {"core"},
    "rest": {"core", "datasources", "resolvers", "engine"},
    "graphiql": set(),
    "workflows": {"core", "datasources"},
    "sandbox": set(),
}
"""Besides itself. `server.py` may import all but the sandbox."""

EXCEPTIONS = {
    ("datasources/__init__.py", "sandbox"): "it starts the simulators and fills the demo world, in sandbox mode only",
    ("resolvers/workflows.py", "workflows.contracts"): "the inputs that a workflow is started with",
}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules() -> list[Path]:
    return sorted(
        path for layer in MAY_IMPORT for path in (ROOT / layer).rglob("*.py") if "node_modules" not in path.parts
    )


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_layer_imports_only_what_lies_below_it(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    layer = path.relative_to(ROOT).parts[0]
    for imported in imports(path):
        other = imported.split(".")[0]
        if other not in LAYERS or other == layer or other in MAY_IMPORT[layer]:
            continue
        excused = any(name == file and imported.startswith(module) for file, module in EXCEPTIONS)
        excused = excused or any(name == file and module.startswith(imported) for file, module in EXCEPTIONS)
        assert excused, f"{name} imports {imported}: {layer} may import {sorted(MAY_IMPORT[layer]) or 'no other layer'}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_private_to_a_folder_stays_there(path: Path) -> None:
    layer = path.relative_to(ROOT).parts[0]
    for imported in imports(path):
        first, *rest = imported.split(".")
        if first in LAYERS and first != layer:
            assert not any(part.startswith("_") and not part.startswith("__") for part in rest[:1]), (
                f"{path.relative_to(ROOT)} imports {imported}, which is private to {first}/"
            )


def test_only_one_module_knows_motor() -> None:
    def users(library: str) -> set[str]:
        found = [path for path in modules() if any(name.split(".")[0] == library for name in imports(path))]
        return {str(path.relative_to(ROOT)) for path in found}

    assert users("motor") == {"datasources/mongo/driver.py"}, "motor's successor must be a change of one module"
    assert all(path.startswith("datasources/mongo/") for path in users("pymongo")), "only it speaks MongoDB"


def test_only_one_module_knows_redis() -> None:
    users = [path for path in modules() if "redis" in {name.split(".")[0] for name in imports(path)}]
    assert [str(path.relative_to(ROOT)) for path in users] == ["datasources/redis.py"], (
        "everybody else has no wire to it"
    )


def test_the_gateway_speaks_http_in_datasources_only() -> None:
    for path in modules():
        layer = path.relative_to(ROOT).parts[0]
        if layer not in {"datasources", "sandbox"}:
            assert not {"httpx", "aiohttp"} & {name.split(".")[0] for name in imports(path)}, (
                f"{path.relative_to(ROOT)}: call a datasource method instead"
            )
