"""The rows that both sides answer: drawn scenes as official POPE files, a study on them, and a task of lmms-eval."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from pruneproof.benchmarks import build
from pruneproof.exporting import pope
from pruneproof.files import write_bytes, write_text
from pruneproof.settings import BenchmarkSettings

SPLITS = ("random", "popular", "adversarial")
ROWS_PER_PICTURE = 18
"""Three present and three absent objects in each of three samplings, as in the official files; at most."""
PICTURES = "val2014"
TASK = "pope_scenes"
_STRINGS = ("question_id", "question", "answer", "category")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of an official POPE file."""

    split: str
    number: int
    image: str
    """File name of the picture."""
    question: str
    answer: str

    @property
    def asked(self) -> tuple[str, str]:
        """What decides about the answer: picture and question."""
        return self.image, self.question


def write_scenes(folder: Path, count: int, seed: int) -> list[Row]:
    """Draw scenes for at least so many rows and write them as official files, those of an earlier call being kept.

    Args:
        folder: `coco/coco_pope_<split>.json` and `val2014/` are written there, and `unique/` with repeats left out.
        count: rows wanted; whole pictures are drawn.
        seed: of the scenes.

    Returns:
        The rows with their repeats.
    """
    pictures, files = 0, dict[str, bytes]()
    rows: list[Row] = []
    while len(rows) < count:  # a picture with fewer than three objects has fewer rows
        pictures = max(2, pictures - (len(rows) - count) // ROWS_PER_PICTURE)
        files = pope.export(build(BenchmarkSettings(name="scenes", images=pictures), seed, folder)).files
        rows = [row for split in SPLITS for row in _read(split, files[f"coco/coco_pope_{split}.json"])]
    for path, content in files.items():
        write_bytes(folder / path, content)
    alone = without_repeats(rows)
    for split in _splits(alone):
        lines = [_line(row) for row in alone if row.split == split]
        write_text(folder / "unique" / f"coco_pope_{split}.json", "".join(lines))
    return rows


def without_repeats(rows: Sequence[Row]) -> list[Row]:
    """The first row of every question about a picture."""
    first: dict[tuple[str, str], Row] = {}
    for row in rows:
        first.setdefault(row.asked, row)
    return list(first.values())


def study(
    folder: Path, questions: str, rows: Sequence[Row], backbone: Mapping[str, Any], methods: Mapping[str, Any]
) -> dict[str, Any]:
    """A params.yaml that asks these rows on clean pictures.

    Args:
        folder: of `write_scenes`.
        questions: `coco` with repeats or `unique`.
        rows: what its files hold.
        backbone: its settings.
        methods: by id.
    """
    options = {"version": "own", "splits": _splits(rows), "questions": questions, "pictures": PICTURES}
    return {
        "study": {"name": "against_lmms_eval", "root": ".", "seed": 2026},
        "benchmark": {"name": "pope", "images": None, "folder": str(folder), "options": options},
        "perturbations": {"image": {"names": []}, "text": {"names": []}},
        "backbones": {"measured": dict(backbone)},
        "methods": dict(methods),
        "answering": {"dialogues": {"select_by": []}},
        "scoring": {"baseline": next(iter(methods))},
    }


def write_task(folder: Path, rows: Sequence[Row], pictures: Path, official: Path, suffix: str, longest: int) -> None:
    """lmms-eval's own POPE task with these rows in the place of those on the hub.

    Args:
        folder: new; `pope_scenes.yaml` and `rows.parquet` are written there.
        rows: in the order in which they are asked.
        pictures: their folder; the table holds paths, so that both sides read the same files.
        official: `lmms_eval/tasks/pope/pope.yaml` of the installed package.
        suffix: added to every question.
        longest: tokens of an answer at most.
    """
    features = {name: {"dtype": "string", "_type": "Value"} for name in _STRINGS} | {"image": {"_type": "Image"}}
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    fields = [*((name, pa.string()) for name in _STRINGS), ("image", image)]
    schema = pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": features}})})
    entries = [
        {
            "question_id": str(row.number),
            "question": row.question,
            "answer": row.answer,
            "category": row.split,
            "image": {"bytes": None, "path": str(pictures / row.image)},
        }
        for row in rows
    ]
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(entries, schema=schema), folder / "rows.parquet")
    with official.open(encoding="utf-8") as file:
        generation = yaml.load(file, _Plain)["generation_kwargs"]
    task = {
        "include": str(official),
        "task": TASK,
        "dataset_path": "parquet",
        "dataset_kwargs": {"data_files": {"test": str(folder / "rows.parquet")}},
        "generation_kwargs": generation | {"max_new_tokens": longest},
        "lmms_eval_specific_kwargs": {"default": {"pre_prompt": "", "post_prompt": suffix}},
    }
    write_text(folder / f"{TASK}.yaml", yaml.safe_dump(task, sort_keys=False))


class _Plain(yaml.SafeLoader):
    """Reads lmms-eval's YAML without importing the functions that it names."""


_Plain.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))


def _splits(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row.split for row in rows))


def _read(split: str, lines: bytes) -> list[Row]:
    entries = map(json.loads, lines.decode().splitlines())
    return [Row(split, each["question_id"], each["image"], each["text"], each["label"]) for each in entries]


def _line(row: Row) -> str:
    entry = {"question_id": row.number, "image": row.image, "text": row.question, "label": row.answer}
    return json.dumps(entry) + "\n"
