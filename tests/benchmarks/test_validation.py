"""Faults of a benchmark are reported by its first stage, and what passes goes through all later ones."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from pruneproof.benchmarks import Benchmark, Request, scenes
from pruneproof.benchmarks._faults import SHOWN
from pruneproof.benchmarks._validation import problems, require_sound
from pruneproof.errors import PruneProofError
from pruneproof.records import Sample


def png(size: tuple[int, int] = (40, 30), mode: str = "RGB") -> bytes:
    buffer = BytesIO()
    Image.new(mode, size).save(buffer, "PNG")
    return buffer.getvalue()


IMAGE = {"image_id": "i1", "group": "street", "width": 40, "height": 30, "png": png()}
OBJECT = {"image_id": "i1", "object_id": 0, "noun": "car", "colour": "red"}
OBJECT |= {"x0": 1.0, "y0": 2.0, "x1": 30.0, "y1": 20.0, "mask": png(mode="1")}
EXISTENCE = Sample(
    "s1", "i1", "existence", "Is there a car?", "yes", "random", "", "car", (0,), ("car",), scorers=("pope",)
)
COUNT = Sample("s2", "i1", "count", "How many cars are there?", "1", protected=("cars", "How many"))
CAPTION = Sample("s3", "i1", "caption", "Describe it.", "a car", scorers=("chair",), asks="caption")
FORMS = {"car": ["cars", "automobile"], "bus": ["coach"]}
SOUND = Benchmark((IMAGE,), (OBJECT,), (EXISTENCE, COUNT, CAPTION), {"vocabulary": FORMS})


def images(**changes: Any) -> Benchmark:
    return replace(SOUND, images=({**IMAGE, **changes},))


def objects(**changes: Any) -> Benchmark:
    return replace(SOUND, objects=({**OBJECT, **changes},))


def samples(sample: Sample = EXISTENCE, **changes: Any) -> Benchmark:
    return replace(SOUND, samples=(replace(sample, **changes), *(one for one in SOUND.samples if one is not sample)))


def vocabulary(**classes: Any) -> Benchmark:
    return replace(SOUND, shared={"vocabulary": classes})


def test_a_question_without_published_answer_passes() -> None:
    require_sound("unanswered", samples(COUNT, kind="unanswered", answer="", scorers=()))
    for changes in ({"answer": "1"}, {"answers": ("1",)}, {"asks": "caption"}):
        (fault,) = problems(samples(COUNT, **{"answer": "", "scorers": ()} | changes))
        assert fault.startswith("sample 's2': names no scorer")


def test_sound_benchmarks_pass() -> None:
    require_sound("mine", SOUND)
    require_sound("scenes", scenes.build(Request(4, 3), scenes.Options()))
    require_sound("without masks", objects(mask=b"", x0=-0.4, x1=40.3))
    require_sound("without objects", replace(samples(target_objects=()), objects=()))
    require_sound("without captions", replace(SOUND, samples=(EXISTENCE, COUNT), shared={}))


@pytest.mark.parametrize(
    ("benchmark", "said"),
    [
        (replace(SOUND, images=()), "there is no image"),
        (replace(SOUND, images=(IMAGE, IMAGE)), "image 'i1' occurs 2 times: ids must be unique"),
        (images(image_id=""), "image '': image_id is '': must not be empty"),
        (images(image_id="i1\n"), "image 'i1\\n': image_id is 'i1\\n': must not hold the character '\\n'"),
        (images(width="40"), "image 'i1': width is '40': should be a valid integer"),
        (images(height=-1), "image 'i1': height is -1: should be greater than or equal to 0"),
        (images(png=None), "image 'i1': png is None: should be a valid bytes"),
        (images(size=3), "image 'i1': unknown column 'size'; allowed: image_id, group"),
        (replace(SOUND, images=({"image_id": "i1"},)), "image 'i1': width is missing"),
        (objects(image_id="i2"), "object 0 of image 'i2': there is no such image"),
        (replace(SOUND, objects=(OBJECT, OBJECT)), "object 0 of image 'i1' occurs more than once"),
        (
            objects(x1=60.0),
            "the box (1, 2, 60, 20) must have x0 < x1 and y0 < y1 and lie inside the picture of",
        ),
        (objects(y1=2.0), "the box (1, 2, 30, 2) must have"),
        (objects(x0=float("nan")), "x0 is nan: should be a finite number"),
        (objects(mask=png((40, 31), "1")), "the mask has 40 x 31 pixels, but its picture 40 x 30"),
        (objects(mask=b"\x89PNG"), "object 0 of image 'i1': the mask is in no known format"),
        (objects(noun=""), "noun is '': must not be empty"),
        (replace(SOUND, samples=()), "no question is asked"),
        (samples(scorers=()), "sample 's1': names no scorer: give at least one module of pruneproof.scoring.scorers"),
        (samples(scorers=("pop",)), "sample 's1': unknown scorer 'pop'"),
        (replace(SOUND, samples=(*SOUND.samples, COUNT)), "sample 's2' occurs 2 times: ids must be unique"),
        (samples(image_id="i9"), "sample 's1': image 'i9' does not exist"),
        (samples(kind="Two words"), "sample 's1': kind 'Two words' becomes part of metrics' names: lower case letters"),
        (samples(question=""), "sample 's1': question is '': must not be empty"),
        (samples(question="?!", protected=()), "question '?!' holds no word"),
        (samples(question="car " * 2000), "the question has 8000 characters, 5000 are allowed"),
        (samples(question="a \ud800 car"), "must not hold the character '\\ud800'"),
        (samples(question="a\x00car"), "must not hold the character '\\x00'"),
        (
            samples(COUNT, kind="colour", answer="Red"),
            "sample 's2': answer 'Red' must be in lower case, without spaces around it",
        ),
        (samples(answer="true"), "answer 'true' is not allowed for an existence question: use yes or no"),
        (samples(COUNT, answer="two"), "sample 's2': answer 'two' is not allowed for a count: use 0 to 20 in figures"),
        (samples(COUNT, kind="colour", answer="the"), "sample 's2': answer 'the' holds no word"),
        (samples(COUNT, kind="colour", answer=""), "sample 's2': answer '' holds no word"),
        (samples(split="Easy!"), "split 'Easy!' becomes part of metrics' names"),
        (samples(detail="a/b"), "detail 'a/b' becomes a metric's name: at most 60 characters, no '/'"),
        (samples(detail="x" * 300), "becomes a metric's name"),
        (samples(target_objects=(7,)), "sample 's1': target object 7 does not exist in image 'i1'"),
        (samples(target_objects=(-1,)), "target_objects is (-1,): should be greater than or equal to 0"),
        (samples(protected="car"), "sample 's1': protected is 'car': should be a valid tuple"),
        (samples(protected=("",)), "protected is '': must not be empty"),
        (samples(protected=("bus",)), "protected 'bus' does not occur in the question 'Is there a car?'"),
        (samples(synonyms=(("car", ""),)), "synonyms is '': must not be empty"),
        (samples(rephrasings=("Any car?", " ")), "rephrasings is ' ': must not be empty"),
        (
            samples(COUNT, question="Is there a car?", protected=("car",), split="popular"),
            "but its kind is 'existence' and not 'count'",
        ),
        (vocabulary(car=["cars"], bus=["Cars"]), "vocabulary: 'Cars' names both 'car' and 'bus': give it to one class"),
        (vocabulary(car=["--"]), "vocabulary: form '--' of 'car' holds no word"),
        (vocabulary(car="cars"), "vocabulary: forms of 'car' is 'cars': should be a valid list"),
    ],
)
def test_what_later_stages_cannot_use_is_said_in_one_line(benchmark: Benchmark, said: str) -> None:
    found = list(problems(benchmark))
    assert any(said in line for line in found), found
    assert not any("\n" in line for line in found)
    with pytest.raises(PruneProofError, match=r"^benchmark mine has"):
        require_sound("mine", benchmark)


def test_many_problems_are_counted() -> None:
    wrong = replace(SOUND, samples=tuple(replace(EXISTENCE, sample_id=f"s{i}", answer="x") for i in range(50)))
    with pytest.raises(PruneProofError) as error:
        require_sound("mine", wrong)
    lines = str(error.value).splitlines()
    assert lines[0] == "benchmark mine has 50 problems:"
    assert lines[-1] == f"  ... and {50 - SHOWN} more"


@pytest.mark.parametrize("changes", [{"detail": "red, green (b)"}, {"question": "Is it $5 (50% off)\nor a car?"}])
def test_unusual_text_passes(changes: dict[str, str]) -> None:
    assert list(problems(samples(**changes))) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "build() gave None: return a pruneproof.benchmarks.Benchmark"),
        (replace(SOUND, images=("i1",)), "images[0] is 'i1': should be a Mapping"),
        (replace(SOUND, objects=None), "objects is None: give a tuple"),
        (replace(SOUND, samples=(EXISTENCE, {"kind": "count"})), "samples[1] is {'kind': 'count'}: should be a Sample"),
        (replace(SOUND, shared={"vocabulary": ["car"]}), "vocabulary is ['car']: should be a Mapping"),
    ],
)
def test_what_is_no_benchmark_at_all_is_one_line(given: Any, said: str) -> None:
    assert list(problems(given)) == [said]
