"""Finished batches by fingerprint: a kill loses at most the batches in work, and a stale answer is never found."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa

import pruneproof
from pruneproof.answering.grid import Batch
from pruneproof.backbones._checkpoints import checkpoint_digest
from pruneproof.errors import PruneProofError
from pruneproof.files import digest, read_table, write_table
from pruneproof.settings import BackboneSettings, MethodSettings

_PACKAGES = ("torch", "transformers", "tokenizers", "open_clip_torch", "numpy", "pillow")
_CODE = (
    "pictures.py",
    "seeds.py",
    "records.py",
    "answering/answerer.py",
    "answering/features.py",
    "answering/grid.py",
)
"""Modules of every answer, besides the method's own and the family's; what a dialogue says is part of its batch."""


_HOME = Path(str(pruneproof.__file__)).parent


def code_files(family: str, method: str) -> list[Path]:
    """Source files that an answer depends on."""
    return [*(_HOME / name for name in _CODE), *_closure("pruning", method), *family_files(family)]


def family_files(family: str) -> list[Path]:
    """Source files of a backbone family; another family's new module leaves its finished cells as they are."""
    return _closure("backbones", family)


def _closure(room: str, member: str) -> list[Path]:
    """A room's package, one of its modules, and what that imports of the room, and so on."""
    package = f"{pruneproof.__name__}.{room}"
    waiting, found = {package, f"{package}.{member}"}, set[str]()
    while waiting:
        name = waiting.pop()
        found.add(name)
        wanted = {other for other in _imported(name) if other.startswith(f"{package}.")}
        waiting |= {other for other in wanted if _source_of(other).is_file()} - found
    return sorted(_source_of(name) for name in found)


def _imported(module: str) -> set[str]:
    """Everything that a module's `import` and `from` statements name, whether it is a module or not."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(_source_of(module).read_bytes())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def _source_of(module: str) -> Path:
    path = _HOME.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def encoder_fingerprint(backbone: BackboneSettings, root: Path) -> str:
    """Digest of what an encoded image depends on besides its pixels: weights, dtype, code, packages."""
    facts = {"weights": checkpoint_digest(backbone, root), "dtype": backbone.dtype, "packages": _packages()}
    return digest(json.dumps(facts, sort_keys=True).encode(), *_sources(family_files(backbone.family)))


def base_fingerprint(backbone: BackboneSettings, method: MethodSettings, study_seed: int, root: Path) -> str:
    """Digest of what all batches of a backbone and method share: weights, settings, seed, code, packages."""
    facts = {
        "weights": checkpoint_digest(backbone, root),
        "backbone": backbone.model_dump(exclude={"checkpoint", "text_tower", "control_text_tower"}),
        "method": {"method": method.method, **method.options},
        "seed": study_seed,
        "packages": _packages(),
    }
    return digest(json.dumps(facts, sort_keys=True).encode(), *_sources(code_files(backbone.family, method.method)))


def _sources(files: list[Path]) -> list[bytes]:
    return [part for path in files for part in (path.name.encode(), path.read_bytes())]


def _packages() -> dict[str, str]:
    return {name: version(name) for name in _PACKAGES}


def fingerprint(base: str, batch: Batch) -> str:
    """Digest of one batch's inputs under a base: condition, pixels, texts, and what was said before them."""
    parts = [base.encode(), batch.condition.condition_id.encode()]
    for image in batch.images:
        parts += [image.image_id.encode(), image.png]
        for question in image.questions:
            said = json.dumps([question.history, question.selecting]).encode()
            parts += [question.text.encode(), bytes([question.caption]), said]
            parts += [sample_id.encode() for sample_id in question.sample_ids]
    return digest(*parts)


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of finished batches."""

    folder: Path

    def path(self, key: str) -> Path:
        """Where the batch of that fingerprint is, or will be."""
        return self.folder / key[:2] / f"{key}.parquet"

    def holds(self, key: str) -> bool:
        """Whether the batch is finished."""
        return self.path(key).is_file()

    def put(self, key: str, table: pa.Table) -> None:
        """Keep a finished batch."""
        write_table(self.path(key), table)

    def get(self, key: str) -> pa.Table:
        """A finished batch.

        Raises:
            PruneProofError: if its file is damaged; the file is removed, so that the next run makes it anew.
        """
        try:
            return read_table(self.path(key))
        except PruneProofError as error:
            self.path(key).unlink(missing_ok=True)
            raise PruneProofError(
                f"a finished batch was damaged and is removed ({error}): run `dvc repro` again"
            ) from None
