"""docs/faults.md: what was tried, how often, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

PROMISES = ("lost", "stale", "unclear", "unequal")
MISSED = "when nothing was left to kill"
"""How a trial tells that it hit nothing."""
HEAD = """\
# Faults

What PruneProof promises of a run that is disturbed, tried by `python -m performance.faults`: nothing finished is
lost beyond the batches in progress, nothing stale is served, a failure is told in one clear line with an exit code
that is not 0, and once the cause is gone, the next run ends with the bytes of an undisturbed one.

| fault | trials | nothing lost | nothing stale | one clear line | same bytes in the end |
|---|---|---|---|---|---|
"""
TAIL = """
## How

A study of 12 drawn scenes with a LLaVA with random weights runs through every stage of `dvc.yaml`, to the report
and MLflow. The undisturbed run is the reference: every file of `data/` and `reports/`, every finished cell, and
every run in MLflow with its parameters, metrics, tags and artifacts. A trial begins where the undisturbed run was
when the stage in question began, disturbs it, and then runs what is stale, as DVC decides it. Most trials run a
stage in a fork of a process that has loaded torch and MLflow; five kills and three pairs of runs at once go through
`dvc repro` itself, in processes of their own.

- **kills**: SIGKILL of the stage, of one of its workers, SIGTERM, and SIGINT to the group, as a terminal sends it;
  at a moment drawn uniformly over the length of the undisturbed run (over the stages that have workers, for those).
  No process may be left. A process that is killed by SIGKILL cannot say anything. Under DVC: `dvc repro` killed
  with its stage, and alone.
- **disk**: a small disk (tmpfs, in a mount namespace of its own, so that no root is needed where users may make
  namespaces) with 0 to 100% of the room that the stage needs, or files limited in size (`RLIMIT_FSIZE`), for every
  stage.
- **mlflow**: a real server behind a line that refuses connections, never answers, sends a byte a second, answers
  500 or rubbish: from the start, from a random request on, or that and well again after three seconds. A recording
  ends within 200 seconds.
- **twins**: a stage started twice, up to its own length apart; each may end well or give way in one line, but not
  both.
- **clock**: an hour, a day or ten years back or ahead; what a process is told is shifted (`time.time`), and files
  get the times of the other clock (`os.utime`). In the middle of a run, before a run with nothing to do, with
  weights changed under their old time, and before another recording.
- **damage**: every kind of file that is read or written, cut, emptied, with one bit flipped, of another type, gone,
  unreadable, or a folder instead. Stages that read it are run without DVC, which would make it anew.
- **mutations**: one change of settings, inputs, weights, packages, code or store; what is then served is compared
  with what a run from nothing answers.

## What may differ, and what is not promised

- Costs are measured: `data/costs/latency.csv`, and what the report shows of it, differ from run to run. Here the
  stop-watch is replaced by a counter (`_hooks.py`), so that they can be compared by their bytes as well.
- Left out of the comparison: `data/.cells/digests.json`, which remembers times and inode numbers of files; ids and
  times of MLflow's runs. Encoded pictures (`.features`) may be missing: nothing depends on them. Answers to a
  damaged input may be left over, under a key of their own.
- A bit that flips in an output of a stage is another input for the next stage, and most of Parquet's bytes carry no
  check: it is DVC that sees it and makes the file anew. A stage that is run by hand, without DVC, may read it.
  Finished cells, corrupted pictures and encoded ones carry a check of their own.
- A file changed within the same tick of the file system's clock, with its old size and both old times, would not be
  noticed; the time of the inode's change cannot be set by a program.
- A disk that loses what it said it had written (a power cut before the kernel wrote it) is not tried: files are
  renamed into place, not flushed.
- Where mounts are not permitted, the small disk is not tried, only the limit on files.
"""


def page(results: Mapping[str, Any], names: Sequence[str]) -> str:
    """The page.

    Args:
        results: of `faults.json`.
        names: of the kinds, in the order of the table.
    """
    kinds = [results["kinds"][name] for name in names if name in results["kinds"]]
    return HEAD + "".join(_rows(kinds)) + _missed(kinds) + "".join(_broken(kinds)) + TAIL


def _rows(kinds: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for kind in kinds:
        trials = kind["trials"]
        kept = (sum(not trial[promise] for trial in trials) for promise in PROMISES)
        yield f"| {kind['title']} | {len(trials)} | {' | '.join(map(str, kept))} |\n"


def _missed(kinds: Sequence[Mapping[str, Any]]) -> str:
    """How many kills came too late."""
    count = sum(trial["what"].endswith(MISSED) for kind in kinds for trial in kind["trials"])
    return f"\nOf the kills, {count} came {MISSED}.\n" if count else ""


def _broken(kinds: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    told = [
        f"- {kind['title']}, trial {trial['number']} ({trial['what']}): {promise}: {trial[promise]}\n"
        for kind in kinds
        for trial in kind["trials"]
        for promise in PROMISES
        if trial[promise]
    ]
    if told:
        yield "\nPromises that were broken:\n\n"
        yield from told
