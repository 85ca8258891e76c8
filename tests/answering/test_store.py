from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pruneproof.answering.batch import Batch
from pruneproof.answering.grid import sheets
from pruneproof.answering.store import CELL, Store, fingerprint
from pruneproof.folders import Folders
from pruneproof.records import Condition
from pruneproof.settings import Study
from pruneproof.stored import Held

KEY, OTHER = "ab" * 32, "cd" * 32
TABLE = pa.Table.from_pylist(
    [
        {
            "text": "yes",
            "kept": [0, 3],
            "visual_tokens": 2,
            "input_tokens": 4,
            "mean_tokens": 3.0,
            "sequence_length": 12,
            "yes_logit": 1.5,
            "no_logit": -0.5,
            "error": "",
        }
    ],
    schema=CELL,
)


@pytest.fixture
def batch(study: Study, folders: Folders) -> Batch:
    return next(sheets(study, folders, True)).batches[0]


def test_inputs_change_the_content_of_a_batch(batch: Batch) -> None:
    first, *others = batch.images
    question = first.questions[0]

    def with_question(**fields: Any) -> Batch:
        questions = (replace(question, **fields), *first.questions[1:])
        return replace(batch, images=(replace(first, questions=questions), *others))

    found = [
        one.content
        for one in (
            batch,
            replace(batch, condition=Condition("image", "gaussian_noise", 1)),
            replace(batch, images=(replace(first, picture=Held(first.png + b"\0")), *others)),
            replace(batch, images=(replace(first, image_id="x"), *others)),
            replace(batch, images=tuple(others)),
            with_question(text="is there a cat?"),
            with_question(caption=True),
            with_question(history=(("is it red?", "yes"),)),
            with_question(history=(("is it red?", "no"),)),
            with_question(selecting="is it red?"),
        )
    ]
    assert len(set(found)) == len(found)
    assert replace(batch).content == found[0]
    assert replace(batch, condition=Condition("text", "typo_swap", 2)).content == found[0], "it shows the clean picture"
    assert len({fingerprint(base, content) for base in ("a", "b") for content in found}) == 2 * len(found)


def test_what_was_put_is_got(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.get(KEY) is None
    store.put(KEY, TABLE)
    assert store.get(KEY) == TABLE
    assert store.get(OTHER) is None


@pytest.mark.parametrize("place", [0, 31, 32, -1])
def test_one_changed_byte_is_noticed(tmp_path: Path, place: int) -> None:
    store = Store(tmp_path)
    store.put(KEY, TABLE)
    content = bytearray(store.path(KEY).read_bytes())
    content[place] ^= 1
    store.path(KEY).write_bytes(content)
    assert store.get(KEY) is None


def test_a_sound_cell_of_another_key_is_noticed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(KEY, TABLE)
    store.path(OTHER).parent.mkdir()
    store.path(OTHER).write_bytes(store.path(KEY).read_bytes())
    assert store.get(OTHER) is None


@pytest.mark.parametrize("kind", ["empty", "cut", "parquet", "folder"])
def test_what_lies_in_a_cells_place_gives_way(tmp_path: Path, kind: str) -> None:
    store = Store(tmp_path)
    store.put(KEY, TABLE)
    path = store.path(KEY)
    if kind == "folder":
        path.unlink()
        (path / "inner").mkdir(parents=True)
    elif kind == "parquet":
        pq.write_table(TABLE, path)
    else:
        path.write_bytes(path.read_bytes()[:-8] if kind == "cut" else b"")
    assert store.get(KEY) is None
    store.put(KEY, TABLE)
    assert store.get(KEY) == TABLE


def test_a_table_of_another_schema_is_not_a_cell(tmp_path: Path) -> None:
    with pytest.raises((pa.ArrowException, ValueError)):
        Store(tmp_path).put(KEY, TABLE.select(["text", "kept"]))
