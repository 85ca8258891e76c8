"""How the authors of published checkpoints put a benchmark to them, as data; `backbones.X.prompt` names a record.

A record is a set of values for `BackboneSettings`, put in their place when params.yaml is read, so that what follows
knows settings alone. Its sources are named by repository, commit and file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pruneproof.settings import BackboneSettings, Identifier

FIELDS = (
    "answer_conversion",
    "chat_template",
    "question_form",
    "question_suffix",
    "caption_prompt",
    "max_new_tokens",
    "max_caption_tokens",
)
"""The fields of `BackboneSettings` that a record sets."""


@dataclass(frozen=True, slots=True)
class Record:
    """The prompt of one model for one benchmark."""

    title: str
    family: str
    """Of `pruneproof.backbones.families`."""
    benchmarks: tuple[str, ...]
    """What it was written for; with others it is a choice of the study's own."""
    values: Mapping[str, Any]
    """Some of `FIELDS`; the others keep their defaults."""
    sources: tuple[str, ...]
    """Where each fact stands."""
    beams: int = 1
    """Beams of the authors' search; 1 is greedy, as everything is decoded here."""
    length_penalty: float = 1.0
    """Exponent of the length that a beam's score is divided by; without meaning for one beam."""
    other: tuple[str, ...] = ()
    """What else the authors did and this project does not."""

    @property
    def departures(self) -> tuple[str, ...]:
        """What is done otherwise here than by the authors, each in a few words; empty if nothing is known."""
        beams = f"decoded greedily, not with {self.beams} beams (length penalty {self.length_penalty:g})"
        return (*((beams,) if self.beams > 1 else ()), *self.other)


def applied(settings: BackboneSettings) -> BackboneSettings:
    """The settings with the values of the record that they name; as they are, if they name none.

    Raises:
        KeyError: if there is no such record; validation refuses that before.
    """
    return settings if settings.prompt is None else settings.model_copy(update=dict(RECORDS[settings.prompt].values))


def decoding(settings: BackboneSettings) -> dict[str, Any]:
    """How a backbone is asked and decoded, and what the authors of its prompt did; stored with its scores."""
    said: dict[str, Any] = {"search": "greedy", **{name: getattr(settings, name) for name in FIELDS}}
    if settings.prompt is None:
        return said
    record = RECORDS[settings.prompt]
    authors = {
        "title": record.title,
        "beams": record.beams,
        "length_penalty": record.length_penalty,
        "otherwise_here": list(record.departures),
        "sources": list(record.sources),
    }
    return {**said, "prompt": settings.prompt, "authors": authors}


_LLAVA = "haotian-liu/LLaVA c121f04"
_LAVIS = "salesforce/LAVIS 506965b"
_M4 = "huggingface/smollm a041759, vision/m4"
_LMMS = "EvolvingLMMs-Lab/lmms-eval"

_VICUNA = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions. "
    "{% for message in messages %}"
    "{{ 'USER: ' if message['role'] == 'user' else 'ASSISTANT: ' }}"
    "{% for part in message['content'] %}{{ '<image>\\n' if part['type'] == 'image' else part['text'] }}{% endfor %}"
    "{{ ' ' if message['role'] == 'user' else '</s>' }}"
    "{% endfor %}ASSISTANT:"
)
_BLIP2 = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{{ 'Question: ' + part['text'] + ' Short answer:' if message['role'] == 'user' else ' ' + part['text'] + '. ' }}"
    "{% endfor %}{% endfor %}"
)
_BLIP2_CAPTION = "{{ messages[-1]['content'][-1]['text'] }}"
_IDEFICS = (
    "{{ 'Instruction: provide an answer to the question. Use the image to answer.\\nImage:' }}"
    "{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>"
    "{% elif message['role'] == 'user' %}{{ 'Question: ' + part['text'] + ' Answer:' }}"
    "{% else %}{{ ' ' + part['text'] + '\\n' }}{% endif %}"
    "{% endfor %}{% endfor %}"
)
_IDEFICS_CAPTION = "Image:<image>{{ messages[-1]['content'][-1]['text'] }}"

