"""Files as their authors publish them: what is wrong in one is named with its place, and the rest is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruneproof.benchmarks._faults import Faults
from pruneproof.benchmarks._official import Entry, FileName, Text, keyed, listed, read_json, read_lines, unique
from pruneproof.errors import PruneProofError


class Asked(Entry):
    question_id: int
    image: FileName
    text: Text
    label: Literal["yes", "no"]


SOUND = {"question_id": 1, "image": "a.jpg", "text": "Is it?", "label": "yes"}


def one_line(folder: Path, text: str | bytes) -> tuple[int, list[str]]:
    """How many entries the second of two lines gives, and what is noted, without the file's path."""
    file = folder / "asked.json"
    content = text if isinstance(text, bytes) else text.encode()
    file.write_bytes(json.dumps(SOUND).encode() + b"\n" + content + b"\n")
    faults = Faults()
    return len(read_lines(file, Asked, faults)) - 1, [line.removeprefix(f"{file}, ") for line in faults.lines]


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"label": "maybe"}, "label is 'maybe'; allowed: 'yes' or 'no'"),
        ({"label": "Yes"}, "label is 'Yes'; allowed: 'yes' or 'no'"),
        ({"question_id": "1"}, "question_id is '1': should be a valid integer"),
        ({"question_id": True}, "question_id is True: should be a valid integer"),
        ({"text": 3}, "text is 3: should be a valid string"),
        ({"text": " "}, "text is ' ': must not be empty"),
        ({"text": "a\x00b"}, r"text is 'a\x00b': must not hold the character '\x00'"),
        ({"image": "../a.jpg"}, "image is '../a.jpg': should be the name of a file, without folders"),
        ({"image": ".."}, "image is '..': should be the name of a file, without folders"),
    ],
)
def test_a_field_that_cannot_be_used_is_named_with_its_line(
    tmp_path: Path, changed: dict[str, Any], fault: str
) -> None:
    assert one_line(tmp_path, json.dumps(SOUND | changed)) == (0, [f"line 2: {fault}"])


def test_a_missing_field_is_named_and_further_ones_are_ignored(tmp_path: Path) -> None:
    assert one_line(tmp_path, '{"question_id": 1, "image": "a.jpg", "text": "Is it?"}') == (
        0,
        ["line 2: label is missing"],
    )
    assert one_line(tmp_path, json.dumps(SOUND | {"width": 3})) == (1, [])


def test_a_line_that_is_no_object_is_named(tmp_path: Path) -> None:
    assert one_line(tmp_path, "[1]") == (0, ["line 2: is [1]: should be an object"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"what is it?", "expected value, character 1"),
        (b'{"question_id": 1,', "EOF while parsing a value, character 18"),
        (b'{"text": "\xff"}', "invalid unicode code point, character 11"),
        (b'{"text": "\\ud800"}', "unexpected end of hex escape, character 17"),
        (b"[" * 5000, "recursion limit exceeded, character 202"),
    ],
)
def test_a_line_that_is_not_json_is_named(tmp_path: Path, text: bytes, reason: str) -> None:
    kept, faults = one_line(tmp_path, text)
    assert kept == 0
    assert len(faults) == 1
    assert faults[0].startswith(f"line 2: is not JSON ({reason}): ")
    assert len(faults[0]) < 250


