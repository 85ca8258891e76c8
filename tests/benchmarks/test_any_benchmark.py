"""What passes validation goes through every later stage: perturbed, asked, scored and reported, on made-up answers."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from pruneproof import files
from pruneproof.answering.grid import read_asking
from pruneproof.benchmarks import Benchmark, scenes
from pruneproof.benchmarks import stage as benchmarks
from pruneproof.benchmarks._validation import problems
from pruneproof.folders import Folders
from pruneproof.perturbations.images import stage as images
from pruneproof.perturbations.text import stage as text
from pruneproof.records import ANSWERS, LOGITS, PATCHES, Sample
from pruneproof.reporting import stage as reporting
from pruneproof.reporting import style
from pruneproof.scoring import stage as scoring
from pruneproof.settings import DialogueSettings, Study

STUDY = Study.model_validate(
    {
        "study": {"name": "any"},
        "benchmark": {"images": 2},
        "perturbations": {
            "image": {"names": ["occlusion_random"], "severities": [3]},
            "text": {"names": ["typo_swap", "paraphrase_synonym", "distractor_misleading"], "severities": [5]},
        },
        "backbones": {"b": {"family": "llava", "checkpoint": "b", "text_tower": "clip"}},
        "methods": {
            "full": {"method": "full"},
            "random_25": {"method": "random", "keep": 0.25},
            "atp_25": {"method": "atp", "keep": 0.25},
        },
        "answering": {"caption_conditions": ["clean"], "dialogues": {"turns": 2, "select_by": ["each"]}},
        "scoring": {"resamples": 100, "primary": ["atp_25"]},
        "report": {"examples": 1},
    }
)
SIDE, TOKENS = 32, 4
WORDS = st.sampled_from(
    [
        "car", "traffic_light", "Is", "there", "not", "no", "two", "3", "red,", "$5", "50%", "_x^2", "{a}", "\\frac",
        "中文", "ß", "=cmd()", "<b>", "&", "#", "|", "\N{RIGHT SINGLE QUOTATION MARK}s", "😀",
    ]
)  # fmt: skip
BOXES = st.sampled_from([{"x0": 0, "y0": 0, "x1": 32, "y1": 32}, {"x0": 1.5, "y0": 2, "x1": 9, "y1": 8}])
SCORERS = {"existence": ("pope", "pope_lmms_eval", "pope_vlmevalkit"), "caption": ("chair", "coco_captions")}
NAME = st.lists(WORDS, min_size=1, max_size=3).map(" ".join)


def png(mode: str, fill: int = 1) -> bytes:
    buffer = BytesIO()
    Image.new(mode, (SIDE, SIDE), fill).save(buffer, "PNG")
    return buffer.getvalue()


@st.composite
def made(draw: st.DrawFn) -> Benchmark:
    image_ids = draw(st.lists(NAME, min_size=1, max_size=3, unique=True))
    pictures = [
        {"image_id": name, "group": draw(NAME | st.just("")), "width": SIDE, "height": SIDE, "png": png("RGB")}
        for name in image_ids
    ]
    nouns = draw(st.lists(NAME, min_size=1, max_size=3, unique_by=lambda name: name.lower()))
    objects: list[dict[str, Any]] = []
    samples: list[Sample] = []
    for image_id in image_ids:
        own = []
        for number in range(draw(st.integers(0, 2))):
            own.append(number)
            row = {"image_id": image_id, "object_id": number, "noun": draw(st.sampled_from(nouns))}
            mask = draw(st.sampled_from([b"", png("1"), png("1", 0)]))
            objects.append(row | draw(BOXES) | {"colour": draw(NAME), "mask": mask})
        for _ in range(draw(st.integers(0, 5))):
            kind = draw(st.sampled_from(["existence", "colour", "count", "relation", "compositional", "caption"]))
            question = draw(NAME) + draw(st.sampled_from(["?", "", "\nPlease?"]))
            answers = {"existence": ["yes", "no"], "count": ["0", "1", "20"]}
            samples.append(
                Sample(
                    f"{len(samples)} {draw(NAME)}",
                    image_id,
                    kind,
                    question,
                    draw(st.sampled_from(answers.get(kind, ["red", "yes", "2", "left", "a car", "above all"]))),
                    split=draw(st.sampled_from(["", "random", "adversarial"])) if kind == "existence" else "",
                    detail=draw(st.sampled_from(["", "red, green (b)", "50%_$x$", "中文"])),
                    target=draw(st.sampled_from(["", *nouns])),
                    target_objects=tuple(own[: draw(st.integers(0, 2))]),
                    protected=(question.split()[0],) if draw(st.booleans()) else (),
                    synonyms=((question.split()[-1], draw(NAME)),) if draw(st.booleans()) else (),
                    alternatives=(draw(NAME),) if draw(st.booleans()) else (),
                    scorers=SCORERS.get(kind, ("values",)),
                    facts={"objects": nouns[:1]} if kind == "caption" else {},
                    asks="caption" if kind == "caption" else "answer",
                )
            )
    captions = any(sample.asks == "caption" for sample in samples)
    vocabulary = {name: [] for name in nouns} if captions or draw(st.booleans()) else {}
    return Benchmark(tuple(pictures), tuple(objects), tuple(samples), {"vocabulary": vocabulary} if vocabulary else {})


def suited(benchmark: Benchmark) -> Study:
    """The study, without dialogues where no image has questions enough."""
    asked = {(sample.image_id, sample.question) for sample in benchmark.samples if sample.asks != "caption"}
    if max(Counter(image_id for image_id, _ in asked).values(), default=0) > 1:
        return STUDY
    return STUDY.model_copy(update={"answering": STUDY.answering.model_copy(update={"dialogues": DialogueSettings()})})


def answer(study: Study, folders: Folders, said: Iterator[str]) -> None:
    """Made-up answers to everything that the grid asks."""
    edges = [edge for y in (0, 16) for x in (0, 16) for edge in (x, y, x + 16, y + 16)]
    boxes = [{"width": SIDE, "height": SIDE, "boxes": edges}]
    files.write_rows(folders.patches / "b.parquet", boxes, PATCHES)
    for method, count in (("full", TOKENS), ("random_25", 1), ("atp_25", 1)):
        by_question = method.startswith("atp")
        rows = [
            {**row, "text": next(said), "kept": list(range(count)), "visual_tokens": count, "input_tokens": count,
             "mean_tokens": float(count), "sequence_length": count, "yes_logit": 1.0, "no_logit": 0.5}
            for shown in read_asking(study, folders, by_question).rows
            for row in shown.table.to_pylist()
        ]  # fmt: skip
        for path, schema in ((folders.answers_of, ANSWERS), (folders.logits_of, LOGITS)):
            files.write_rows(path("b", method), [{name: row[name] for name in schema.names} for row in rows], schema)


def costs(folders: Folders) -> None:
    flops, latency = ["backbone,method,component,flops,visual_tokens,kv_cache_bytes,weight_bytes"], []
    latency.append("backbone,method,batch,median_s,low_s,high_s,ratio_full_over_this,ratio_low,ratio_high")
    for method in STUDY.methods:
        parts = ("vision_tower", "text_tower", "scoring", "connector", "prefill", "decode")
        flops += [f"b,{method},{component},1000,4,100,1000" for component in parts]
        latency.append(f"b,{method},1,0.1,0.09,0.11,1.0,0.9,1.1")
    files.write_text(folders.costs / "flops.csv", "\n".join(flops) + "\n")
    files.write_text(folders.costs / "latency.csv", "\n".join(latency) + "\n")
    files.write_json(folders.costs / "machine.json", {"processor": "made-up", "threads": 1})


def go_through(benchmark: Benchmark, said: Iterator[str], *, report: bool) -> None:
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        folders = Folders(Path(place))
        patch.setenv("PRUNEPROOF_WORKERS", "1")
        patch.setattr(scenes, "build", lambda *_: benchmark)
        patch.setattr(style, "DPI", 30)
        study = suited(benchmark)
        for stage in (benchmarks, images, text):
            stage.run(study, folders)
        answer(study, folders, said)
        costs(folders)
        scoring.run(study, folders)
        if report:
            reporting.run(study, folders)


ANSWER = st.sampled_from(["yes", "No.", "", "red", "two", "a car and a bus", "\N{BELL}", "=1+1", "left"])
SAID = st.lists(ANSWER, min_size=1, max_size=30).map(cycle)
SLOWLY = settings(deadline=None, suppress_health_check=list(HealthCheck))


@settings(SLOWLY, max_examples=6)
@given(benchmark=made(), said=SAID)
def test_what_passes_is_scored(benchmark: Benchmark, said: Iterator[str]) -> None:
    assume(not list(problems(benchmark)))
    go_through(benchmark, said, report=False)


@pytest.mark.slow
@settings(SLOWLY, max_examples=8)
@given(benchmark=made(), said=SAID)
def test_what_passes_is_reported(benchmark: Benchmark, said: Iterator[str]) -> None:
    assume(not list(problems(benchmark)))
    go_through(benchmark, said, report=True)
