"""What a model's authors do to its answers before the official script sees them.

The official scripts of VQAv2 and GQA compare strings, so that 'Yes' is not 'yes' and 'red.' is not 'red'. A published
score comes from the converted answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from pruneproof.scoring.scorers.vqa import normalise
from pruneproof.wording import words

_M4_QUESTION = re.compile(
    "Question|User|Image|task|What|Who|When|Where|Why|How"
    r"|<end_of_utterance>|<\|im_end\|>|<row_|row_1|\u2500lrow_|apiro"
)
_M4_CAPTION = re.compile("Caption|Description|User|Image|task|<end_of_utterance>|<row_|apiro|\u2500lrow_|row_1")
"""Words at which an answer of a base model ends. Source: huggingface/smollm a041759 `vision/m4/models/vgpt2`,
`stop_words` of the two in-context evaluations."""


def as_it_is(text: str) -> str:
    """The text itself: BLIP-2 (LAVIS, `tasks/vqa.py`, VQAv2) hands its answers to the script unchanged."""
    return text


def llava_vqa(text: str) -> str:
    """LLaVA's VQAv2 answers (`scripts/convert_vqav2_for_submission.py`, `EvalAIAnswerProcessor`).

    Lower case, no commas and question marks, a blank before 's, then what VQAv2's script does where answers differ.

    Examples:
        >>> llava_vqa("Yes."), llava_vqa("The man's hat, two feet away")
        ('yes', "man 's hat 2 feet away")
    """
    spaced = text.lower().replace(",", "").replace("?", "").replace("'s", " 's").strip()
    return normalise(spaced.replace("\n", " ").replace("\t", " ").strip())


def llava_gqa(text: str) -> str:
    """LLaVA's GQA answers (`scripts/convert_gqa_for_eval.py`): no full stops at the end, lower case.

    Examples:
        >>> llava_gqa("Red.")
        'red'
    """
    return text.rstrip(".").lower()


def yes_or_no(text: str) -> str:
    """`Yes` or `No` where a text holds exactly one of those words, which is all that AMBER's script understands.

    Its authors do not say how they turned answers into these two. Any other text stays as it is.

    Examples:
        >>> yes_or_no("No, there is no cloud."), yes_or_no("yes"), yes_or_no("Maybe")
        ('No', 'Yes', 'Maybe')
    """
    said = {"yes", "no"}.intersection(words(text))
    return said.pop().capitalize() if len(said) == 1 else text


def vqa(text: str) -> str:
    """What VQAv2's script does where answers differ: BLIP-2's GQA answers (LAVIS, `tasks/vqa.py`, `GQATask`).

    Examples:
        >>> vqa("The dog.")
        'dog'
    """
    return normalise(text.replace("\n", " ").replace("\t", " ").strip())


def idefics_vqa(text: str) -> str:
    """Idefics' VQAv2 answers: cut at the first stop word, then as `vqa`.

    Examples:
        >>> idefics_vqa("two dogs\\nImage: Question: what")
        '2 dogs'
    """
    return vqa(_M4_QUESTION.split(text)[0])


def idefics_gqa(text: str) -> str:
    """Cut as Idefics' VQAv2 answers are, then without blanks and full stops at its ends, in lower case, as GQA's true
    answers are; the authors themselves publish no GQA.

    Examples:
        >>> idefics_gqa(" Red.\\nImage:")
        'red'
    """
    return llava_gqa(_M4_QUESTION.split(text)[0].strip())


def idefics_caption(text: str) -> str:
    """Idefics' captions: cut at the first stop word.

    Examples:
        >>> idefics_caption("A cat.\\nImage:")
        'A cat.'
    """
    return _M4_CAPTION.split(text)[0].strip()


CONVERSIONS: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {
        "none": as_it_is,
        "vqa": vqa,
        "llava_vqa": llava_vqa,
        "llava_gqa": llava_gqa,
        "yes_or_no": yes_or_no,
        "idefics_vqa": idefics_vqa,
        "idefics_gqa": idefics_gqa,
        "idefics_caption": idefics_caption,
    }
)
"""By the names that prompts give them."""
