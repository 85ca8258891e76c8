"""`prepare`: fixes what would keep DVC from starting and needs no decision by the user.

`make repro` runs it first. Each fix is reported in one line; a folder that is in order is left alone.
"""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import psutil
import yaml

from pruneproof import files, pipeline

NO_GIT = "# Written by `pruneproof prepare`: the project is not under git.\n[core]\n    no_scm = true\n"


def report(folder: Path) -> None:
    """Prepare the study in `folder` for DVC, and print what was done.

    Raises:
        PruneProofError: if the folder is not inside a project.
    """
    root = pipeline.project(folder)
    for done in (without_git(root), dead_locks(root), torn_lock_file(folder), own_pipeline(folder), others(folder)):
        if done:
            print(done, file=sys.stderr)


def without_git(root: Path) -> str | None:
    """For a download without git: tell DVC, which otherwise refuses to start. Undone once there is a repository."""
    config = root / ".dvc" / "config.local"
    ours = config.is_file() and config.read_text(encoding="utf-8") == NO_GIT
    if (root / ".git").exists():
        if ours:
            config.unlink()
        return None
    if config.exists():
        return None
    files.write_text(config, NO_GIT)
    return "The project is not under git: DVC runs without it."


def dead_locks(root: Path) -> str | None:
    """DVC's table of locks as a kill left it: half written, or naming a process id that is now another process's."""
    table = root / ".dvc" / "tmp" / "rwlock"
    if not table.is_file():
        return None
    with table.with_name("rwlock.lock").open("ab") as guard:
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # a running DVC is writing it
            return None
        try:
            entries = json.loads(table.read_text(encoding="utf-8"))
            alive = {
                "write": {path: owner for path, owner in entries.get("write", {}).items() if _runs_dvc(owner)},
                "read": {
                    path: kept
                    for path, owners in entries.get("read", {}).items()
                    if (kept := [owner for owner in owners if _runs_dvc(owner)])
                },
            }
        except (ValueError, TypeError, KeyError, AttributeError):
            table.unlink()
            return f"Removed {table}, which a killed DVC left half written."
        if alive["write"] == entries.get("write", {}) and alive["read"] == entries.get("read", {}):
            return None
        files.write_json(table, alive)
    return "Removed the locks of a killed DVC."


def _runs_dvc(owner: dict[str, Any]) -> bool:
    """Whether the process that an entry names is running and is DVC, not a later process with the same id."""
    try:
        process = psutil.Process(int(owner["pid"]))
        return process.status() != psutil.STATUS_ZOMBIE and any("dvc" in part for part in process.cmdline())
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def torn_lock_file(folder: Path) -> str | None:
    """A dvc.lock that was being written when DVC was killed; what finished stages made is still in DVC's cache."""
    path = folder / "dvc.lock"
    if not path.is_file():
        return None
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        whole = text.endswith("\n") and not text.endswith(":\n")
        whole = whole and all(stage["cmd"] for stage in content["stages"].values())
    except (UnicodeDecodeError, yaml.YAMLError, TypeError, KeyError, AttributeError):
        whole = False
    if whole:
        return None
    path.unlink()
    return f"Removed {path}, which is incomplete: DVC finds the outputs of finished stages in its cache."


def own_pipeline(folder: Path) -> str | None:
    """A new study has only its params.yaml: give it the project's dvc.yaml."""
    path, original = folder.resolve() / pipeline.FILE, pipeline.project(folder) / pipeline.FILE
    if not path.exists():
        shutil.copyfile(original, path)
        return f"Copied the project's {pipeline.FILE} to {path}."
    if path.read_bytes() != original.read_bytes():
        return (
            f"{path} differs from the project's {pipeline.FILE}: copy that over it, unless the difference is intended."
        )
    return None


def others(folder: Path) -> str | None:
    """Leave out studies that DVC cannot read, since it reads all of them whichever one is run. That is said once."""
    ignore = pipeline.project(folder) / "studies" / ".dvcignore"
    broken = pipeline.broken(folder)
    wanted = "".join(f"/{_pattern(place.name)}/\n" for place in broken)
    if wanted == (ignore.read_text(encoding="utf-8") if ignore.exists() else ""):
        return None
    if not wanted:
        ignore.unlink()
        return None
    files.write_text(ignore, wanted)
    return f"Left out, since DVC cannot read them: {pipeline.left_out(broken)}."


def _pattern(name: str) -> str:
    """A folder's name as a pattern of .dvcignore: `?` is any one letter, since DVC loses backslashes."""
    return re.sub(r"[^\w.-]", "?", name)
