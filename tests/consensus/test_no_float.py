"""No float, clock, chance or device in `consensus/`, told from its syntax trees."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "consensus"
FILES = sorted(ROOT.rglob("*.py"))
MODULES = {"math", "cmath", "random", "time", "datetime", "decimal", "statistics", "secrets"}
MODULES |= {"os", "io", "socket", "asyncio", "threading", "subprocess", "pathlib", "tempfile"}
EXACT = {"gcd", "isqrt", "lcm", "comb", "factorial"}
NAMES = {"float", "complex", "round", "open", "print", "input", "exec", "eval"}
ATTRIBUTES = {"true_divide", "mean", "average", "median", "std", "var", "sqrt", "dot", "matmul"}
ATTRIBUTES |= {"linspace", "interp", "random", "exp", "log", "float_power", "inf"}


def offences(tree: ast.AST) -> list[str]:
    """Every expression that could make a float or reach outside, as `line: what`."""
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=float() | complex()):
                what = f"constant {node.value!r}"
            case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                what = "true division"
            case ast.BinOp(op=ast.MatMult()) | ast.AugAssign(op=ast.MatMult()):
                what = "matrix product"
            case ast.Name(id=name) if name in NAMES:
                what = name
            case ast.Attribute(value=ast.Name(id="np"), attr=name) if (
                name in ATTRIBUTES or name.startswith(("float", "complex"))
            ):
                what = f"np.{name}"
            case ast.Attribute(attr="mean" | "std" | "var" as name):
                what = f".{name}"
            case ast.Import(names=names) if any(n.name.split(".")[0] in MODULES for n in names):
                what = f"import {names[0].name}"
            case ast.ImportFrom(module="math", names=names) if {n.name for n in names} <= EXACT:
                continue
            case ast.ImportFrom(module=str(name)) if name.split(".")[0] in MODULES:
                what = f"from {name}"
            case _:
                continue
        found.append(f"{node.lineno}: {what}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_consensus_is_integers_only(path: Path) -> None:
    assert offences(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "code",
    [
        "x = 0.5",
        "x = a / b",
        "a /= b",
        "float(3)",
        "np.float64(1)",
        "np.mean(v)",
        "v.mean()",
        "import time",
        "from math import sqrt",
        "from random import random",
        "open('x')",
        "a @ b",
    ],
)
def test_the_check_sees_an_offence(code: str) -> None:
    assert offences(ast.parse(code))


@pytest.mark.parametrize("path", sorted((ROOT / "yuma").glob("*.py")), ids=lambda p: p.name)
def test_sums_name_their_type(path: Path) -> None:
    """A numpy sum without dtype depends on the platform; of lanes it must say uint64."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("sum", "cumsum", "prod")
        ):
            assert any(k.arg == "dtype" for k in node.keywords), f"{path.name}:{node.lineno}"
