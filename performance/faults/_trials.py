"""What a trial is, the bench that trials are made on, and how an end state is held against an undisturbed one."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from random import Random

from performance.faults import _pipeline as pipeline
from performance.faults import _processes as processes
from performance.faults._pipeline import Ended
from performance.faults._recorded import recorded
from performance.faults._world import World, build, digest

RESULTS = (
    "manifests", "benchmark", "corrupted", "reworded", "patches", "answers", "logits", "costs", "scores", ".corrupted",
    ".cells",
)  # fmt: skip
"""Folders of data/ that are compared, with the stores of finished work."""
TIMES = ("data/.cells/digests.json",)
"""Left out: what is remembered of files holds their times and inode numbers."""
SPARE = ".features"
"""Left out as well: nothing depends on encoded pictures, which are kept where there is room, and carry a check."""
_NOISE = ("Traceback (most recent call last)", "Exception ignored", "Process ForkProcess", "Process SpawnProcess",
          "resource_tracker", "Exception in thread", "terminate called", "Fatal Python error")  # fmt: skip
DONE = "done"
"""The end of a run, where a stage is named."""
SILENT = (-9, -15)
"""A process that is killed says nothing."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One fault and what came of it. What is empty is as promised."""

    kind: str
    number: int
    what: str
    lost: str = ""
    """Finished work that was gone, or done again."""
    stale: str = ""
    """What was served although what it depends on had changed."""
    unclear: str = ""
    """A failure without one clear line, or with exit code 0; or a run that did not end in time."""
    unequal: str = ""
    """How the end state differs from that of an undisturbed run."""
    said: str = ""
    """The line that the failure was told by."""
    seconds: float = 0.0

    @property
    def kept(self) -> bool:
        """Whether everything was as promised."""
        return not (self.lost or self.stale or self.unclear or self.unequal)


Fault = Callable[["Bench", int, Random], Trial]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault."""

    name: str
    title: str
    """What the table calls it."""
    count: int
    """Trials of a whole campaign."""
    trial: Fault


@dataclass(slots=True)
class Bench:
    """Where trials are made: a world before its first run, one after an undisturbed run, and what that run left."""

    folder: Path
    states: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """What the undisturbed run had left when a stage began, by its name, and at the end, by `DONE`."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """How long each of its stages took."""

    @property
    def live(self) -> World:
        """The world of the trial: always at the same place, since what is remembered of files names them by path."""
        return World(self.folder / "live")

    @property
    def names(self) -> tuple[str, ...]:
        """The stages, in order."""
        return tuple(self.seconds)

    def after(self, stage: str) -> str:
        """The next stage, or `DONE`."""
        following = (*self.names, DONE)
        return following[following.index(stage) + 1]

    def begin(self, at: str) -> World:
        """The undisturbed run as it was when a stage began, or `DONE`, in the place of the last trial's world."""
        empty(self.live.folder)
        shutil.copytree(self.folder / f"at {at}", self.live.folder, dirs_exist_ok=True, symlinks=True)
        for path in self.folder.glob("live.*"):
            path.unlink()
        if (lock := self.folder / f"at {at}.lock").exists():
            shutil.copyfile(lock, self.live.lock)
        return self.live

    def differs(
        self, world: World, at: str = DONE, only: Iterable[str] | None = None, more: tuple[str, ...] = ()
    ) -> str:
        """How a world differs from the undisturbed one; empty if it does not.

        Args:
            world: after a run.
            at: the stage that has not begun yet, or `DONE`.
            only: the beginnings of paths that are looked at.
            more: the endings of paths that may be there besides.
        """
        wanted = None if only is None else tuple(only)
        ours, theirs = (
            {name: value for name, value in state.items() if wanted is None or name.startswith(wanted)}
            for state in (state_of(world), self.states[at])
        )
        told = [f"{name} is missing" for name in sorted(theirs.keys() - ours.keys())]
        told += [
            f"{name} should not be there" for name in sorted(ours.keys() - theirs.keys()) if not name.endswith(more)
        ]
        told += [
            f"{name} has other bytes" for name in sorted(ours.keys() & theirs.keys()) if ours[name] != theirs[name]
        ]
        return "; ".join(told[:3]) + (f"; and {len(told) - 3} more" if len(told) > 3 else "")


