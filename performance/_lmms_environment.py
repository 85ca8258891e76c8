"""lmms-eval in an environment of its own, which borrows this project's torch and transformers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import version
from pathlib import Path

from pruneproof.errors import PruneProofError
from pruneproof.files import digest_file, write_json, write_text

REQUIREMENTS = Path(__file__).with_name("lmms_eval_requirements.txt")
SHARED = ("torch", "torchvision", "transformers", "tokenizers", "numpy", "pillow")
"""Packages that both sides must have in the same version."""
_MADE_OF = "made_of.json"


def default_folder() -> Path:
    """In the user's cache, outside the repository."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "pruneproof" / "lmms-eval"


def ready(folder: Path) -> Path:
    """The Python of an environment with lmms-eval, made if it is not there or was made of something else.

    A line in a `.pth` file lets it import what this Python has; pip counts that as installed.

    Args:
        folder: new, empty, or an earlier environment of this script.

    Raises:
        PruneProofError: if the folder holds anything else, pip fails, or a shared package is another one there.
    """
    python = folder / "bin" / "python"
    if not python.exists() or _made_of(folder) != _wanted():
        _make(folder, python)
    found = versions(python, *SHARED)
    own = {name: version(name) for name in SHARED}
    if found != own:
        raise PruneProofError(f"{folder} has {found}, and this Python has {own}: remove the folder and try again")
    return python


def versions(python: Path, *names: str) -> dict[str, str]:
    """What an interpreter would import."""
    code = "import json, sys, importlib.metadata as m; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"
    printed = subprocess.run([python, "-c", code, *names], capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(printed.stdout)
    return found


def _make(folder: Path, python: Path) -> None:
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / "pyvenv.cfg").exists():
            raise PruneProofError(f"--environment is {folder}, which is no environment: name a new or an empty folder")
        shutil.rmtree(folder)
    print(f"installing lmms-eval into {folder} (about 700 MB)", flush=True)
    venv.create(folder, with_pip=True)
    paths = sysconfig.get_paths()
    inside = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})["purelib"]
    lines = "".join(f"{path}\n" for path in dict.fromkeys((paths["purelib"], paths["platlib"])))
    write_text(Path(inside) / "shared.pth", lines)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS]
    done = subprocess.run(pip, text=True, stderr=subprocess.PIPE)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise PruneProofError(f"lmms-eval could not be installed into {folder}: {last}")
    write_json(folder / _MADE_OF, _wanted())


def _wanted() -> dict[str, str]:
    return {
        "requirements": digest_file(REQUIREMENTS),
        "python": sys.version,
        "shared": sysconfig.get_paths()["purelib"],
        **{name: version(name) for name in SHARED},
    }


def _made_of(folder: Path) -> object:
    try:
        return json.loads((folder / _MADE_OF).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
