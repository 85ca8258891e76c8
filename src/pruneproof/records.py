"""The few records that every package shares, and the columns of the tables that pass between stages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import pyarrow as pa

Asks = Literal["answer", "caption"]
Family = Literal["clean", "image", "text", "dialogue"]

PERTURBED: tuple[Family, ...] = ("image", "text")
"""Families whose conditions are perturbations, so that a mean over all of them says something."""

EXISTENCE = "existence"
"""The one kind that means something beyond its benchmark: whether an object is there, yes or no. Rates of hallucination
are about it."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One question on one image, with its truth and the rule that judges it.

    A question that belongs to several POPE splits is one Sample per split, as in the official files; answering
    removes the repetition.
    """

    sample_id: str
    """Unique in the benchmark, such as `scene_00012/existence/adversarial/5`."""
    image_id: str
    kind: str
    """What results are told apart by: lower case, digits and `_`, such as `existence`, `colour`, `yes_no`."""
    question: str
    answer: str
    """The true answer: `yes`, `red`, `3`; where there are several, the one to show (the most common, the first)."""
    split: str = ""
    """Which of several samplings of one question set this row belongs to, such as POPE's `popular`; else empty. An
    (image, question) counts once in every score but the scorers' own, which are taken over each split."""
    detail: str = ""
    """What results are broken down by inside a kind: the axis of a relation, `singular` or `plural` of existence."""
    target: str = ""
    """The asked object's class, empty where no single class is asked for."""
    target_objects: tuple[int, ...] = ()
    """Ids (in `objects.parquet`) of the objects that the answer is read from; empty if the object is absent."""
    protected: tuple[str, ...] = ()
    """Words of the question that carry the answer: a text perturbation must leave them as they are. Where a benchmark
    gives none, they are found."""
    synonyms: tuple[tuple[str, str], ...] = ()
    """(word in the question, its replacement) pairs that keep the label."""
    rephrasings: tuple[str, ...] = ()
    """The same question in phrasings that no built-in model saw in training (for others: human rephrasings)."""
    absent: tuple[str, ...] = ()
    """Classes that are not in the image, with article (`a dog`), for distractors."""
    alternatives: tuple[str, ...] = ()
    """False claims about the asked object, as whole sentences (`The car is blue.`), for misleading distractors."""
    scorers: tuple[str, ...] = ("values",)
    """Modules of `scoring.scorers` that judge the answer. The first decides what counts as right; the others read the
    same text beside it. Empty where the true answer is not published, and `answer` too: it can be asked, not scored."""
    answers: tuple[str, ...] = ()
    """All true answers as the benchmark's authors wrote them, where there is not one alone: ten for VQAv2, five
    reference captions."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What else its scorers need, in values that JSON knows; their docstrings name it."""
    asks: Asks = "answer"
    """`caption` for a description: asked under `answering.caption_conditions` only, and answered at length."""

    @property
    def truths(self) -> tuple[str, ...]:
        """All true answers, one or more."""
        return self.answers or (self.answer,)


def official_id(sample: Sample) -> str:
    """The id by which the benchmark's authors know a question: what stands after the last `/` of the sample's.

    Examples:
        >>> official_id(Sample("n161313/02930152", "n161313", "verify", "Is it overcast?", "no"))
        '02930152'
    """
    return sample.sample_id.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class Condition:
    """What was done to the input: nothing, an image perturbation, a text perturbation, or turns before the question."""

    family: Family
    perturbation: str
    severity: int
    """1 to 5; 0 for the clean condition; in a dialogue the turn, from 1."""

    @property
    def condition_id(self) -> str:
        """`clean`, or perturbation and severity joined: `gaussian_noise_3`."""
        return "clean" if self.family == "clean" else f"{self.perturbation}_{self.severity}"


CLEAN = Condition("clean", "clean", 0)


def dialogue_name(select_by: str) -> str:
    """What a dialogue's condition is called whose tokens are selected by the `first`, `last` or `each` question."""
    return f"dialogue_{select_by}"


_SAMPLE_LISTS = (
    "target_objects",
    "protected",
    "synonyms",
    "rephrasings",
    "absent",
    "alternatives",
    "scorers",
    "answers",
)

SAMPLES = pa.schema(
    [
        pa.field(f.name, pa.list_(pa.int32()) if f.name == "target_objects" else pa.string(), nullable=False)
        for f in fields(Sample)
    ]
)
"""`samples.parquet`: one row per Sample; lists of strings and facts are JSON text."""

