"""What of pycocoevalcap runs in Java: the Penn Treebank tokeniser, METEOR and SPICE.

The extra `captions` brings pycocoevalcap's programs (104 MB); SPICE downloads a model of Stanford's the first time,
which a machine without network cannot.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pruneproof.errors import PruneProofError

_TOKENISER = ("tokenizer", "stanford-corenlp-3.4.1.jar")

_PUNCTUATION = frozenset(
    ["''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--", "...", ";"]
)
"""Tokens that pycocoevalcap leaves out. They are in lower case by then, so that `-lrb-` and its like stay."""

_BREAKS = re.compile("[\n\r\x0b\x0c\x85\u2028\u2029]")
"""What the tokeniser takes for the end of a line."""


def ptb_tokens(captions: Sequence[str]) -> list[str]:
    """Tokens of captions as pycocoevalcap's `PTBTokenizer` makes them, in one Java process.

    Unlike there, all line breaks within a caption are blanks (there only `\\n`: any other shifts all later captions by
    one), the text is UTF-8 whatever the locale says, and no file is written into site-packages.

    Args:
        captions: text.

    Returns:
        For each caption its tokens in lower case with single blanks between them, without punctuation.

    Raises:
        PruneProofError: without Java or pycocoevalcap, or if the tokeniser fails.
    """
    program = _folder().joinpath(*_TOKENISER)
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "captions.txt"
        text.write_text("".join(f"{_BREAKS.sub(' ', caption)}\n" for caption in captions), encoding="utf-8", newline="")
        command = [_java(), "-cp", str(program), "edu.stanford.nlp.process.PTBTokenizer", "-preserveLines"]
        command += ["-lowerCase", "-encoding", "UTF-8", str(text)]
        done = subprocess.run(command, capture_output=True, check=False)
    lines = done.stdout.decode("utf-8").split("\n")[: len(captions)]
    if done.returncode or len(lines) < len(captions):
        said = [*done.stderr.decode("utf-8", "replace").splitlines(), f"exit code {done.returncode}"]
        raise PruneProofError(
            f"captions: the PTB tokeniser gave {len(lines)} of {len(captions)} lines ({said[0]}); check `java`, "
            "or choose `plain` tokens"
        )
    return [" ".join(token for token in line.rstrip().split(" ") if token not in _PUNCTUATION) for line in lines]


def meteor(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[float, list[float]]:
    """METEOR of a set and of each caption, by pycocoevalcap.

    Args:
        candidates: one caption a picture, tokens with single blanks between them.
        references: for each picture its reference captions, in the same form.

    Raises:
        PruneProofError: without Java or pycocoevalcap.
    """
    score, each = _official("meteor", "Meteor", candidates, references)
    return float(score), [float(value) for value in each]


def spice(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[float, list[float]]:
    """SPICE of a set and of each caption, by pycocoevalcap; arguments and errors as for `meteor`."""
    score, details = _official("spice", "Spice", candidates, references)
    return float(score), [float(detail["All"]["f"]) for detail in details]


def _official(module: str, name: str, candidates: Sequence[str], references: Sequence[Sequence[str]]) -> Any:
    _java()
    _folder()
    truth = {number: list(captions) for number, captions in enumerate(references)}
    said = {number: [caption] for number, caption in enumerate(candidates)}
    try:
        scorer = getattr(importlib.import_module(f"pycocoevalcap.{module}.{module}"), name)()
        return scorer.compute_score(truth, said)
    except (OSError, ValueError, subprocess.SubprocessError) as error:  # no download, or a program that ended early
        raise PruneProofError(
            f"captions: {name.upper()} of pycocoevalcap failed ({error}); check `java`, the memory (2 GB; SPICE: "
            "8 GB) and SPICE's download, or leave it out"
        ) from error


def require() -> None:
    """Nothing, where all three can run.

    Raises:
        PruneProofError: without Java or pycocoevalcap.
    """
    _java()
    _folder()


def _java() -> str:
    found = shutil.which("java")
    if found is None:
        raise PruneProofError(
            "captions: PTB tokens, METEOR and SPICE need Java; install a JRE, or choose `plain` tokens"
        )
    return found


def _folder() -> Path:
    spec = importlib.util.find_spec("pycocoevalcap")
    if spec is None or not spec.submodule_search_locations:
        raise PruneProofError(
            "captions: PTB tokens, METEOR and SPICE need pycocoevalcap; run `pip install "
            "'pruneproof[captions]'`, or choose `plain` tokens"
        )
    return Path(next(iter(spec.submodule_search_locations)))
