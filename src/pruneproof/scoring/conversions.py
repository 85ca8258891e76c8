"""What a model's authors do to its answers before the official script sees them.

The official scripts of VQAv2 and GQA compare strings, so that 'Yes' is not 'yes' and 'red.' is not 'red'. A published
score comes from the converted answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from pruneproof.scoring.scorers.vqa import normalise
from pruneproof.wording import words


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


CONVERSIONS: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {"none": as_it_is, "llava_vqa": llava_vqa, "llava_gqa": llava_gqa, "yes_or_no": yes_or_no}
)
"""By the names that prompts give them."""
