"""PruneProof's answers against those of lmms-eval 0.7.3: the same weights, pictures and questions, in turns.

    python -m performance.against_lmms_eval                        # everything, about four hours on two cores
    python -m performance.against_lmms_eval --rounds 1 --rows 360 --threads 2        # a look, a few minutes
    python -m performance.against_lmms_eval --rounds 1 --threads 2 --questions rows --methods full    # one cell
    python -m performance.against_lmms_eval --add --rounds 2       # two more rounds of what the results have
    python -m performance.against_lmms_eval --shape llava-1.5-7b --dtype float16 --device cuda --rows 720 --threads 2

Run it in the repository's root on a machine that does nothing else. The first call installs lmms-eval (`--environment`,
by default in the user's cache). Rows are drawn scenes as official POPE files, up to 18 a picture, of which about half
repeat an earlier one. What is counted, how both sides are run and what else there is: `performance/README.md`.
Writes `performance/results/against_lmms_eval.json` after every round; exit code 1 if answers of trained weights differ.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import torch
from performance._lmms_comparison import METHODS, QUESTIONS, Comparison, Weights
from performance._lmms_ratios import THEIRS, Agreement, Case, Run, agreement, ratios, table
from performance._lmms_result import Result
from performance._lmms_rows import TASK, without_repeats, write_scenes
from performance._lmms_shape import SUFFIX, save_shape
from performance._lmms_sides import LmmsEval, PruneProof, Setting
from performance._options import count

from performance import _lmms_environment as environment
from pruneproof.answering.costs import _processor
from pruneproof.errors import PruneProofError
from pruneproof.files import write_json

HOME = Path(__file__).resolve().parents[1]
SETTINGS = {
    "sdpa": Setting({"attn_implementation": "sdpa"}),
    "eager": Setting({"attn_implementation": "eager"}),
    "sdpa without cache": Setting({"attn_implementation": "sdpa", "use_cache": "False"}),
    "sdpa on one thread": Setting({"attn_implementation": "sdpa"}, threads=1),
}
"""Of lmms-eval; by method and number of threads the fastest is taken whose answers are ours."""
TRIED_ROWS = 90
SEED = 2026


def cases(chosen: argparse.Namespace) -> list[Case]:
    """What is compared in every round, in this order."""
    found = []
    for threads, questions in product(chosen.threads, chosen.questions):
        found += [Case(questions, (method,), threads) for method in chosen.methods]
        if len(chosen.methods) > 1:
            found.append(Case(questions, tuple(chosen.methods), threads))
    return found


def tried(comparison: Comparison, case: Case, trained: bool) -> dict[str, Any]:
    """lmms-eval's best of `SETTINGS`, the rows a second of each on a few rows, and how many answers are ours."""
    ours, theirs, rows = comparison.ours, comparison.theirs, comparison.rows[case.questions]
    ours.answer(comparison.study(case), case, len(rows))
    texts = ours.texts(comparison.study(case), case.method)
    speeds, equal, right = {}, {}, []
    for name, setting in SETTINGS.items():
        if setting.threads == case.threads:
            continue
        _tell(f"trying lmms-eval on {TRIED_ROWS} rows: {case.method}, {name}")
        marks = theirs.answer(comparison.task(case), case, setting, TRIED_ROWS)
        speeds[name] = round(marks.run(0, THEIRS, case, 0).speed, 2)
        found = agreement(case.questions, case.method, texts, theirs.texts(comparison.task(case), rows))
        equal[name] = f"{found.equal} of {found.rows}"
        if found.different and trained:
            print(f"lmms-eval, {case.method}, {name}: {equal[name]} answers are ours, so it is not taken", flush=True)
        else:
            right.append(name)
    return {"chosen": max(right or speeds, key=speeds.__getitem__), "rows_per_s": speeds, "answers_equal": equal}


