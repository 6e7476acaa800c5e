"""Many runs at once: one per combination of options and seed, over cores or a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context
from typing import Any

from localnet.lab.play import play
from localnet.lab.ray_probe import complaint
from localnet.lab.report import Report, report
from localnet.lab.scenario import Option, ScenarioError, build

Choice = str | Option


class RayMissing(Exception):
    """Ray is not installed or cannot be reached; the message says which."""


@dataclass(frozen=True, slots=True)
class Job:
    """One run of a sweep."""

    scenario: str
    options: tuple[tuple[str, Choice], ...]
    epochs: int
    seed: int


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
    return [
        Job(scenario, tuple({**fixed, **dict(zip(vary, chosen))}.items()), epochs, seed)
        for chosen in product(*vary.values())
        for seed in range(seeds)
    ]


def run(job: Job) -> Outcome:
    """One run, in whatever process."""
    history = play(build(job.scenario, dict(job.options)), job.epochs, job.seed)
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
    source = _on_ray(todo, ray_address) if ray_address else _on_cores(todo, workers)
    for outcome in source:
        finished[outcome.job] = outcome
        after(outcome)
    return [finished[job] for job in todo]


def _on_cores(todo: Sequence[Job], workers: int) -> Iterator[Outcome]:
    if workers <= 1:
        yield from map(run, todo)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(run, job) for job in todo]):
            yield future.result()


def _on_ray(todo: Sequence[Job], address: str) -> Iterator[Outcome]:
    try:
        import ray
    except ImportError as error:
        raise RayMissing("sweeps on a cluster need Ray: pip install 'ganglion[ray]'") from error
    why = complaint(address)
    if why is not None:
        raise RayMissing(f"no Ray cluster answers at {address}: {why}")
    try:
        ray.init(address=None if address == "local" else address, log_to_driver=False)
    except ConnectionError as error:
        raise RayMissing(f"no Ray cluster answers at {address}: {error}") from error
    try:
        task: Any = ray.remote(run)
        pending = [task.remote(job) for job in todo]
        while pending:
            done, pending = ray.wait(pending)
            yield from ray.get(done)
    finally:
        ray.shutdown()


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
