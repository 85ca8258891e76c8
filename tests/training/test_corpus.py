"""Training questions: true, worded with known phrasings, and left answerable by their noise."""

from __future__ import annotations

import numpy as np

from pruneproof.benchmarks.scenes import facts
from pruneproof.benchmarks.scenes.composition import compose, draw
from pruneproof.benchmarks.scenes.vocabulary import BY_NAME, NOUN_NAMES
from pruneproof.training.corpus import contrastive_caption, lessons, with_noise
from pruneproof.training.scene_cache import patch_labels
from pruneproof.training.tokenizer import clip_tokenizer, language_tokenizer, train_tokenizer

PLAN = {"existence": 4, "colour": 3, "count": 3, "relation": 3, "side": 2, "compositional": 2, "caption": 1, "short": 2}


def test_existence_answers_are_balanced_and_true() -> None:
    answers = []
    for number in range(60):
        scene = compose(2, f"train/{number}")
        for lesson in lessons(scene, {"existence": 6}, 0.0, np.random.default_rng(number)):
            words = lesson.question.rstrip("?").split()
            text = " ".join(words)
            asked = [
                noun.name
                for noun in BY_NAME.values()
                if any(
                    f" {form} " in f" {text} " for pair in ((noun.name, noun.plural), *noun.synonyms) for form in pair
                )
            ]
            assert len(asked) == 1, lesson.question
            assert lesson.answer == ("yes" if asked[0] in facts.present(scene) else "no")
            answers.append(lesson.answer)
    assert 0.42 < np.mean([answer == "yes" for answer in answers]) < 0.58


def test_held_out_phrasings_never_meet_known_ones() -> None:
    shapes: dict[bool, set[str]] = {True: set(), False: set()}
    scene = compose(2, "train/1")
    for held_out in (True, False):
        for seed in range(80):
            for lesson in lessons(scene, {"caption": 3}, 0.0, np.random.default_rng(seed), held_out):
                shapes[held_out].add(lesson.question)
    assert shapes[True]
    assert not shapes[True] & shapes[False]


def test_noise_never_touches_the_name_of_an_object() -> None:
    for seed in range(300):
        noun = NOUN_NAMES[seed % len(NOUN_NAMES)]
        assert noun in with_noise(f"Is there a {noun} in the image?", np.random.default_rng(seed))


def test_the_tokenizer_survives_typos_and_any_byte() -> None:
    tokenizer = train_tokenizer(seed=2, vocabulary=500, scenes=60)
    text = language_tokenizer(tokenizer)
    assert len(text(" yes", add_special_tokens=False).input_ids) == 1
    for question in ("Is teh caar ni the imgae?", "naïve ☂ 你好"):
        ids = text(question, add_special_tokens=False).input_ids
        assert text.decode(ids).strip() == question.lower()
    assert clip_tokenizer(tokenizer)("a car").input_ids[-1] == text.eos_token_id


def test_contrastive_captions_name_only_what_is_shown() -> None:
    scene = compose(2, "train/3")
    shown = [0, 1]
    for seed in range(40):
        caption = f" {contrastive_caption(scene, shown, np.random.default_rng(seed)).replace(',', '')} "
        absent = set(NOUN_NAMES) - {scene.objects[i].noun for i in shown}
        assert not [noun for noun in absent if f" {noun} " in caption]


def test_patch_labels_follow_the_masks() -> None:
    scene = compose(2, "train/4")
    drawing = draw(2, scene)
    nouns, colours = patch_labels(scene, drawing)
    assert nouns.shape == (256, 24)
    assert colours.shape == (256, 7)
    for placed, mask in zip(scene.objects, drawing.masks, strict=True):
        cover = mask.reshape(16, 14, 16, 14).mean((1, 3)).reshape(-1)
        assert nouns[cover.argmax(), NOUN_NAMES.index(placed.noun)] == (cover.max() >= 0.12)


def test_short_forms_for_place_are_true_and_name_both_objects() -> None:
    asked = 0
    for number in range(40):
        scene = compose(2, f"train/{number}")
        singles = facts.single(scene)
        by_word = {form: noun for noun in singles for form in (noun, *(pair[0] for pair in BY_NAME[noun].synonyms))}
        for lesson in lessons(scene, {"short_side": 3, "short_relation": 4}, 1.0, np.random.default_rng(number)):
            word, rest = lesson.question.split(" ", 1)
            if lesson.form.startswith("short/side/"):
                axis = "horizontal" if word == "side" else "vertical"
                assert lesson.answer == facts.half(singles[by_word[rest]], axis)
            else:
                first, second = (singles[by_word[name]] for name in rest.split(" from "))
                truth = (
                    ("left", "right")[first.x > second.x]
                    if word == "across"
                    else ("above", "below")[first.y > second.y]
                )
                assert lesson.answer == truth
            asked += 1
    assert asked > 100