def empty(folder: Path) -> None:
    """Remove what is in a folder, which may be a mount; also what nobody may read."""
    if not folder.exists():
        return
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def prepare(folder: Path) -> Bench:
    """A bench: builds a world, and runs it undisturbed."""
    processes.preload()
    bench = Bench(folder)
    world = build(bench.live.folder)

    def keep(name: str) -> None:
        shutil.copytree(world.folder, folder / f"at {name}", symlinks=True)
        if world.lock.exists():
            shutil.copyfile(world.lock, folder / f"at {name}.lock")
        bench.states[name] = state_of(world)

    ended = pipeline.repro(world, before=keep)
    if ended.code:
        raise SystemExit(f"the undisturbed run ends with code {ended.code} in {ended.stage}: {ended.said[-2000:]}")
    keep(DONE)
    bench.seconds = ended.seconds
    return bench


def state_of(world: World) -> dict[str, str]:
    """Digest of everything that a run leaves, by path; files that are half written are among them."""
    found = {}
    for top in (*(world.data / name for name in RESULTS), world.folder / "reports"):
        for path in sorted(top.rglob("*")):
            name = str(path.relative_to(world.folder))
            if path.is_file() and name not in TIMES and path.suffix != SPARE and path.name != ".gitignore":
                found[name] = digest(path)
    for path in world.folder.rglob("*.part"):
        found.setdefault(str(path.relative_to(world.folder)), "half written")
    return found | {f"MLflow {name}": value for name, value in recorded(world.folder / "mlflow.db").items()}


def finished(world: World) -> dict[str, int]:
    """Finished work in the stores, and when it was written."""
    kept = [*(world.data / ".cells").rglob("*.cell"), *(world.data / ".corrupted").glob("*.sha256")]
    return {str(path.relative_to(world.folder)): path.stat().st_mtime_ns for path in kept if path.is_file()}


def lost(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    """Finished work that is gone, or was done again; empty if none."""
    gone = [name for name, written in before.items() if after.get(name) != written]
    return f"{len(gone)} of {len(before)} finished pieces, such as {gone[0]}" if gone else ""


def line_of(ended: Ended) -> str:
    """The line by which a run tells why it failed."""
    lines = [line for line in ended.said.splitlines() if line.startswith(("pruneproof ", "pruneproof: "))]
    return lines[-1] if lines else ""


def unclear(ended: Ended, allowed: Iterable[int] = (2,)) -> str:
    """What is wrong with how a failure is told; empty for a run that ended well, and for a good line.

    Args:
        ended: the run.
        allowed: exit codes with which it may tell a failure.
    """
    noise = next((mark for mark in _NOISE if mark in ended.said), "")
    if noise:
        last = [line for line in ended.said.strip().splitlines() if line.strip()][-1:]
        return f"{ended.stage} (code {ended.code}): {noise}: {''.join(last)[:300]}"
    if ended.code == 0 or ended.code in SILENT:
        return ""
    lines = [line for line in ended.said.splitlines() if line.startswith(("pruneproof ", "pruneproof: "))]
    if len(lines) != 1:
        return f"{ended.stage} (code {ended.code}): {len(lines)} lines: {ended.said.strip()[-300:]}"
    if ended.code not in allowed:
        return f"{ended.stage}: exit code {ended.code}: {lines[0][:300]}"
    if relative := re.search(r"(?<![\w/.~-])(data|reports|studies)/[\w./-]+\.\w+", lines[0].split(": ", 1)[1]):
        return f"{ended.stage}: a relative path, {relative[0]}: {lines[0][:300]}"
    return ""


def ready_to_keep(trial: Trial, bench: Bench, seconds: float) -> Trial:
    """With its time, and without the folder that it was made in, which says nothing about the trial."""
    texts = {name: text for name, text in asdict(trial).items() if isinstance(text, str)}
    told = {
        name: text.replace(f"{bench.live.folder}/", "").replace(str(bench.folder), "") for name, text in texts.items()
    }
    return replace(trial, **told, seconds=round(seconds, 1))


def to_json(trial: Trial) -> str:
    """One line."""
    return json.dumps(asdict(trial), ensure_ascii=False)
