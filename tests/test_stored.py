"""Pictures by reference: each is read alone, and is what it was when it was noted."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pruneproof.errors import PruneProofError
from pruneproof.stored import ROWS_PER_GROUP, Held, InFile, InTable, write_pictures

SCHEMA = pa.schema([pa.field("image_id", pa.string(), nullable=False), pa.field("png", pa.binary())])


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def table(path: Path, contents: list[bytes], group: int = ROWS_PER_GROUP) -> None:
    write_pictures(path, ({"image_id": str(i), "png": one} for i, one in enumerate(contents)), SCHEMA, group)


@settings(deadline=None, max_examples=30)
@given(contents=st.lists(st.binary(min_size=1, max_size=9), max_size=35), group=st.integers(1, 12))
def test_every_row_is_found_whatever_the_groups(
    tmp_path_factory: pytest.TempPathFactory, contents: list[bytes], group: int
) -> None:
    path = tmp_path_factory.mktemp("table") / "t.parquet"
    table(path, contents, group)
    assert pq.read_table(path, schema=SCHEMA)["png"].to_pylist() == contents
    found = [InTable(path, row, sha256(one)).read() for row, one in enumerate(contents)]
    assert found == contents
    backwards = [InTable(path, row, sha256(contents[row])).read() for row in reversed(range(len(contents)))]
    assert backwards == contents[::-1]


def test_groups_are_small_and_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    contents = [bytes([i]) * 50 for i in range(23)]
    for name in ("one", "two"):
        table(tmp_path / name, contents)
    metadata = pq.read_metadata(tmp_path / "one")
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [10, 10, 3]
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_table_that_takes_the_place_of_another_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    for content in (b"first", b"other"):
        table(path, [content])
        assert InTable(path, 0, sha256(content)).read() == content


def test_what_has_changed_is_not_taken_for_what_was_noted(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    table(path, [b"a", b"b"])
    with pytest.raises(PruneProofError, match=r"row 1 of .*t\.parquet is no longer what it was .* `dvc repro`"):
        InTable(path, 1, sha256(b"a")).read()
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"before")
    stored = InFile(photo, sha256(b"before"))
    assert stored.read() == b"before"
    photo.write_bytes(b"after")
    with pytest.raises(PruneProofError, match=r"picture .*photo\.jpg is no longer what it was"):
        stored.read()
    photo.unlink()
    with pytest.raises(PruneProofError, match=r"picture .*photo\.jpg .*No such file.* restore it"):
        stored.read()


def test_a_damaged_missing_or_shorter_table_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    with pytest.raises(PruneProofError, match="is missing"):
        InTable(path, 0, "").read()
    table(path, [b"a"])
    with pytest.raises(PruneProofError, match="cannot be read"):
        InTable(path, 1, "").read()
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(PruneProofError, match="cannot be read"):
        InTable(path, 0, "").read()


def test_a_held_picture_is_known_by_its_bytes() -> None:
    assert (Held(b"x").read(), Held(b"x").digest) == (b"x", sha256(b"x"))