_SHORT = "Answer the question using a single word or phrase."
_LLAVA_SOURCES = (
    f"{_LLAVA} llava/conversation.py::conv_vicuna_v1 (system prompt and turns)",
    f"{_LLAVA} llava/eval/model_vqa_loader.py, lines 46, 105-114 and 141 (image before the text, greedy, 128 tokens)",
)
_SHORT_SOURCE = (
    f"{_LLAVA} docs/Evaluation.md (the sentence after a question; the question files in eval.zip were not seen)"
)
_BLIP2_SOURCES = (f"{_LAVIS} lavis/processors/blip_processors.py::BlipQuestionProcessor.pre_question",)
_BLIP2_PENALTY = f"{_LAVIS} lavis/tasks/vqa.py::VQATask.valid_step passes no length penalty, so the default holds of"
_M4_DECODING = f"{_M4}/evaluation/config.py::TextGenerationParams and experiments' master template (3 beams, 15 tokens)"
_M4_OTHER = ("newlines may be generated, which the authors forbid",)


def _llava(title: str, benchmark: str, conversion: str, source: str) -> Record:
    values = {
        "chat_template": _VICUNA,
        "question_suffix": _SHORT,
        "max_new_tokens": 128,
        "answer_conversion": conversion,
    }
    return Record(f"LLaVA-1.5 on {title}", "llava", (benchmark,), values, (*_LLAVA_SOURCES, _SHORT_SOURCE, source))


def _llava_caption(title: str, prompt: str, longest: int, *sources: str) -> Record:
    values = {"chat_template": _VICUNA, "caption_prompt": prompt, "max_caption_tokens": longest}
    other = ("LLaVA's authors publish no captioning: the words and the length are those of lmms-eval",)
    return Record(f"LLaVA-1.5, {title}", "llava", ("coco_captions",), values, (*_LLAVA_SOURCES, *sources), other=other)


def _qwen(title: str, family: str, *other: str) -> Record:
    """Image before the question, which is what the checkpoint's own chat template writes."""
    words = "Qwen's authors publish no POPE: the words and the length are those of lmms-eval"
    return Record(
        f"{title} on POPE", family, ("pope",), {"question_suffix": _SHORT, "max_new_tokens": 128},
        (f"{_LMMS} 2bb5e98 lmms_eval/tasks/pope/pope.yaml, and 2c03baf lmms_eval/tasks/pope/utils.py (the words)",),
        other=(words, *other),
    )  # fmt: skip


def _blip2(title: str, benchmark: str, conversion: str, penalty: float, *sources: str, other: str = "") -> Record:
    values = {
        "chat_template": _BLIP2,
        "question_form": "blip",
        "max_new_tokens": 10,
        "answer_conversion": conversion,
    }
    return Record(
        f"BLIP-2 {title}",
        "blip2",
        (benchmark,),
        values,
        (*_BLIP2_SOURCES, *sources),
        beams=5,
        length_penalty=penalty,
        other=(other,) if other else (),
    )


def _idefics(title: str, benchmark: str, conversion: str, *other: str) -> Record:
    values = {"chat_template": _IDEFICS, "max_new_tokens": 15, "answer_conversion": conversion}
    source = (
        f"{_M4}/models/vgpt2/evaluation_open_ended_vqa_in_context_vgpt2.py (template 9 without examples, stop words)"
    )
    others = (*_M4_OTHER, *other)
    return Record(
        f"Idefics on {title}", "flamingo", (benchmark,), values, (source, _M4_DECODING), beams=3, other=others
    )


