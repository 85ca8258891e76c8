"""Expected tokens are what pycocoevalcap's PTBTokenizer (ad63453, Stanford CoreNLP 3.4.1) made of the same text."""

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruneproof.errors import PruneProofError
from pruneproof.scoring.captions import java
from pruneproof.scoring.captions.tokens import tokenise

TOKENS = {
    "A man's dog isn't here.": "a man 's dog is n't here",
    "I can't, won't; cannot gonna wanna. 'Tis it's": "i ca n't wo n't can not gon na wan na 't is it 's",
    "\"Quoted\" 'single' text": "quoted single text",
    "two-way street - and -- dash": "two-way street and dash",
    "1,000 people at 5:30 p.m. on Mr. Smith's U.S. farm etc.": (
        "1,000 people at 5:30 p.m. on mr. smith 's u.s. farm etc."
    ),
    "half 1/2 and/or $5.00 50% a & b #1": "half 1/2 and/or $ 5.00 50 % a & b # 1",
    "(parens) [brackets] {braces}": "-lrb- parens -rrb- -lsb- brackets -rsb- -lcb- braces -rcb-",
    "caf\u00e9 \u201ccurly\u201d it\u2019s\u2026 ...": "caf\u00e9 curly it 's",
    "colour grey theatre": "colour grey theatre",
    "it.The end": "it.the end",
    "b. king's t-shirts; cats' o'clock 3rd 10am": "b. king 's t-shirts cats o'clock 3rd 10am",
    "!! What ?!": "!! what ?!",
    "": "",
    "  two  blanks ": "two blanks",
}


@pytest.mark.parametrize(("text", "expected"), [pair for pair in TOKENS.items() if "'Tis" not in pair[0]])
def test_plain_tokens_are_those_of_the_treebank(text: str, expected: str) -> None:
    assert tokenise([text], "plain") == [expected]


@given(st.lists(st.text(max_size=40), max_size=3))
def test_plain_tokens_are_one_line_a_caption_with_single_blanks(captions: list[str]) -> None:
    found = tokenise(captions, "plain")
    assert len(found) == len(captions)
    assert all("" not in text.split(" ") or not text for text in found)


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("java") is None or importlib.util.find_spec("pycocoevalcap") is None,
    reason="needs Java and pycocoevalcap",
)
def test_ptb_tokens_by_java_even_where_a_caption_holds_a_line_break() -> None:
    odd = {"a dog\r\nsits": "a dog sits", "a\u2028cat": "a cat", "caf\u00e9\x85!": "caf\u00e9"}
    assert tokenise([*odd, *TOKENS], "ptb") == [*odd.values(), *TOKENS.values()]


def test_without_java_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: type("Spec", (), {"submodule_search_locations": ["."]}))
    with pytest.raises(PruneProofError, match="need Java; install a JRE, or choose `plain` tokens"):
        tokenise(["a dog"], "ptb")


def test_without_pycocoevalcap_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(PruneProofError, match=r"need pycocoevalcap; run `pip install 'pruneproof\[captions\]'`"):
        tokenise(["a dog"], "ptb")


def test_a_tokeniser_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "java"
    program.write_text("#!/bin/sh\necho out of memory >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: type("Spec", (), {"submodule_search_locations": ["."]}))
    with pytest.raises(PruneProofError, match=r"gave 1 of 2 lines \(out of memory\)"):
        tokenise(["a dog", "a cat"], "ptb")


def test_an_official_program_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "pycocoevalcap"
    (package / "spice").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "spice" / "__init__.py").touch()
    failing = "class Spice:\n    def __init__(self):\n        raise OSError('no network')\n"
    (package / "spice" / "spice.py").write_text(failing)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/java")
    for name in [name for name in sys.modules if name.startswith("pycocoevalcap")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(PruneProofError, match=r"SPICE of pycocoevalcap failed \(no network\)"):
        java.spice(["a dog"], [["a cat"]])