def with_settings(comparison: Comparison, chosen: argparse.Namespace, found: dict[str, Any]) -> Comparison:
    """The comparison with lmms-eval's setting for every case: the one that is named, that of earlier rounds, or the
    best, which is noted in `found`."""
    best = {}
    for threads, method in product(chosen.threads, chosen.methods):
        key = f"{method}/{threads}"
        if chosen.setting:
            found[key] = {"chosen": chosen.setting, "rows_per_s": {}}
        elif key not in found:
            case = Case(chosen.questions[0], (method,), threads)
            found[key] = tried(comparison, case, trained=not chosen.shape)
            print(f"lmms-eval, {method}, {threads} threads: {found[key]}", flush=True)
        setting = SETTINGS[found[key]["chosen"]]
        best |= {Case(questions, (method,), threads): setting for questions in chosen.questions}
    return replace(comparison, theirs=replace(comparison.theirs, best=best))


def expected_minutes(
    wanted: Sequence[Case], rounds: int, rows: dict[str, int], settings: dict[str, Any]
) -> float | None:
    """Of lmms-eval's answers, its starts apart; None where no setting was tried."""
    alone = [case for case in wanted if len(case.methods) == 1]
    tried_speeds = [settings[f"{case.method}/{case.threads}"]["rows_per_s"].values() for case in alone]
    if not all(tried_speeds):
        return None
    seconds = sum(rows[case.questions] / max(speeds) for case, speeds in zip(alone, tried_speeds, strict=True))
    return rounds * seconds / 60