RECORDS: Mapping[Identifier, Record] = MappingProxyType(
    {
        "llava15_pope": _llava("POPE", "pope", "none", f"{_LLAVA} scripts/v1_5/eval/pope.sh"),
        "llava15_vqav2": _llava("VQAv2", "vqav2", "llava_vqa", f"{_LLAVA} scripts/convert_vqav2_for_submission.py"),
        "llava15_gqa": _llava("GQA", "gqa", "llava_gqa", f"{_LLAVA} scripts/convert_gqa_for_eval.py"),
        "llava15_caption": _llava_caption(
            "one sentence (COCO captions)",
            "Provide a one-sentence caption for the provided image.",
            64,
            f"{_LMMS} 2bb5e98 lmms_eval/tasks/coco_cap/coco2014_cap_val.yaml",
        ),
        "llava15_description": _llava_caption(
            "in detail (CHAIR)",
            "Please describe this image in detail.",
            2048,
            f"{_LMMS} 45a1de0 lmms_eval/tasks/coco_cap_chair/coco_cap_chair.yaml (greedy, 2048 tokens)",
            f"{_LMMS} 75571cf lmms_eval/tasks/coco_cap_chair/utils.py (the words)",
        ),
        "qwen25vl_pope": _qwen(
            "Qwen2.5-VL",
            "qwen2_5_vl",
            "the repetition penalty of 1.05 in its generation_config.json, which `generate` applies, is left out",
        ),
        "qwen3vl_pope": _qwen("Qwen3-VL", "qwen3_vl"),
        "blip2_t5_vqav2": _blip2(
            "(Flan-T5) on VQAv2",
            "vqav2",
            "none",
            -1.0,
            f"{_LAVIS} lavis/projects/blip2/eval/vqav2_zeroshot_flant5xl_eval.yaml, lines 39-43",
            f"{_BLIP2_PENALTY} lavis/models/blip2_models/blip2_t5.py::predict_answers, line 257",
        ),
        "blip2_opt_vqav2": _blip2(
            "(OPT) on VQAv2",
            "vqav2",
            "none",
            0.0,
            f"{_LAVIS} lavis/projects/blip2/eval/vqav2_zeroshot_opt_eval.yaml, lines 35-39",
            f"{_BLIP2_PENALTY} lavis/models/blip2_models/blip2_opt.py::predict_answers, line 292",
            other="questions are not cut to 32 tokens",
        ),
        "blip2_t5_gqa": _blip2(
            "(Flan-T5) on GQA",
            "gqa",
            "vqa",
            -1.0,
            f"{_LAVIS} lavis/projects/blip2/eval/gqa_zeroshot_flant5xl_eval.yaml, lines 32-36",
            f"{_BLIP2_PENALTY} lavis/models/blip2_models/blip2_t5.py::predict_answers, line 257",
            f"{_LAVIS} lavis/tasks/vqa.py::GQATask._report_metrics (answers are normalised as VQAv2's script does)",
            other="true answers are not normalised, which LAVIS does too",
        ),
        "blip2_caption": Record(
            "BLIP-2 fine-tuned on COCO captions",
            "blip2",
            ("coco_captions",),
            {"chat_template": _BLIP2_CAPTION, "caption_prompt": "a photo of", "max_caption_tokens": 30},
            (
                f"{_LAVIS} lavis/configs/models/blip2/blip2_caption_opt2.7b.yaml, line 27 (the words)",
                f"{_LAVIS} lavis/projects/blip2/eval/caption_coco_opt2.7b_eval.yaml, lines 40-42 (beams, length)",
                f"{_LAVIS} lavis/tasks/captioning.py, line 48 (length penalty 0)",
            ),
            beams=5,
            length_penalty=0.0,
            other=("captions may have fewer than 8 tokens",),
        ),
        "idefics_vqav2": _idefics("VQAv2", "vqav2", "idefics_vqa"),
        "idefics_gqa": _idefics(
            "GQA", "gqa", "idefics_gqa", "the authors publish no GQA: the prompt is the one of their other questions"
        ),
        "idefics_caption": Record(
            "Idefics on COCO captions",
            "flamingo",
            ("coco_captions",),
            {
                "chat_template": _IDEFICS_CAPTION,
                "caption_prompt": "Caption:",
                "max_caption_tokens": 15,
                "answer_conversion": "idefics_caption",
            },
            (
                f"{_M4}/models/vgpt2/evaluation_captioning_in_context_vgpt2.py (template 7, stop words)",
                _M4_DECODING,
            ),
            beams=3,
            other=_M4_OTHER,
        ),
    }
)
"""By the names that `backbones.X.prompt` takes."""
