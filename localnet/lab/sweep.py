"""Many runs at once: one per combination of options and seed, over cores or a Ray cluster."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context

from localnet.lab.cluster import RayMissing as RayMissing
from localnet.lab.cluster import each_on_ray
from localnet.lab.play import play
from localnet.lab.report import Report, report
from localnet.lab.scenario import Option, ScenarioError, build, find

Choice = str | Option


@dataclass(frozen=True, slots=True)
class Job:
    """One run of a sweep."""

    scenario: str
    options: tuple[tuple[str, Choice], ...]
    epochs: int
    seed: int
    source: str | None = None
    """The text of a scenario that is a file: a cluster's workers do not have the file."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished run."""

    job: Job
    report: Report


def jobs(
    scenario: str,
    fixed: Mapping[str, Choice],
    vary: Mapping[str, Sequence[Choice]],
    epochs: int,
    seeds: int,
) -> list[Job]:
    """Every combination of the varied options, each with seeds 0, 1, ..."""
    build(scenario, {**fixed, **{k: v[0] for k, v in vary.items()}})  # tells wrong options early
    source = find(scenario).read_text() if scenario.endswith(".py") else None
    return [
        Job(scenario, tuple({**fixed, **dict(zip(vary, chosen))}.items()), epochs, seed, source)
        for chosen in product(*vary.values())
        for seed in range(seeds)
    ]


def run(job: Job) -> Outcome:
    """One run, in whatever process."""
    history = play(build(job.scenario, dict(job.options), job.source), job.epochs, job.seed)
    return Outcome(job, report(history))


def sweep(
    todo: Sequence[Job],
    workers: int,
    ray_address: str | None = None,
    after: Callable[[Outcome], object] = lambda outcome: None,
) -> list[Outcome]:
    """All runs, in the order of the jobs; `after` hears of each as it ends.

    With `ray_address` ("auto", or host:port, or "local") they go to a Ray cluster. Raises
    RayMissing.
    """
    finished: dict[Job, Outcome] = {}
    source = each_on_ray(run, todo, ray_address) if ray_address else _on_cores(todo, workers)
    for outcome in source:
        finished[outcome.job] = outcome
        after(outcome)
    return [finished[job] for job in todo]


def _on_cores(todo: Sequence[Job], workers: int) -> Iterator[Outcome]:
    if workers <= 1:
        yield from map(run, todo)
        return
    pool = ProcessPoolExecutor(workers, get_context("spawn"), signal.signal, _DEAF)
    try:
        for future in as_completed([pool.submit(run, job) for job in todo]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


_DEAF = (signal.SIGINT, signal.SIG_IGN)
"""Ctrl-C is for the process that asked; its workers end with the run they are at."""


def values(text: str) -> list[Choice]:
    """What an option varies over: `a,b,c`, or `low:high:step` with both ends. ScenarioError."""
    if text.count(":") != 2:
        return list(text.split(","))
    try:
        low, high, step = map(float, text.split(":"))
    except ValueError:
        raise ScenarioError(f"{text!r} is no range: write low:high:step, as 0.1:0.5:0.1") from None
    if step <= 0 or high < low:
        raise ScenarioError(f"{text!r} is no range: step must be above 0 and high not below low")
    count = int((high - low) / step + 1e-9) + 1
    return [round(low + k * step, 9) for k in range(count)]
