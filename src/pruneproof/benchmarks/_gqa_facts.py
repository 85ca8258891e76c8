"""What GQA's scorer needs of a question, worked out as its authors' script does (`eval.py` of gqadataset.org)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_NO_STEPS = ("exist", "query: name", "choose name")
"""Operations that end a question and are no step of reasoning, wherever they occur in `operation: argument`."""

_COMMON = ["color", "material", "shape"]
"""All choices of questions about what two things have in common, whatever the choices file says."""


def facts(
    question_id: str, question: Mapping[str, Any], choices: Mapping[str, Sequence[str]] | None = None
) -> dict[str, Any]:
    """What the scorer `gqa` needs of one question of the official file.

    Args:
        question_id: its key.
        question: its value.
        choices: its entry in the choices file, `{"valid": [...], "plausible": [...]}`; None without that file.

    Returns:
        `question_id`, `balanced`, `entailed` (ids of other questions); for balanced questions also `structural`,
        `semantic`, `steps`, `words`, `group` (None without one) and, with choices, `valid` and `plausible`.
    """
    entailed = [other for other in question["entailed"] if other != question_id]
    found = {"question_id": question_id, "balanced": bool(question["isBalanced"]), "entailed": entailed}
    if not found["balanced"]:
        return found
    operations = [f"{step['operation']}: {step['argument']}" for step in question["semantic"]]
    found |= {
        "structural": question["types"]["structural"],
        "semantic": question["types"]["semantic"],
        "steps": sum(not any(ending in operation for ending in _NO_STEPS) for operation in operations),
        "words": len(question["question"].split()),
        "group": question["groups"]["global"],
    }
    if choices is not None:
        common = "Common" in question["types"]["detailed"]
        found |= {name: _COMMON if common else choices[name] for name in ("valid", "plausible")}
    return found
