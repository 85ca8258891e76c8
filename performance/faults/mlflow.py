"""MLflow that is not there, never answers, drips, answers 500 or rubbish, from the start or in the middle, or that dies
and comes back: the recording ends in time and says so, and the next one is complete."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from urllib.request import urlopen

from performance.faults import _pipeline as pipeline
from performance.faults._recorded import recorded
from performance.faults._server import Line, Mode, server
from performance.faults._trials import DONE, Bench, Kind, Trial, line_of, unclear

STAGE = "record_runs"
MODES: tuple[Mode, ...] = ("dead", "silent", "drip", "error", "garbage")
BACK = 3.0
"""Seconds after which a server that died is there again."""
IN_TIME = 200.0
"""Seconds in which a recording ends: 120 for a call (`tracking.store`), and those before it."""


def trial(bench: Bench, number: int, rng: Random) -> Trial:
    """Record to a server of which something is wrong, then to the same one when it is well again."""
    reference = _reference(bench)
    world, folder = bench.begin(STAGE), _empty_server(bench)
    mode = MODES[number % len(MODES)]
    when = ("at once", "in the middle", "in the middle, and back")[number // len(MODES) % 3]
    with server(folder) as port:
        line = Line(port)
        if when == "at once":
            line.mode = mode
        else:
            line.later = rng.randrange(2, reference.requests), mode
            line.back = BACK if "back" in when else None
        began = time.monotonic()
        with line.held() as address, _tracking(address):
            ended = pipeline.repro(world)
        seconds = time.monotonic() - began
        lost = bench.differs(world, STAGE if ended.code else DONE, ("data/", "reports/"))
        with Line(port).held() as address, _tracking(address):
            again = pipeline.repro(world)
    wrong = unclear(ended) or (f"then code {again.code}: {again.said[-300:]}" if again.code else "")
    at = f", at request {line.later[0]} of {reference.requests}" if line.later else ""
    return Trial(
        "mlflow",
        number,
        f"{mode} {when}{at}: {'failed' if ended.code else 'did not matter'} after {seconds:.0f} s",
        lost=lost,
        unclear=f"ends after {seconds:.0f} s" if seconds > IN_TIME else wrong,
        unequal=_compare(reference.runs, _runs(folder)) or bench.differs(world, DONE, ("data/", "reports/")),
        said=line_of(ended),
    )


@dataclass(frozen=True, slots=True)
class _Reference:
    """An undisturbed recording to a server."""

    runs: Mapping[str, str]
    requests: int
    """That it sends."""


_made: dict[Path, _Reference] = {}


def _reference(bench: Bench) -> _Reference:
    """Made once on a bench, with the tables of a server that has recorded nothing."""
    if bench.folder not in _made:
        world, folder = bench.begin(STAGE), bench.folder / "server empty"
        folder.mkdir()
        with server(folder) as port:
            urlopen(f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/get?experiment_id=0").read()
        with server(_empty_server(bench)) as port:
            line = Line(port)
            with line.held() as address, _tracking(address):
                ended = pipeline.repro(world)
        if ended.code:
            raise SystemExit(f"an undisturbed recording ends with code {ended.code}: {ended.said[-2000:]}")
        _made[bench.folder] = _Reference(_runs(bench.folder / "server"), line.requests)
    return _made[bench.folder]


def _empty_server(bench: Bench) -> Path:
    folder = bench.folder / "server"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(bench.folder / "server empty", folder)
    return folder


def _runs(folder: Path) -> dict[str, str]:
    return recorded(folder / "mlflow.db", folder / "artifacts")


def _compare(reference: Mapping[str, str], found: Mapping[str, str]) -> str:
    wrong = sorted(name for name in reference.keys() | found.keys() if reference.get(name) != found.get(name))
    return (
        f"MLflow: {len(wrong)} of {len(reference)} runs, such as {wrong[0]}, are not as recorded undisturbed"
        if wrong
        else ""
    )


@contextmanager
def _tracking(address: str) -> Iterator[None]:
    os.environ["MLFLOW_TRACKING_URI"] = address
    try:
        yield
    finally:
        del os.environ["MLFLOW_TRACKING_URI"]


KIND = Kind("mlflow", "A sick MLflow", 30, trial)
