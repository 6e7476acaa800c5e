"""Runs on a Ray cluster: sent all at once, taken back as they end, cancelled when nobody waits."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from localnet.lab.ray_probe import complaint

J = TypeVar("J")
R = TypeVar("R")

TOKEN_HINT = "; one that asks for a token wants RAY_AUTH_MODE=token set here"


class RayMissing(Exception):
    """Ray is not installed or cannot be used; the message says why."""


def each_on_ray(work: Callable[[J], R], todo: Sequence[J], address: str) -> Iterator[R]:
    """What `work` makes of every job, in the order in which they end; raises RayMissing.

    What a run itself raises is raised here. Runs that are left when the caller stops asking, be
    it by Ctrl-C, are cancelled on the cluster.
    """
    ray = _connected(address)
    pending: list[Any] = []
    try:
        task: Any = ray.remote(work)
        pending = [task.remote(job) for job in todo]
        while pending:
            done, pending = ray.wait(pending)
            yield from ray.get(done)
    except ray.exceptions.RayTaskError as error:
        if "ModuleNotFoundError" in str(error.cause):  # of what ganglion is, or needs
            raise RayMissing(
                f"the workers at {address} lack what they need ({_line(error.cause, -1)}): "
                "install this version of ganglion there"
            ) from error
        raise error.cause from error
    except ray.exceptions.RayError as error:
        raise RayMissing(f"the cluster at {address} gave up: {_line(error)}") from error
    finally:
        for run in pending:
            ray.cancel(run, force=True)
        ray.shutdown()


def _connected(address: str) -> Any:
    """The module `ray`, once it is connected."""
    try:
        import ray
    except ImportError as error:
        raise RayMissing("sweeps on a cluster need Ray: pip install 'ganglion[ray]'") from error
    why = complaint(address)
    if why is not None:
        raise RayMissing(f"no Ray cluster answers at {address}: {why}")
    try:
        ray.init(
            address=None if address == "local" else address,
            log_to_driver=False,
            logging_level=logging.ERROR,  # its greetings would break the progress bar
        )
    except ConnectionError as error:
        raise RayMissing(
            f"no Ray cluster answers at {address}: {_line(error)}"
            + TOKEN_HINT * str(error).startswith("Failed to connect")
        ) from error
    except (ValueError, RuntimeError, ray.exceptions.RayError) as error:
        raise RayMissing(f"Ray cannot use {address}: {_line(error)}") from error
    return ray


def _line(error: Exception, number: int = 0) -> str:
    """One line of what an error says; Ray's errors carry whole tracebacks."""
    return (str(error).strip().splitlines() or [type(error).__name__])[number].rstrip(".")
