"""The campaign: which kinds there are, how trials are drawn, and what is written down after each."""

from __future__ import annotations

import argparse
import importlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from random import Random

from performance.faults import _page
from performance.faults._ending import nothing_left
from performance.faults._trials import Bench, Kind, Trial, prepare, ready_to_keep, to_json

from pruneproof.files import write_json, write_text

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
JOURNAL = PROJECT / "performance/results/.faults.jsonl"
RESULTS = PROJECT / "performance/results/faults.json"
NAMES = ("kills", "disk", "mlflow", "twins", "clock", "damage", "mutations")
"""Kinds of faults, each a module of this package with a `KIND`, in the order of the table."""


def kind_of(name: str) -> Kind:
    """A kind by its name."""
    kind: Kind = importlib.import_module(f"performance.faults.{name}").KIND
    return kind


def trials(bench: Bench, kind: Kind, numbers: Sequence[int], seed: int) -> Iterator[Trial]:
    """Trials of one kind; each is drawn from the seed, its kind and its number alone."""
    for number in numbers:
        began = time.monotonic()
        trial = kind.trial(bench, number, Random(f"{seed} {kind.name} {number}"))
        yield ready_to_keep(trial, bench, time.monotonic() - began)


def main() -> int:
    """Run what the command line asks for; 1 if a promise was broken."""
    parser = _parser()
    chosen = parser.parse_args()
    try:
        wanted = dict(_wanted(chosen.only, chosen.count))
    except ValueError as error:
        parser.error(f"--only: {error}")
    known = _journal() if chosen.resume else {}
    kept = {kind for kind, numbers in wanted.items() if not chosen.json and set(numbers) == set(range(kind.count))}
    if kept and not chosen.resume:
        JOURNAL.unlink(missing_ok=True)
    broken = 0
    print("preparing: a study is run undisturbed first, which takes a minute or two", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as folder, nothing_left():
        bench = prepare(Path(folder))
        for kind, numbers in wanted.items():
            left = [number for number in numbers if (kind.name, number, chosen.seed) not in known]
            for trial in trials(bench, kind, left, chosen.seed):
                broken += not trial.kept
                known[kind.name, trial.number, chosen.seed] = trial
                if chosen.json:
                    print(to_json(trial), flush=True)
                    continue
                _tell(trial)
                if kind not in kept:
                    continue
                with JOURNAL.open("a", encoding="utf-8") as file:
                    file.write(f"{chosen.seed}\t{to_json(trial)}\n")
                own = [one for (name, _, seed), one in known.items() if (name, seed) == (kind.name, chosen.seed)]
                _write(kind, own, chosen.seed)
    return 1 if broken else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m performance.faults", description=__doc__)
    parser.add_argument(
        "--only",
        nargs="+",
        default=list(NAMES),
        metavar="KIND",
        help=f"of {', '.join(NAMES)}; `kills=0-9,12` for some trials of a kind (default: all)",
    )
    parser.add_argument("--count", type=int, help="trials of each kind (default: its own number)")
    parser.add_argument("--seed", type=int, default=0, help="which ones (default: 0)")
    parser.add_argument("--resume", action="store_true", help="go on after the trials of a run that was cut")
    parser.add_argument("--json", action="store_true", help="print trials as JSON, and write nothing")
    return parser


def _wanted(given: Sequence[str], count: int | None) -> Iterator[tuple[Kind, Sequence[int]]]:
    """Kinds with the numbers of their trials.

    Raises:
        ValueError: if a kind is unknown or comes twice, or a number is not one.
    """
    names = [one.partition("=")[0] for one in given]
    if wrong := [name for name in names if name not in NAMES or names.count(name) > 1]:
        raise ValueError(f"{wrong[0]!r} must be one of {', '.join(NAMES)}, and each at most once")
    for one in given:
        name, _, numbers = one.partition("=")
        kind = kind_of(name)
        if not numbers:
            yield kind, range(kind.count if count is None else count)
            continue
        if not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", numbers):
            raise ValueError(f"{one!r}: trials are numbers and spans of them, as in {name}=0-9,12")
        ends = (part.partition("-") for part in numbers.split(","))
        yield kind, [number for first, _, last in ends for number in range(int(first), int(last or first) + 1)]


def _journal() -> dict[tuple[str, int, int], Trial]:
    found = {}
    for line in JOURNAL.read_text(encoding="utf-8").splitlines() if JOURNAL.exists() else ():
        seed, _, body = line.partition("\t")
        trial = Trial(**json.loads(body))
        found[trial.kind, trial.number, int(seed)] = trial
    return found


def _tell(trial: Trial) -> None:
    wrong = [
        f"{name.upper()}: {text}" for name in ("lost", "stale", "unclear", "unequal") if (text := getattr(trial, name))
    ]
    print(
        f"{trial.kind:9} {trial.number:3} {'kept  ' if trial.kept else 'BROKEN'} {trial.seconds:5.1f} s  {trial.what}"
    )
    for line in (*wrong, trial.said):
        if line:
            print(f"      {line}")
    sys.stdout.flush()


def _write(kind: Kind, made: Sequence[Trial], seed: int) -> None:
    """Put the trials of one kind into the results, in the place of its earlier ones, and make the page of all."""
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    results = results if "kinds" in results else {"kinds": {}}
    results["kinds"][kind.name] = {
        "title": kind.title,
        "seed": seed,
        "code": _commit(),
        "trials": [asdict(trial) for trial in made],
    }
    write_json(RESULTS, results)
    write_text(PROJECT / "docs/faults.md", _page.page(results, NAMES))


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=PROJECT, capture_output=True, text=True)
    return done.stdout.strip()
