"""Which list of words captions are read by."""

from __future__ import annotations

from pathlib import Path

import pytest

from pruneproof.benchmarks._lexicon import lexicon_need, read_lexicon
from pruneproof.errors import PruneProofError

WORDNET = Path("/usr/share/wordnet")


def test_a_list_in_the_official_format_is_read(tmp_path: Path) -> None:
    (tmp_path / "synonyms.txt").write_text("dog, puppy\ncat\n")
    assert read_lexicon(tmp_path / "synonyms.txt") == {"dog": "dog", "puppy": "dog", "cat": "cat"}


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "synonyms.txt").write_bytes(b"dog, \xff\n")
    with pytest.raises(PruneProofError, match=r"synonyms\.txt: is not text \(invalid start byte\)"):
        read_lexicon(tmp_path / "synonyms.txt")


def test_another_dictionary_than_wordnet_3_is_told(tmp_path: Path) -> None:
    (tmp_path / "index.noun").write_text("  1 licence\nperson n 1 0 1 1 00007846\n")
    (tmp_path / "data.noun").write_text("  1 licence\n00007846 18 n 01 person 0 000 | a human being\n")
    (tmp_path / "index.adj").write_text("  1 licence\n")
    with pytest.raises(PruneProofError, match=r"has no sense \d; use the dictionary of WordNet 3\.0"):
        read_lexicon(tmp_path)


@pytest.mark.skipif(not WORDNET.exists(), reason="needs Debian's package wordnet-base")
def test_a_list_is_derived_from_wordnet() -> None:
    found = read_lexicon(WORDNET)
    assert len(set(found.values())) == 80
    assert found["puppy"] == "dog"


def test_the_official_list_has_a_digest_and_another_none() -> None:
    assert lexicon_need("chair/synonyms.txt").sha256
    assert lexicon_need("wordnet").sha256 == ""
