"""`ganglion lab`: list scenarios, run one, sweep over its options."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from localnet.lab import plots
from localnet.lab.play import play
from localnet.lab.report import report, table
from localnet.lab.scenario import Option, ScenarioError, build, load, names, options
from localnet.lab.sweep import Outcome, RayMissing, jobs, sweep, values


def run(argv: Sequence[str]) -> int:
    """Run a command line; the exit code. What goes wrong is one sentence on standard error."""
    args = _parser().parse_args(list(argv))
    try:
        code: int = args.command(args)
    except (ScenarioError, RayMissing, plots.PlotsMissing) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("error: stopped before the end; nothing was reported", file=sys.stderr)
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ganglion lab", description="Who earns what when some do not play fair."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listed = commands.add_parser("list", help="the scenarios and their options")
    listed.set_defaults(command=_list)

    one = commands.add_parser("run", help="play one scenario and report")
    many = commands.add_parser("sweep", help="play every combination of some options")
    for sub in (one, many):
        sub.add_argument("scenario", help="name of a scenario, or path of a .py file")
        sub.add_argument("--epochs", type=_positive, default=200)
        sub.add_argument("--json", action="store_true", help="JSON instead of a table")
        sub.add_argument(
            "--set", action="append", default=[], metavar="OPTION=VALUE", help="may be repeated"
        )
    one.add_argument("--seed", type=_seed, default=0)
    one.add_argument("--plots", type=Path, metavar="FOLDER", help="write PNG plots there")
    one.set_defaults(command=_run)
    many.add_argument(
        "--vary",
        action="append",
        required=True,
        metavar="OPTION=VALUES",
        help="a,b,c or low:high:step; may be repeated",
    )
    many.add_argument("--seeds", type=_positive, default=3, help="runs of each combination")
    many.add_argument("--workers", type=_positive, default=os.cpu_count() or 1)
    many.add_argument("--ray", metavar="ADDRESS", help="a Ray cluster: auto, host:port or local")
    many.set_defaults(command=_sweep)
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 up")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 up")
    return int(text)


def _pairs(given: Sequence[str]) -> dict[str, str]:
    result = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not equals:
            raise ScenarioError(f"{pair!r} is no setting: write option=value")
        result[key.replace("-", "_")] = value
    return result


def _list(args: argparse.Namespace) -> int:
    for name in names():
        module = load(name)
        first = (module.__doc__ or "").strip().splitlines()[0]
        print(f"{name}: {first}")
        told = ", ".join(f"{key}={value}" for key, value in options(module).items())
        print(f"    {told}")
    return 0


def _run(args: argparse.Namespace) -> int:
    scenario = build(args.scenario, _pairs(args.set))
    if args.plots:
        plots.ensure()  # before minutes of playing, not after
    quiet = args.json or not sys.stderr.isatty()
    with Progress(console=Console(stderr=True), transient=True, disable=quiet) as bar:
        task = bar.add_task(scenario.name, total=args.epochs)
        history = play(scenario, args.epochs, args.seed, lambda _: bar.advance(task))
    result = report(history)
    print(json.dumps(result.as_json()) if args.json else table(result))
    if args.plots:
        for path in plots.save(history, args.plots):
            print(f"wrote {path}", file=sys.stderr)
    return 0


def _sweep(args: argparse.Namespace) -> int:
    vary = {key: values(text) for key, text in _pairs(args.vary).items()}
    todo = jobs(args.scenario, _pairs(args.set), vary, args.epochs, args.seeds)
    with Progress(console=Console(stderr=True), transient=True, disable=args.json) as bar:
        task = bar.add_task(args.scenario, total=len(todo))
        done = sweep(todo, args.workers, args.ray, lambda _: bar.advance(task))
    if args.json:
        for outcome in done:
            line = {"options": dict(outcome.job.options), **outcome.report.as_json()}
            print(json.dumps(line))
    else:
        print(sweep_table(done, list(vary)))
    return 0


def sweep_table(done: Sequence[Outcome], varied: Sequence[str]) -> str:
    """One line per combination, averaged over seeds: the attackers' gain and earnings per stake."""
    merged: dict[tuple[str | Option, ...], list[Outcome]] = {}
    for outcome in done:
        chosen = dict(outcome.job.options)
        merged.setdefault(tuple(chosen[k] for k in varied), []).append(outcome)
    groups = [g.group for g in done[0].report.groups if g.per_stake is not None][1:]
    lines = [(*varied, "gain, TAO/epoch", *(f"{g} per stake" for g in groups))]
    for chosen_values, outcomes in merged.items():
        attacks = [o.report.attack.gain for o in outcomes if o.report.attack]
        gain = f"{sum(attacks) / len(attacks):.3f}" if attacks else "-"
        rates = []
        for name in groups:
            found = [g.per_stake for o in outcomes for g in o.report.groups if g.group == name]
            known = [x for x in found if x is not None]
            rates.append(f"{sum(known) / len(known):.3f}")
        lines.append((*map(str, chosen_values), gain, *rates))
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(ln, widths)).rstrip() for ln in lines)
