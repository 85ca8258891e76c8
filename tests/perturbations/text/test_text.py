from __future__ import annotations

import subprocess
import sys

import pytest

from pruneproof.errors import PruneProofError
from pruneproof.perturbations.text import conditions, perturbation, registered
from pruneproof.records import Condition
from pruneproof.settings import TextPerturbationSettings


def test_the_eleven_perturbations_are_found():
    assert sorted(registered()) == [
        "distractor_absent", "distractor_misleading", "distractor_neutral",
        "paraphrase_human", "paraphrase_phrasing", "paraphrase_synonym",
        "typo_keyboard", "typo_ocr", "typo_spelling", "typo_split", "typo_swap",
    ]  # fmt: skip


def test_conditions_are_names_by_severities_where_there_are_any():
    names = ("typo_swap", "paraphrase_synonym", "paraphrase_human")
    settings = TextPerturbationSettings(names=names, severities=(5, 3))
    assert conditions(settings) == (
        Condition("text", "typo_swap", 3),
        Condition("text", "typo_swap", 5),
        Condition("text", "paraphrase_synonym", 1),
        *(Condition("text", "paraphrase_human", severity) for severity in (1, 2, 3)),
    )


def test_a_misspelt_name_is_told_with_the_nearest():
    with pytest.raises(PruneProofError, match=r"unknown text perturbation 'typo_keybord'.*'typo_keyboard'"):
        perturbation("typo_keybord")


def test_listing_conditions_loads_no_text_library():
    program = (
        "import sys; from pruneproof.perturbations.text import conditions, registered; "
        "from pruneproof.settings import TextPerturbationSettings; "
        "conditions(TextPerturbationSettings(names=tuple(registered()))); "
        "assert not {'nlpaug', 'nltk', 'torch', 'pandas', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": ":".join(sys.path)})
