"""Arrows point down, there is no cycle, files and functions stay small, nothing is swallowed."""

from __future__ import annotations

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ALLOWED = {
    "ganglion": set(),
    "consensus": {"ganglion"},
    "chain": {"ganglion", "consensus"},
    "subnets": {"ganglion"},
    "neurons": {"ganglion", "subnets"},
    "localnet": {"ganglion", "consensus", "chain", "subnets", "neurons"},
}
NO_BROAD_EXCEPT = ("ganglion", "consensus", "chain")
MAX_FILE = 600
MAX_FUNCTION = 80


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def python_files() -> list[Path]:
    return sorted(
        p
        for package in ALLOWED
        for p in (ROOT / package).rglob("*.py")
        if "_generated" not in p.parts and "__pycache__" not in p.parts
    )


FILES = python_files()


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"


def imported_modules(path: Path, *, top_level: bool = False) -> set[str]:
    """First-party modules that a file imports; `top_level` leaves out lazy and typing imports."""
    tree = tree_of(path)
    nodes = list(ast.walk(tree))
    if top_level:
        nodes = [n for n in tree.body if not is_type_checking(n)]
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
            found |= {f"{node.module}.{a.name}" for a in node.names}
    return {m for m in found if m.split(".")[0] in ALLOWED}


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_imports_point_down(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    reached = {m.split(".")[0] for m in imported_modules(path)}
    assert reached <= ALLOWED[package] | {package}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_no_import_cycle() -> None:
    names = {module_name(p) for p in FILES}
    graph = {module_name(p): imported_modules(p, top_level=True) & names for p in FILES}
    for name, needs in graph.items():
        needs.discard(name)
        # A package whose submodule is imported is not needed for its own sake.
        packages = {n for n in needs if any(other.startswith(n + ".") for other in needs | {name})}
        needs -= packages
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as e:
        pytest.fail(f"import cycle: {' -> '.join(e.args[1])}")


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_files_and_functions_are_small(path: Path) -> None:
    lines = path.read_text().count("\n")
    assert lines <= MAX_FILE, f"{lines} lines; split it by idea"
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= MAX_FUNCTION, f"{node.name} has {length} lines"


def broad_handlers(path: Path) -> list[int]:
    broad = ("Exception", "BaseException")
    return [
        node.lineno
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or getattr(node.type, "id", "") in broad)
    ]


@pytest.mark.parametrize(
    "path", [p for p in FILES if p.relative_to(ROOT).parts[0] in NO_BROAD_EXCEPT], ids=ids
)
def test_no_broad_except(path: Path) -> None:
    assert not broad_handlers(path)


@pytest.mark.parametrize(
    "path", [p for p in FILES if p.relative_to(ROOT).parts[0] == "consensus"], ids=ids
)
def test_consensus_is_pure(path: Path) -> None:
    """No clock, socket, disk or randomness; `consensus/replay` reads vectors, nothing else does."""
    forbidden = {"time", "datetime", "socket", "asyncio", "random", "secrets", "os", "threading"}
    tops = {
        name.split(".")[0]
        for node in ast.walk(tree_of(path))
        for name in (
            [a.name for a in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert not tops & forbidden
