"""Upstream's test-suites, unmodified, against our node; results are compared with the list.

scripts/upstream SUITE [--write] [pytest arguments]. Each test file runs in a process of its own,
where possible in a network of its own (so that ports 9944 and 9945 are free and nothing outside
is asked), with scripts/localnet-sh as the chain.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import standins
import upstream_list

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache/upstream"
LIST = ROOT / "docs/upstream.toml"
PLUGIN = Path(__file__).resolve().parent / "upstream_plugin"
TEMPLATE_URLS = (
    "https://github.com/opentensor/subnet-template.git",
    "https://github.com/latent-to/subnet-template.git",
)
TEMPLATE = "GANGLION_UPSTREAM_TEMPLATE"
PYTEST = ("pytest==8.3.5", "pytest-asyncio==0.26.0", "pytest-timeout==2.4.0")
INSIDE = "GANGLION_UPSTREAM_INSIDE"


@dataclass(frozen=True)
class Suite:
    """Where a suite comes from and how it is run."""

    package: str
    version: str
    variable: str
    source: str
    folder: str
    own_chain: bool = True
    """Whether the suite starts its chain by LOCALNET_SH_PATH; otherwise we do, by E2E_ENDPOINT."""
    extra: tuple[str, ...] = ()
    """Packages that the tests import and the client does not bring."""
    settings: tuple[tuple[str, str], ...] = ()
    """Environment variables without which the suite's own programs ignore their options."""
    ini: str = "ganglion.ini"
    """pytest's settings: the suite's own file, or ours where it has none."""


SUITES = {
    "sdk10": Suite(
        "bittensor",
        "10.5.0",
        "GANGLION_UPSTREAM_SDK10",
        "the latent-to/bittensor repository (v10.3.0, commit c39dfafd)",
        "tests/e2e_tests",
        ini="tests/pytest.ini",
        settings=(("BT_NO_PARSE_CLI_ARGS", "false"),),
    ),
    "btcli9": Suite(
        "bittensor-cli",
        "9.23.2",
        "GANGLION_UPSTREAM_BTCLI9",
        "the opentensor/btcli repository (its newest tests are of v9.21.2)",
        "tests/e2e_tests",
        extra=("click",),
    ),
    "sdk11": Suite(
        "bittensor",
        "11.3.0",
        "GANGLION_UPSTREAM_SDK11",
        "the folder sdk/python of the RaoFoundation/subtensor repository",
        "tests/e2e",
        own_chain=False,
    ),
}


