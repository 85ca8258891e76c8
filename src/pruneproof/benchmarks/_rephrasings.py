"""Questions as people rephrased them, in the file format of VQA-Rephrasings (Shah et al., 2019, arXiv 1902.05660).

`v2_OpenEnded_mscoco_valrep2014_humans_og_questions.json` has the form of VQAv2's questions, and lists 40,504 questions
of its validation set with three rephrasings of each. What sets a rephrasing apart is `rephrasing_of`, the id of its
question. Its own `question_id`, ten times that number and a figure, is also that of other questions, so that nothing
here goes by it; some rephrasings are empty or a lone question mark.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from pruneproof.benchmarks._faults import Faults
from pruneproof.benchmarks._official import Entry, listed, read_json
from pruneproof.wording import words


class _Question(Entry):
    question_id: int
    image_id: int
    question: str
    rephrasing_of: int | None = Field(default=None)


def read_rephrasings(file: Path, faults: Faults) -> Mapping[int, tuple[str, ...]]:
    """The rephrasings of each question, in the order of the file; those without a word are left out.

    Args:
        file: in the form of VQAv2's questions, with `rephrasing_of`.
        faults: takes note of entries that are no question, of a rephrasing whose picture is not that of its question,
            and of a file without rephrasings.

    Returns:
        Question id -> what its rephrasings say.

    Raises:
        OSError: if the file cannot be read.
        PruneProofError: if it is not JSON, or holds no list of questions.
    """
    found = listed(file, read_json(file, faults), _Question, faults, under="questions")
    shown = {item.entry.question_id: item.entry.image_id for item in found if item.entry.rephrasing_of is None}
    said: dict[int, tuple[str, ...]] = {}
    for item in found:
        asked = item.entry.rephrasing_of
        if asked is None:
            continue
        if shown.get(asked, item.entry.image_id) != item.entry.image_id:
            item.note(faults, f"image_id is {item.entry.image_id}, but question {asked} is about {shown[asked]}")
        elif words(item.entry.question):
            said[asked] = (*said.get(asked, ()), item.entry.question)
    if found and not said:
        faults.add(file, "has no entry with `rephrasing_of`: give the questions of VQA-Rephrasings, not VQAv2's own")
    return said
