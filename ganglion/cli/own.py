"""Runs one of this package's own commands and turns every foreseen fault into one sentence."""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from typing import Any

import typer

from ganglion.errors import GanglionError
from ganglion.scale import DecodeError

# The bases of typer's own errors, wherever this version of it keeps them.
_UsageError: Any = typer.BadParameter.__bases__[0]
_ClickError: Any = _UsageError.__bases__[0]


def run_own(name: str, argv: list[str]) -> int:
    """Run `ganglion NAME ARGV`, one of this package's; the exit code as `run_app` gives it."""
    app: typer.Typer = import_module(f"ganglion.cli.{name.replace('-', '_')}").app
    return run_app(app, name, argv)


def run_app(app: typer.Typer, name: str, argv: list[str]) -> int:
    """Run a group of commands; the exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    try:
        code = app(args=argv, prog_name=f"ganglion {name}", standalone_mode=False)
    except typer.Exit as e:
        return e.exit_code
    except (typer.Abort, KeyboardInterrupt, asyncio.CancelledError):
        return _say("interrupted", 130)
    except _UsageError as e:
        command = e.ctx.command_path if e.ctx is not None else f"ganglion {name}"
        said = _one_line(e.format_message()) or "name one of these commands"
        return _say(f"{said} (`{command} --help` says more)", 2)
    except _ClickError as e:
        return _say(_one_line(e.format_message()), 2)
    except (GanglionError, DecodeError) as e:
        return _say(_one_line(str(e)), 1)
    return code if isinstance(code, int) else 0


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _say(text: str, code: int) -> int:
    sys.stderr.write(f"error: {text}\n")
    return code
