from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest

from pruneproof.errors import PruneProofError
from pruneproof.files import (
    abandoned,
    digest,
    digest_files,
    read_json,
    read_rows,
    read_table,
    replacing,
    sweep,
    write_json,
    write_rows,
    write_text,
)

SCHEMA = pa.schema([("name", pa.string()), ("value", pa.int32())])
ROWS = [{"name": "a", "value": 1}, {"name": "b", "value": 2}]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "kept.txt"
    write_text(target, "old")

    def fail() -> None:
        with replacing(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_half_written_names_are_hidden_and_marked(tmp_path: Path) -> None:
    with replacing(tmp_path / "deep" / "x.json") as temporary:
        assert temporary.parent == tmp_path / "deep"
        assert temporary.name.startswith(".x.json.")
        assert temporary.name.endswith(".part")
        temporary.write_text("{}")


def test_equal_values_give_equal_json(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": "ü"})
    write_json(tmp_path / "b.json", {"a": "ü", "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert read_json(tmp_path / "a.json") == {"a": "ü", "b": 1}


def test_json_refuses_what_other_readers_cannot_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", float("nan"))
    assert not (tmp_path / "a.json").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe"])
def test_damaged_json_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(PruneProofError, match=r"x\.json is not valid JSON .*dvc repro"):
        read_json(path)


def test_missing_files_say_how_to_make_them(tmp_path: Path) -> None:
    for read in (read_json, read_table):
        with pytest.raises(PruneProofError, match=r"gone is missing: .*dvc repro"):
            read(tmp_path / "gone")


def test_rows_survive_and_repeat_byte_for_byte(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_rows(tmp_path / name, ROWS, SCHEMA)
    assert read_rows(tmp_path / "a") == ROWS
    assert read_rows(tmp_path / "a", ["value"]) == [{"value": 1}, {"value": 2}]
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("keep", [0, 3, 50])
def test_truncated_tables_are_named(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "t.parquet"
    write_rows(path, ROWS, SCHEMA)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(PruneProofError, match=r"t\.parquet cannot be read"):
        read_table(path)


def test_missing_columns_are_named(tmp_path: Path) -> None:
    write_rows(tmp_path / "t", ROWS, SCHEMA)
    with pytest.raises(PruneProofError, match="wrong"):
        read_table(tmp_path / "t", ["wrong"])


def test_digests_see_where_one_content_ends(tmp_path: Path) -> None:
    assert digest(b"a", b"bc") != digest(b"ab", b"c")
    assert digest() != digest(b"")
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(b"x")
    second.write_bytes(b"x")
    assert digest_files([first]) != digest_files([second])
    assert digest_files([first, second]) != digest_files([second, first])


@pytest.mark.parametrize("text", ["[1, 2]", "null", '"a"', "3", "[" * 100_000])
def test_json_of_another_kind_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(PruneProofError, match=r"a\.json .*: delete it and run `dvc repro`"):
        read_json(tmp_path / "a.json")


def test_what_a_killed_process_left_half_written_is_removed(tmp_path: Path) -> None:
    """Of a live process, and of other machines, it is left alone, and so are other files and hidden folders."""
    with replacing(tmp_path / "deep" / "x.json") as ours:
        ours.touch()
        dead = ours.name.replace(f"-{os.getpid()}-", f"-{2**22 + 1}-")  # no process has so high a number
        elsewhere = dead.replace(dead.split(".")[3].partition("-")[0], "00000000")
        assert not abandoned(ours.name)
        assert abandoned(dead)
        for name in (f"deep/{dead}", f"deep/{elsewhere}", f".hidden/{dead}", "deep/.x.json.part", "deep/x.json"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        sweep(tmp_path)
        assert {path.name for path in (tmp_path / "deep").iterdir()} == {ours.name, elsewhere, ".x.json.part", "x.json"}
        assert (tmp_path / ".hidden" / dead).exists()
    sweep(tmp_path / "nowhere")
