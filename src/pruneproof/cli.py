"""The command line: one sub-command for each DVC stage, and a few that only inspect.

A stage reads params.yaml of the study's folder, does its work and exits with 0; what a user can fix is reported in
plain words with exit code 2; an interrupt exits with 130, SIGTERM with 143.
"""

from __future__ import annotations

import argparse
import importlib
import io
import logging
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pruneproof.errors import PruneProofError, disk_fault

STAGES = {
    "write_manifests": (
        "pruneproof.answering.manifest",
        "record what answers depend on besides pictures and texts",
    ),
    "draw_scenes": ("pruneproof.benchmarks.stage", "make the benchmark's images, objects and questions"),
    "corrupt_images": ("pruneproof.perturbations.images.stage", "corrupt every image under every image condition"),
    "reword_questions": ("pruneproof.perturbations.text.stage", "reword every question under every text condition"),
    "locate_patches": ("pruneproof.answering.patches", "find where in each image every visual token lies"),
    "answer_questions": ("pruneproof.answering.stage", "answer every question under every condition"),
    "measure_costs": ("pruneproof.answering.costs", "measure FLOPs, memory and latency of every method"),
    "score_answers": (
        "pruneproof.scoring.stage",
        "turn answers into scores, drops, paired differences and comparisons at equal cost",
    ),
    "write_report": ("pruneproof.reporting.stage", "write figures, tables, claims and report.html"),
    "record_runs": ("pruneproof.tracking", "record the results in MLflow"),
    "train_backbone": ("pruneproof.training.stage", "train a built-in model from scratch (an hour or more)"),
    "train_decisions": ("pruneproof.training.decision_stage", "train LVPruning's modules for a built-in LLaVA"),
}
"""Sub-command to the module whose `run(study, folders)` is the stage's body, and what it does."""

FOLDERS = {"train_backbone": "backbones", "train_decisions": "decisions"}
"""Where trainings have their settings and put their weights."""

LOOKS = {
    "check": "say whether everything that the study needs is in place",
    "plan": "print the cells, what is done, how long the rest takes, and what the study can show",
    "summary": "print the results that the last run left in reports/",
    "reference": "print every name and setting that params.yaml may have",
    "prepare": "repair what would keep DVC from starting, such as the lock of a killed run",
}
"""Sub-commands that are not stages; all but `prepare` change nothing."""

MEASURES = {"retention": "measure how much of a full model's lead over chance each image perturbation leaves"}
"""Sub-commands that ask a model about scenes of their own, apart from any study's results."""

EXPORTS = {
    "export_results": "write clean answers to the file that a benchmark's official script or test server reads",
    "export_scenes": "write the study's scenes as the files of a published benchmark",
}
"""Sub-commands that write files for others: in `results/` of the study's folder, or where they are told to."""