def conditions(chosen: argparse.Namespace, weights: Weights, python: Path, rows: dict[str, int]) -> dict[str, Any]:
    """Machine, versions, weights and rows."""
    device = torch.cuda.get_device_name(chosen.device) if chosen.device.startswith("cuda") else _processor()
    return {
        "device": device,
        "platform": platform.platform(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
        "versions": environment.versions(python, "lmms-eval", "datasets", "accelerate", *environment.SHARED),
        "pruneproof": version("pruneproof"),
        "weights": weights.checkpoint.name,
        "trained": weights.trained,
        "dtype": weights.dtype,
        "answer_tokens_at_most": weights.longest,
        "rows": rows,
    }


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="against_lmms_eval", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--rounds", type=count, default=3, help="of everything, PruneProof and lmms-eval in turns")
    add("--rows", type=count, default=9000, help="POPE rows, at most 18 a picture; POPE itself has 9,000")
    add("--threads", nargs="+", type=count, default=[1, 2], help="cores and threads that a side may use")
    add("--questions", nargs="+", choices=list(QUESTIONS), default=list(QUESTIONS), help="with repeats, or without")
    add("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    add("--checkpoint", type=Path, default=HOME / "data/backbones/builtin_llava", help="a LLaVA's folder")
    add("--text-tower", type=Path, help="its CLIP in open_clip's layout; default: `clip` in the checkpoint's folder")
    add("--shape", choices=["llava-1.5-7b"], help="random weights at a published shape instead of the checkpoint's")
    add("--scale", choices=["published", "tiny"], default="published", help="of --shape; tiny is a smoke run")
    add("--layers", type=count, help="of --shape: language layers, if memory does not suffice for all")
    add("--suffix", default="", help="added to every question")
    add("--dtype", choices=["float32", "float16", "bfloat16"], default="float32")
    add("--device", default="cpu", help="cpu, cuda or cuda:<n>")
    add("--environment", type=Path, default=environment.default_folder(), help="where lmms-eval is, or is installed")
    add("--python", type=Path, help="an interpreter that has lmms-eval; nothing is installed then")
    add("--setting", choices=list(SETTINGS), help="of lmms-eval; default: all are tried and the fastest is taken")
    add("--work", type=Path, help="a new or an empty folder for pictures, studies and logs; default: a temporary one")
    add("--output", type=Path, default=HOME / "performance/results/against_lmms_eval.json")
    add("--add", action="store_true", help="add rounds to the results that are there")
    return parser.parse_args(arguments)


def run(chosen: argparse.Namespace, work: Path) -> Result:
    """Prepare, measure and write.

    Raises:
        PruneProofError: if lmms-eval cannot be installed, or a side fails.
    """
    python = chosen.python or environment.ready(chosen.environment.resolve())
    _tell("drawing the pictures and writing the questions for both sides")
    weights = _weights(chosen, work)
    repeated = write_scenes(work, chosen.rows, SEED)
    rows = {"rows": repeated, "unique": without_repeats(repeated)}
    arguments = {"pretrained": str(weights.checkpoint), "dtype": weights.dtype}
    arguments |= dict.fromkeys(("device", "device_map"), chosen.device)
    pruned = {"atp_60": {"text_tower": str(weights.text_tower), "keep": str(METHODS["atp_60"]["keep"])}}
    comparison = Comparison(work, rows, PruneProof(chosen.device), LmmsEval(python, work, arguments, pruned))
    wanted = cases(chosen)
    comparison.prepare(weights, wanted)
    measured = conditions(chosen, weights, python, {name: len(own) for name, own in rows.items()})
    result = Result.read(chosen.output, measured) if chosen.add else Result(measured)
    _tell("a first run of each side, which is not counted")
    # A first run of each side fills the caches of the system and of `datasets`.
    for questions in chosen.questions:
        case = Case(questions, (chosen.methods[0],), chosen.threads[0])
        comparison.ours.answer(comparison.study(case), case, len(rows[questions]))
        comparison.theirs.answer(comparison.task(case), case, limit=2)
    comparison = with_settings(comparison, chosen, result.settings)
    if minutes := expected_minutes(wanted, chosen.rounds, measured["rows"], result.settings):
        print(f"about {minutes:.0f} minutes of lmms-eval's answers in {chosen.rounds} rounds", flush=True)
    first = 1 + max((run.round for run in result.runs), default=0)
    for number in range(first, first + chosen.rounds):
        for case in wanted:
            for found in comparison.measure(number, case, result.runs):
                if isinstance(found, Agreement):
                    result.agree(found)
                    print(f"  answers equal: {found.equal} of {found.rows}", flush=True)
                else:
                    result.runs.append(found)
                    print(_line(found), flush=True)
        write_json(chosen.output, result.as_json())
    return result


def _weights(chosen: argparse.Namespace, work: Path) -> Weights:
    """The checkpoint that is named, or one with random weights, which answer two tokens as trained ones do: a word
    and the end."""
    if not chosen.shape:
        checkpoint = chosen.checkpoint.resolve()
        tower = (chosen.text_tower or checkpoint / "clip").resolve()
        return Weights(checkpoint, tower, chosen.dtype, chosen.suffix, 8, trained=True)
    name = f"{chosen.shape}_{chosen.scale}_{chosen.layers or 'all'}_layers"
    save_shape(work / name, chosen.checkpoint, chosen.scale == "tiny", chosen.layers, chosen.dtype, chosen.device)
    return Weights(work / name, work / name / "clip", chosen.dtype, chosen.suffix or SUFFIX, 2, trained=False)


def _tell(doing: str) -> None:
    """What takes a while."""
    print(doing, file=sys.stderr, flush=True)


def _line(found: Run) -> str:
    case = found.case
    inside = f", {found.speed:.1f} rows/s once it answers" if found.rows_inside else ""
    start = f"{found.whole_s:.1f} s, {found.start_s:.1f} s of them to the first answers{inside}"
    return f"round {found.round}, {case.questions}, {case.method}, {case.threads} threads: {found.side} {start}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare and print the table; 1 if answers of trained weights differ, 2 if something fails."""
    chosen = parse(arguments)
    with ExitStack() as stack:
        work = chosen.work or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=TASK)))
        try:
            result = run(chosen, work.resolve())
        except PruneProofError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    print(table(ratios(result.runs), result.runs))
    off = [line for found in result.agreements.values() for line in found.different]
    for found in result.agreements.values():
        print(f"{found.questions}, {found.method}: {found.equal} of {found.rows} answers are equal")
    for line in off[:20]:
        print(f"  {line}")
    return 1 if off and result.conditions["trained"] else 0


if __name__ == "__main__":
    sys.exit(main())
