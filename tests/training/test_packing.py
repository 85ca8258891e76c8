"""Packed questions give the logits that each question gives alone."""

from __future__ import annotations

import torch
from transformers import LlamaConfig, LlamaModel

from pruneproof.training.corpus import Lesson
from pruneproof.training.dialogues import alone
from pruneproof.training.packing import pack, packed_mask, segment
from pruneproof.training.tokenizer import language_tokenizer, train_tokenizer

TOKENIZER = language_tokenizer(train_tokenizer(seed=3, vocabulary=400, scenes=20))
LESSONS = [
    Lesson("count", "How many cars are there?", "2"),
    Lesson("existence/singular", "Is there a tree in the image?", "yes"),
    Lesson("short/colour", "colour kite", "red"),
]
DIALOGUES = [*alone(LESSONS), tuple(LESSONS[:2])]


def answer_ids(lesson: Lesson) -> list[int]:
    return [*TOKENIZER(lesson.answer, add_special_tokens=False).input_ids, TOKENIZER.eos_token_id]


def model() -> LlamaModel:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(TOKENIZER), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2
    )
    return LlamaModel(config).eval()


def test_a_packed_dialogue_sees_the_image_and_itself_only() -> None:
    language, prefix = model(), torch.randn(1, 5, 32)
    packed = pack(TOKENIZER, [DIALOGUES], prefix=5)
    mask = torch.zeros(1, 1, 5 + packed.ids.shape[1], 5 + packed.ids.shape[1])
    mask = mask.masked_fill(~packed_mask(packed.segments, 5), torch.finfo(torch.float32).min)
    inputs = torch.cat([prefix, language.embed_tokens(packed.ids)], dim=1)
    positions = torch.cat([torch.arange(5)[None], packed.positions], dim=1)
    with torch.inference_mode():
        together = language(inputs_embeds=inputs, attention_mask=mask, position_ids=positions).last_hidden_state[0, 5:]
        for number, dialogue in enumerate(DIALOGUES, start=1):
            ids = [step.token for step in segment(TOKENIZER, dialogue)]
            row = torch.cat([prefix, language.embed_tokens(torch.tensor([ids]))], dim=1)
            alone = language(inputs_embeds=row).last_hidden_state[0, 5:]
            torch.testing.assert_close(together[packed.segments[0] == number], alone, atol=1e-5, rtol=1e-4)


def test_targets_are_the_answers_and_their_ends() -> None:
    packed = pack(TOKENIZER, [DIALOGUES], prefix=5)
    for number, dialogue in enumerate(DIALOGUES, start=1):
        row = packed.targets[0][packed.segments[0] == number]
        assert row[row >= 0].tolist() == [token for lesson in dialogue for token in answer_ids(lesson)]


def test_lessons_are_numbered_dialogue_by_dialogue() -> None:
    packed = pack(TOKENIZER, [DIALOGUES], prefix=5)
    flat = [lesson for dialogue in DIALOGUES for lesson in dialogue]
    for number, lesson in enumerate(flat):
        of_lesson = (packed.lessons[0] == number) & (packed.targets[0] >= 0)
        assert packed.targets[0][of_lesson].tolist() == answer_ids(lesson)


def test_a_later_turn_stands_after_the_earlier_one_with_its_answer_and_no_end() -> None:
    first, second = (segment(TOKENIZER, (lesson,)) for lesson in LESSONS[:2])
    joined = segment(TOKENIZER, tuple(LESSONS[:2]))
    assert [(step.token, step.target) for step in joined] == [(step.token, step.target) for step in first + second]
    assert [step.turn for step in joined] == [0] * len(first) + [1] * len(second)
    assert TOKENIZER.eos_token_id not in [step.token for step in joined]


def test_shorter_rows_are_padded_without_targets() -> None:
    packed = pack(TOKENIZER, [DIALOGUES, DIALOGUES[:1]], prefix=5)
    padding = packed.segments[1] == 0
    assert padding.any()
    assert (packed.targets[1][padding] == -100).all()