def test_windows_line_ends_blank_lines_and_a_byte_order_mark_are_no_fault(tmp_path: Path) -> None:
    file, faults = tmp_path / "asked.json", Faults()
    second = json.dumps(SOUND | {"question_id": 2, "text": "Ist es grün?"}, ensure_ascii=False).encode()
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps(SOUND).encode() + b"\r\n \r\n" + second + b"\n\n")
    found = read_lines(file, Asked, faults)
    assert [(item.line, item.entry.text) for item in found] == [(1, "Is it?"), (3, "Ist es grün?")]
    assert faults.lines == []


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_an_empty_file_is_named(tmp_path: Path, content: bytes) -> None:
    file, faults = tmp_path / "asked.json", Faults()
    file.write_bytes(content)
    assert read_lines(file, Asked, faults) == []
    assert faults.lines == [f"{file}: is empty: restore it"]


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_no_line_is_lost_and_no_error_escapes(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> None:
    file, faults = tmp_path_factory.mktemp("any") / "asked.json", Faults()
    text = [line for part in lines for line in part.split(b"\n")]
    file.write_bytes(b"\n".join([json.dumps(SOUND).encode(), *text]))
    found = read_lines(file, Asked, faults)
    assert len(found) + len(faults.lines) == 1 + sum(bool(line.strip()) for line in text)


def test_an_id_that_an_earlier_entry_has_is_named(tmp_path: Path) -> None:
    file, faults = tmp_path / "asked.json", Faults()
    file.write_text("".join(json.dumps(SOUND | {"question_id": number}) + "\n" for number in (1, 2, 1)))
    kept = unique(read_lines(file, Asked, faults), "question_id", faults)
    assert [item.line for item in kept] == [1, 2]
    assert faults.lines == [f"{file}, line 3: question_id 1 is that of line 1: ids must be unique"]


def test_entries_of_a_list_are_numbered(tmp_path: Path) -> None:
    file, faults = tmp_path / "whole.json", Faults()
    file.write_text(json.dumps({"questions": [SOUND, {"question_id": 1}, 3, SOUND], "images": []}))
    content = read_json(file, faults)
    found = unique(listed(file, content, Asked, faults, "questions"), "question_id", faults)
    listed(file, content, Asked, faults, "images")
    assert [item.name for item in found] == ["questions entry 1"]
    assert [line.removeprefix(f"{file}: ") for line in faults.lines] == [
        "questions entry 2: image is missing",
        "questions entry 3: is 3: should be an object",
        "questions entry 4: question_id 1 is that of questions entry 1: ids must be unique",
        "'images' is an empty list: restore the file",
    ]


def test_entries_of_a_mapping_know_their_key_and_a_key_that_occurs_twice_is_named(tmp_path: Path) -> None:
    file, faults = tmp_path / "whole.json", Faults()
    sound = json.dumps(SOUND)
    file.write_text(f'{{"07": {sound}, "08": {{"text": 1}}, "07": {sound}}}')
    found = keyed(file, read_json(file, faults), Asked, faults)
    assert [(item.key, item.entry) for item in found] == [("07", Asked(**SOUND))]
    assert [line.removeprefix(f"{file}: ") for line in faults.lines] == [
        "'07' occurs twice as a key: leave one entry",
        "'08': question_id is missing",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"questions": [1,\n 2', r"whole\.json, line 2: is not JSON \(Expecting ',' delimiter, character 3\)"),
        (b"", r"whole\.json, line 1: is not JSON \(Expecting value, character 1\)"),
        (b'"\xff"', r"whole\.json: is not JSON \('utf-8' codec can't decode byte 0xff"),
        (b"9" * 5000, r"whole\.json: is not JSON \(Exceeds the limit"),
        (b"[" * 100_000, r"whole\.json: is not JSON \(maximum recursion depth"),
    ],
)
def test_a_file_that_is_not_json_as_a_whole_stops_the_reading(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "whole.json"
    file.write_bytes(content)
    with pytest.raises(PruneProofError, match=said):
        read_json(file, Faults())


@pytest.mark.parametrize("content", [[], 3, {"annotations": []}])
def test_another_file_than_expected_is_named(tmp_path: Path, content: Any) -> None:
    with pytest.raises(PruneProofError, match="has no 'questions': is it the right file"):
        listed(tmp_path / "x.json", content, Asked, Faults(), "questions")


def test_a_mapping_is_no_list_and_a_list_no_mapping(tmp_path: Path) -> None:
    with pytest.raises(PruneProofError, match=r"the file is \{\}, but should be a list"):
        listed(tmp_path / "x.json", {}, Asked, Faults())
    with pytest.raises(PruneProofError, match=r"is \[\], but should map ids to entries"):
        keyed(tmp_path / "x.json", [], Asked, Faults())