UI = {"ui": "show the recorded runs in MLflow's UI, on this machine only"}
"""The sub-command that runs until it is interrupted."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command.

    Args:
        arguments: What follows the program's name; None for the process's own.

    Returns:
        The exit code: 0 done, 2 the user must fix something, 130 interrupted, 143 terminated.
    """
    options = _parser().parse_args(arguments)
    options.study = options.study.absolute()  # a message names a file so that it is found from anywhere
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a path may hold letters that the locale lacks
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("pruneproof").setLevel(logging.INFO)
    try:
        with _terminable():
            return _command(options)
    except PruneProofError as error:
        print(f"pruneproof {options.command}: {error}", file=sys.stderr)
        return 2
    except (FileExistsError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
        if error.filename is None:
            raise
        where = error.filename2 or error.filename  # of two, the one that another takes the place of
        print(f"pruneproof {options.command}: {where}: {error.strerror}", file=sys.stderr)
        return 2
    except OSError as error:
        if (said := disk_fault(error)) is None:
            raise
        print(f"pruneproof {options.command}: {said}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        told = "terminated" if isinstance(stop, _Terminated) else "interrupted"
        kept = "; finished work is kept" if options.command in STAGES else ""
        print(f"pruneproof {options.command}: {told}{kept}", file=sys.stderr)
        return 143 if isinstance(stop, _Terminated) else 130


class _Terminated(KeyboardInterrupt):
    """SIGTERM, as a batch system sends it before it kills: what is being written is put away, as by an interrupt."""


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end what runs here as an interrupt does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, frame: object) -> None:
    raise _Terminated


def _command(options: argparse.Namespace) -> int:
    if options.command in UI:
        from pruneproof.tracking import ui

        ui.serve(options.study, options.port)
    if options.command in MEASURES:
        from pruneproof import retention

        retention.report(options.study, options.backbone, options.images, options.save)
        return 0
    if options.command in EXPORTS:
        return _export(options)
    return _look(options) if options.command in LOOKS else _stage(options)


def _stage(options: argparse.Namespace) -> int:
    from pruneproof import files
    from pruneproof.folders import Folders
    from pruneproof.study import load_study

    study = load_study(options.study)
    body = importlib.import_module(STAGES[options.command][0]).run
    chosen = {name: getattr(options, name) for name in ("backbone", "name") if hasattr(options, name)}
    for name, value in chosen.items():
        known = getattr(study, f"{name}s", None)
        if known is not None and value not in known:
            raise PruneProofError(f"--{name} is {value!r}, which params.yaml does not have: {', '.join(known)}")
    folders = Folders(options.study)
    for place in (folders.benchmark.parent, folders.reports):
        files.sweep(place)
    body(study, folders, **chosen)
    return 0


def _export(options: argparse.Namespace) -> int:
    if options.command == "export_scenes":
        from pruneproof import export_scenes

        export_scenes.report(options.study, options.form, options.to)
    else:
        from pruneproof import export_results

        export_results.report(options.study, options.backbone, options.method, options.name)
    return 0


def _look(options: argparse.Namespace) -> int:
    if options.command == "check":
        from pruneproof import check

        return check.report(options.study, quick=options.quick)
    if options.command == "plan" and (options.machine is not None or options.share is not None):
        from pruneproof.planning import report

        if options.machine is None:
            raise PruneProofError("--share is of a machine's peak: name the machine with --machine")
        report.report(options.study, options.machine, options.share)
        return 0
    importlib.import_module(f"pruneproof.{options.command}").report(options.study)
    return 0


class _Parser(argparse.ArgumentParser):
    """One that does not call it well if its help could not be written."""

    def _print_message(self, message: str, file: Any = None) -> None:
        if file is not sys.stdout:
            super()._print_message(message, file)
            return
        try:
            file.write(message)
        except AttributeError:  # there is no output
            pass
        except OSError as error:  # argparse ignores it; where output is not buffered, nothing else would notice
            raise SystemExit(f"{self.prog}: {disk_fault(error) or error.strerror}") from error


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="pruneproof",
        description="Does pruning visual tokens change how robust and how truthful a vision-language model is?",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=24),
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    stages = {name: text for name, (_, text) in STAGES.items()}
    for name, summary in {**stages, **LOOKS, **MEASURES, **EXPORTS, **UI}.items():
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        command.add_argument(
            "--study", type=Path, default=Path(), metavar="FOLDER", help="the folder of params.yaml (default: here)"
        )
        if name == "retention":
            command.add_argument("--images", type=int, default=100, help="unseen scenes to ask about (default: 100)")
            command.add_argument("--save", action="store_true", help="write the numbers onto a built-in model's card")
        if name in ("answer_questions", "retention", "export_results"):
            command.add_argument("--backbone", required=True, help="an id of `backbones` in params.yaml")
        if name in FOLDERS:
            command.add_argument("--name", required=True, help=f"the name of a data/{FOLDERS[name]}/<name>.yaml")
        if name == "export_scenes":
            command.add_argument(
                "--as", dest="form", required=True, metavar="FORMAT", help="such as pope; a wrong one lists all"
            )
            command.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="a new or an empty folder")
        if name == "export_results":
            command.add_argument("--method", required=True, help="an id of `methods` in params.yaml")
            command.add_argument("--name", help="the model's, for the file (default: backbone and method)")
        if name == "ui":
            command.add_argument("--port", type=int, default=5000, help="the port of 127.0.0.1 (default: 5000)")
        if name == "plan":
            command.add_argument(
                "--machine", metavar="NAME", help="what it takes on this machine; a wrong one lists all"
            )
            command.add_argument(
                "--share", type=float, help="of the machine's peak that is reached (default: as known)"
            )
        if name == "check":
            command.add_argument("--quick", action="store_true", help="leave out what takes longer than a second")
    return parser
