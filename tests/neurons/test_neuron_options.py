"""What somebody who starts a neuron gets wrong: one sentence, before anything is paid."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
from aiohttp import web

from ganglion.wire.call import Target
from neurons import program
from neurons.engine.base import EngineError
from neurons.gateway.directory import described, offered
from neurons.gateway.options import parser as gateway_parser
from neurons.http import Server
from neurons.miner.main import main as mine
from neurons.miner.options import parser as miner_parser
from neurons.validator.options import parser as validator_parser

NOWHERE = ["--netuid", "2", "--network", "ws://127.0.0.1:1"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--port", "80930"], "is no port"),
        (["--port", "http"], "is no port"),
        (["--external-host", "my.host"], "stores no host names"),
        (["--engine", "vllm"], "invalid choice"),
    ],
)
def test_a_miners_options(options, words, capsys):
    with pytest.raises(SystemExit):
        miner_parser().parse_args(["--netuid", "2", *options])
    assert words in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("speed", ["7", "-0.1", "nan", "fast"])
def test_a_validators_share_of_speed(speed, capsys):
    with pytest.raises(SystemExit):
        validator_parser().parse_args(["--netuid", "2", f"--speed={speed}"])
    assert "from 0 to 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--uri", "//Bob"], "is the node running?"),
        (["--wallet", "nobody", "--wallet-path", "/nowhere"], "check the wallet's name"),
        (["--uri", "Bob"], "words"),
        (["--uri", "//Bob", "--network", "127.0.0.1:1"], "write ws://HOST:PORT"),
    ],
)
def test_a_miner_that_cannot_begin_says_why(options, words, capsys):
    assert mine([*NOWHERE, *options]) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith("error: ")
    assert words in said[-1]
    assert not any("Traceback" in line for line in said)


def test_an_error_of_many_lines_is_one(capsys):
    def work() -> int:
        raise EngineError("a first line\nand a second")

    assert program.tell_errors(work) == 1
    assert capsys.readouterr().err == "error: a first line and a second\n"


async def test_a_port_in_use_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port}: it is in use; stop what listens there"):
            await Server(web.Application(), "127.0.0.1", port).start()


THREADS = """
import numpy
from threadpoolctl import threadpool_info
from neurons.program import limit_threads
limit_threads()
print(max(pool["num_threads"] for pool in threadpool_info()))
"""


@pytest.mark.parametrize(("asked", "got"), [(None, "1"), ("2", "2")])
def test_neurons_multiply_on_one_thread_unless_asked(asked, got):
    """Although numpy is there before the program's first line."""
    environment = {k: v for k, v in os.environ.items() if k not in program.BLAS_THREADS}
    if asked:
        environment |= dict.fromkeys(program.BLAS_THREADS, asked)
    done = subprocess.run(
        [sys.executable, "-c", THREADS], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == (got if (os.cpu_count() or 1) > 1 else "1")


@pytest.mark.parametrize(
    ("parser", "options", "words"),
    [
        (miner_parser, ["--netuid=-1"], "from 0 to 65535"),
        (miner_parser, ["--netuid=70000"], "from 0 to 65535"),
        (miner_parser, ["--pages=0"], "whole number from 1"),
        (miner_parser, ["--width=0"], "whole number from 1"),
        (miner_parser, ["--price=-1"], "is no price"),
        (validator_parser, ["--tokens=0"], "whole number from 1"),
        (validator_parser, ["--sample=-2"], "whole number from 1"),
        (validator_parser, ["--exponent=-1"], "from 0 to 64"),
        (validator_parser, ["--interval=0"], "is no time"),
        (validator_parser, ["--timeout=nan"], "is no time"),
        (gateway_parser, ["--port=99999"], "is no port"),
        (gateway_parser, ["--price-in=-4"], "is no price"),
        (gateway_parser, ["--sample=3"], "from 0 to 1"),
        (gateway_parser, ["--route-price=nan"], "is no power"),
        (gateway_parser, ["--embedding-netuid=x"], "from 0 to 65535"),
    ],
)
def test_numbers_that_make_no_sense(parser, options, words, capsys):
    with pytest.raises(SystemExit):
        parser().parse_args(["--netuid", "2", *options])
    assert words in capsys.readouterr().err.splitlines()[-1]


def test_a_gateway_without_its_packages_names_the_missing_one(tmp_path):
    hidden = "import sys; sys.modules['sqlalchemy'] = None\n"
    (tmp_path / "sitecustomize.py").write_text(hidden)
    done = subprocess.run(
        [sys.executable, "-m", "neurons.gateway", "--help"],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{os.getcwd()}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "error: a gateway needs sqlalchemy: pip install 'ganglion[gateway]'\n"


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
async def test_an_address_that_is_not_ours_is_named(host):
    with pytest.raises(OSError, match=rf"{host} port 0: this machine has no such address"):
        await Server(web.Application(), host, 0).start()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"embedding": {}}, "it serves embedding, not text"),
        ({}, "it serves nothing, not text"),
        ([], "no JSON object"),
        ({"text": {"model": "m"}}, "price and context"),
        ({"text": {"context": 4}}, "model is no name"),
    ],
)
def test_a_miner_that_cannot_be_used_is_told_apart(said, words):
    with pytest.raises(ValueError, match=words):
        described(0, Target("5x", "127.0.0.1", 1), offered(said, "text"))