IMAGES = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("group", pa.string(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("png", pa.binary(), nullable=False),
        pa.field("file", pa.string(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
    ]
)
"""`images.parquet`: one row per image. It is held in `png`, or lies in `file`, a path from the study's folder, and then
`png` is empty; `sha256` is of its bytes, wherever they are. Width and height are in pixels, upright. `group` is the
theme of a drawn scene."""

OBJECTS = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("object_id", pa.int32(), nullable=False),
        pa.field("noun", pa.string(), nullable=False),
        pa.field("colour", pa.string(), nullable=False),
        pa.field("x0", pa.float32(), nullable=False),
        pa.field("y0", pa.float32(), nullable=False),
        pa.field("x1", pa.float32(), nullable=False),
        pa.field("y1", pa.float32(), nullable=False),
        pa.field("mask", pa.binary(), nullable=False),
    ]
)
"""`objects.parquet`: ground truth; box in pixels (x1 and y1 exclusive), mask of its visible pixels as a 1-bit PNG."""

CORRUPTED = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("png", pa.binary(), nullable=True),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("error", pa.string(), nullable=False),
    ]
)
"""`corrupted/<condition_id>.parquet`: one row per image, in the order of the benchmark. `sha256` is of `png`; where an
image could not be made, `png` is null, `sha256` is empty and `error` says why."""

REWORDED = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("perturbation", pa.string(), nullable=False),
        pa.field("severity", pa.int32(), nullable=False),
        pa.field("original", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("edit_distance", pa.int32(), nullable=False),
        pa.field("accepted", pa.bool_(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
    ]
)
"""`reworded/questions.parquet`: `reason` says why the gate rejected a text; rejected rows are never asked."""

PATCHES = pa.schema(
    [
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("boxes", pa.list_(pa.float32()), nullable=False),
    ]
)
"""`patches/<backbone>.parquet`: for pictures of a size in pixels, left, top, right and bottom of every visual token."""

ANSWERS = pa.schema(
    [
        pa.field("family", pa.string(), nullable=False),
        pa.field("perturbation", pa.string(), nullable=False),
        pa.field("severity", pa.int32(), nullable=False),
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("kept", pa.list_(pa.int16()), nullable=False),
        pa.field("visual_tokens", pa.int32(), nullable=False),
        pa.field("input_tokens", pa.int32(), nullable=False),
        pa.field("mean_tokens", pa.float32(), nullable=False),
        pa.field("sequence_length", pa.int32(), nullable=False),
    ]
)
"""`answers/<backbone>/<method>.parquet`: every answer of one backbone and method.

`kept` are the patches that are left at the end, as tokens of their own or as what others were merged around;
`visual_tokens` are the tokens that a method leaves where it acts (all of them, if that is the language model);
`input_tokens` are the visual ones that the language model's first layer read, or that its cross-attention did,
`mean_tokens` the mean over its layers, and `sequence_length` all tokens of the prompt that its first layer read."""

TOKENS = ("visual_tokens", "input_tokens", "mean_tokens", "sequence_length")
"""Columns of `ANSWERS` that count tokens."""

LOGITS = pa.schema(
    [
        *(ANSWERS.field(name) for name in ("family", "perturbation", "severity", "sample_id")),
        pa.field("yes_logit", pa.float32(), nullable=False),
        pa.field("no_logit", pa.float32(), nullable=False),
    ]
)
"""`logits/<backbone>/<method>.parquet`: logits of `yes` and `no` at the first generated position, one row for each row
of the answers and in their order.

They are kept apart because their last digits vary: two processors, or two values of PRUNEPROOF_BATCH, differ by
less than `LOGIT_NOISE`, and what answers depend on must not."""

LOGIT_NOISE = 0.005
"""Two logits of one answer that differ by no more than this are the same (in float32; several times what was seen
between processors and batch sizes, 0.001): nothing that is computed from logits may tell them apart."""


def sample_to_row(sample: Sample) -> dict[str, Any]:
    """A row for `SAMPLES`; lists of strings and facts become JSON text."""
    row = {f.name: getattr(sample, f.name) for f in fields(sample)}
    texts = {"facts", *_SAMPLE_LISTS} - {"target_objects"}
    return {key: json.dumps(value) if key in texts else value for key, value in row.items()}


def sample_from_row(row: Mapping[str, Any]) -> Sample:
    """The inverse of `sample_to_row`."""
    values = dict(row)
    for name in _SAMPLE_LISTS:
        value = values[name] if name == "target_objects" else json.loads(values[name])
        values[name] = tuple(tuple(item) if isinstance(item, list) else item for item in value)
    return Sample(**values | {"facts": json.loads(values["facts"])})
