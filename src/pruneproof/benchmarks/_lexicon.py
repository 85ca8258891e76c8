"""The list of words that name COCO's classes, by which captions are read."""

from __future__ import annotations

from pathlib import Path

from pruneproof.benchmarks import Need
from pruneproof.errors import PruneProofError
from pruneproof.mentions import wordnet
from pruneproof.mentions.objects import Lexicon, lexicon

_SOURCE = "https://raw.githubusercontent.com/LisaAnne/Hallucination/6e4d33c4bedf6dfcd24c61bf527f40714717be47/data"
_OFFICIAL = "synonyms.txt"
_SIZE, _DIGEST = 3577, "b685537b36fe21b791c87151b96a991ceb582edff19f3da204dcc7a7905502f2"


def lexicon_need(path: str) -> Need:
    """CHAIR's list of synonyms.

    Args:
        path: of the list, whose digest is known by its official name, or of a folder with the dictionary of WordNet;
            relative to `benchmark.folder`.
    """
    official = Path(path).name == _OFFICIAL
    return Need(
        path,
        f"{_SOURCE}/{_OFFICIAL}",
        _SIZE if official else 0,
        _DIGEST if official else "",
        "or name a folder with WordNet 3.0's index.noun, data.noun and index.adj (Debian's package wordnet-base), "
        "from which another list is derived; scores by it do not compare with published ones",
    )


def read_lexicon(path: Path) -> Lexicon:
    """Read the list that a user names, or derive one.

    Args:
        path: a list in the official format, or a folder with WordNet's dictionary.

    Raises:
        OSError: if a file cannot be read.
        PruneProofError: if there is no class in it, or the dictionary is another than WordNet 3.0's.
    """
    if path.is_dir():
        index, data, adjectives = (_text(path / name).split("\n") for name in ("index.noun", "data.noun", "index.adj"))
        return lexicon(
            wordnet.synonyms(wordnet.read(filter(None, index), filter(None, data), filter(None, adjectives)))
        )
    return lexicon(_text(path))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise PruneProofError(f"{file}: is not text ({error.reason}): is it the right file?") from None