def prepare(name: str, suite: Suite) -> Path:
    """Make the client's environment once; returns its folder."""
    folder = CACHE / name / "env"
    wanted = "\n".join((f"{suite.package}=={suite.version}", *suite.extra, *PYTEST))
    done = folder / ".packages"
    if not (done.is_file() and done.read_text() == wanted):
        print(f"preparing {name}: {suite.package}=={suite.version} ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [folder / "bin/python", "-m", "pip", "install", "-q"]
        made = subprocess.run([*pip, *wanted.split("\n")], capture_output=True, text=True)
        if made.returncode:
            raise SystemExit(f"pip could not install the client: {made.stderr[-500:]}")
        done.write_text(wanted)
    return folder


def obtain(name: str, suite: Suite) -> Path:
    """Copy the suite's tests from a checkout, or unpack them from the published sdist."""
    work = CACHE / name / "suite"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    (work / "ganglion.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    checkout = os.environ.get(suite.variable)
    if checkout:
        if not (Path(checkout) / suite.folder).is_dir():
            raise SystemExit(f"{suite.variable} is {checkout}, which has no folder {suite.folder}.")
        shutil.copytree(Path(checkout) / "tests", work / "tests")
        return work
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder]
        pip += ["--no-binary", suite.package, f"{suite.package}=={suite.version}"]
        subprocess.run(pip, check=True, stderr=subprocess.DEVNULL)
        with tarfile.open(next(Path(folder).glob("*.tar.gz"))) as sdist:
            sdist.extractall(folder, filter="data")
        tests = next(Path(folder).glob("*/tests/"), None)
        if tests is None or not (tests.parent / suite.folder).is_dir():
            raise SystemExit(
                f"The published {suite.package} {suite.version} has no end-to-end tests: set"
                f" {suite.variable} to a checkout of {suite.source}."
            )
        shutil.copytree(tests, work / "tests")
    return work


def own_network() -> list[str] | None:
    """The command that gives its arguments a network of their own, or None where there is none."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return None
    for flags in ("-n", "-rn"):
        if subprocess.run(["unshare", flags, "true"], capture_output=True).returncode == 0:
            return ["unshare", flags]
    return None


def raise_network() -> None:
    """Inside a fresh network: bring up loopback, with the address that the stand-in tells."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "address", "add", f"{standins.PUBLIC}/32", "dev", "lo"], check=True)


def environment(name: str, env: Path, record: Path) -> dict[str, str]:
    """What the suite's processes see: its environment, an empty home, our chain script."""
    home = CACHE / name / "home"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    made = os.environ | {
        "PATH": f"{env / 'bin'}:{os.environ['PATH']}",
        "HOME": str(home),
        "PYTHONPATH": str(PLUGIN),
        "PYTHONDONTWRITEBYTECODE": "1",
        "BITTENSOR_RUNTIME_CACHE_DIR": str(home / "runtime"),
        "LOCALNET_SH_PATH": os.environ.get("LOCALNET_SH_PATH", str(ROOT / "scripts/localnet-sh")),
        "USE_DOCKER": "0",
        "GANGLION_RECORD": str(record),
    }
    made |= dict(SUITES[name].settings)
    template = os.environ.get(TEMPLATE)
    if template:
        rules = [(f"url.{template}.insteadOf", url) for url in TEMPLATE_URLS]
        rules.append(("safe.directory", "*"))
        made["GIT_CONFIG_COUNT"] = str(len(rules))
        for i, (key, value) in enumerate(rules):
            made |= {f"GIT_CONFIG_KEY_{i}": key, f"GIT_CONFIG_VALUE_{i}": value}
    return made


def with_standin(env: dict[str, str], python: Path, pem: Path, port: int) -> dict[str, str]:
    """Send HTTPS through the stand-in, whose certificate is trusted beside the usual ones."""
    where = [python, "-c", "import certifi; print(certifi.where())"]
    usual = subprocess.run(where, capture_output=True, text=True).stdout.strip()
    bundle = pem.with_name("bundle.pem")
    bundle.write_text((Path(usual).read_text() if usual else "") + pem.read_text())
    return env | {
        "HTTPS_PROXY": f"http://127.0.0.1:{port}",
        "NO_PROXY": "localhost,127.0.0.1",
        "REQUESTS_CA_BUNDLE": str(bundle),
    }


class Chain:
    """A fresh chain of ours for a suite that does not start its own."""

    async def __aenter__(self) -> str:
        script = os.environ.get("LOCALNET_SH_PATH", str(ROOT / "scripts/localnet-sh"))
        self._process = await asyncio.create_subprocess_exec(
            script, "True", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        assert self._process.stdout is not None
        if b"Imported #1" not in await self._process.stdout.readline():
            raise SystemExit(f"{script} did not start a chain: are ports 9944 and 9945 free?")
        return "ws://127.0.0.1:9944"

    async def __aexit__(self, *_: object) -> None:
        self._process.terminate()
        await self._process.wait()


async def run_file(
    suite: Suite, python: Path, work: Path, env: dict[str, str], targets: list[str], more: list[str]
) -> None:
    """Run some tests of one file, and show what pytest says only in its log."""
    command = [str(python), "-m", "pytest", "-p", "ganglion_record", "-v", "--timeout", "900"]
    command += ["-p", "no:cacheprovider", "--rootdir", str(work), "-c", suite.ini, *targets, *more]
    log = work.parent / f"{Path(targets[0].split('::')[0]).stem}.log"
    with log.open("w") as out:
        if suite.own_chain:
            process = await asyncio.create_subprocess_exec(
                *command, cwd=work, env=env, stdout=out, stderr=subprocess.STDOUT
            )
            await process.wait()
            return
        async with Chain() as endpoint:
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=work,
                env=env | {"E2E_ENDPOINT": endpoint},
                stdout=out,
                stderr=subprocess.STDOUT,
            )
            await process.wait()


def chosen(suite: Suite, work: Path, arguments: list[str]) -> tuple[list[list[str]], list[str]]:
    """Test targets grouped by file (default: all files), and the other pytest arguments."""
    targets = [a for a in arguments if a.split("::")[0].endswith(".py")]
    rest = [a for a in arguments if a not in targets]
    if not targets:
        files = sorted((work / suite.folder).rglob("test_*.py"))
        return [[str(f.relative_to(work))] for f in files], rest
    groups: dict[str, list[str]] = {}
    for target in targets:
        file = target.split("::")[0]
        full = target if "/" in file else f"{suite.folder}/{target}"
        groups.setdefault(full.split("::")[0], []).append(full)
    return list(groups.values()), rest


async def run(name: str, work: Path, arguments: list[str]) -> list[dict[str, Any]]:
    """Run a suite file by file; returns the rows that the plugin wrote."""
    suite, env = SUITES[name], CACHE / name / "env"
    record = CACHE / name / "record.jsonl"
    record.write_text("")
    made = environment(name, env, record)
    python = env / "bin/python"
    groups, rest = chosen(suite, work, arguments)
    with tempfile.TemporaryDirectory() as folder:
        pem = standins.certificate(Path(folder))
        async with standins.StandIn(pem) as port:
            made = with_standin(made, python, pem, port)
            for targets in groups:
                before = len(record.read_text().splitlines())
                await run_file(suite, python, work, made, targets, rest)
                for line in record.read_text().splitlines()[before:]:
                    tell(json.loads(line))
    return [json.loads(line) for line in record.read_text().splitlines()]


def tell(row: dict[str, Any]) -> None:
    """One line a test."""
    print(
        f"{row['outcome']:8} {row['seconds']:6.1f} s  {row['test']}  {row['words'][:120]}",
        flush=True,
    )


def finish(name: str, rows: list[dict[str, Any]], keep: bool) -> int:
    """Compare with the list, or write it; exit code 1 when something went otherwise."""
    listing = upstream_list.read(LIST)
    tests = listing.suites.get(name, {})
    seen = upstream_list.outcomes(rows)
    changed = upstream_list.differences(tests, seen)
    if keep:
        listing.suites[name] = upstream_list.merged(tests, seen)
        upstream_list.write(LIST, listing)
    for line in changed:
        print(line)
    good = sum(outcome == "passed" for outcome in seen.values())
    print(f"passed {good} of {len(seen)}; {len(changed)} otherwise than docs/upstream.toml says")
    return 1 if changed and not keep else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/upstream", epilog="docs/upstream.md says more")
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("--write", action="store_true", help="put the results into the list")
    args, rest = parser.parse_known_args()
    suite = SUITES[args.suite]
    if os.environ.get(INSIDE) is None:
        prepare(args.suite, suite)
        obtain(args.suite, suite)
        isolated = own_network()
        os.environ[INSIDE] = "network" if isolated else "shared"
        if isolated:
            os.execvp(isolated[0], [*isolated, sys.executable, *sys.argv])
        print("No network of our own here: ports 9944 and 9945 must be free.", file=sys.stderr)
    elif os.environ[INSIDE] == "network":
        raise_network()
    rows = asyncio.run(run(args.suite, CACHE / args.suite / "suite", rest))
    return finish(args.suite, rows, args.write)


if __name__ == "__main__":
    sys.exit(main())
