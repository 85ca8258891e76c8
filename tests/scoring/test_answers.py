from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pruneproof.errors import PruneProofError
from pruneproof.files import read_table
from pruneproof.folders import Folders
from pruneproof.patches import read_patches
from pruneproof.records import CLEAN, Condition
from pruneproof.scoring.answers import Scored, conditions_of, score
from pruneproof.scoring.questions import load_questions
from pruneproof.scoring.reading import read_logits
from pruneproof.scoring.targets import target_patches


def scored_from(folders: Folders, table: pa.Table) -> Scored:
    questions = load_questions(folders)
    conditions = conditions_of(read_table(folders.answers_of("tiny", "full")), ["gaussian_noise"])
    return score(
        table,
        read_logits(folders, "tiny", "thin"),
        conditions,
        questions,
        [target_patches(folders, questions, read_patches(folders.patches / "tiny.parquet"))] * len(conditions),
    )


@pytest.fixture
def table(folders: Folders) -> pa.Table:
    return read_table(folders.answers_of("tiny", "thin"))


def test_conditions_follow_family_then_settings_then_severity(table: pa.Table) -> None:
    extra = table.slice(0, 1).to_pylist()[0]
    rows = [
        extra | {"family": family, "perturbation": name, "severity": severity}
        for family, name, severity in [
            ("dialogue", "dialogue_first", 2),
            ("text", "b", 1),
            ("dialogue", "dialogue_each", 1),
            ("image", "z", 5),
            ("image", "a", 1),
            ("image", "z", 1),
            ("clean", "clean", 0),
        ]
    ]
    found = conditions_of(pa.Table.from_pylist(rows, schema=table.schema), ["z", "a"])
    assert found == (
        CLEAN,
        Condition("image", "z", 1),
        Condition("image", "z", 5),
        Condition("image", "a", 1),
        Condition("text", "b", 1),
        Condition("dialogue", "dialogue_each", 1),
        Condition("dialogue", "dialogue_first", 2),
    )


def test_missing_clean_condition_is_named(table: pa.Table) -> None:
    with pytest.raises(PruneProofError, match="clean condition is missing"):
        conditions_of(table.filter(pa.compute.not_equal(table["family"], "clean")), [])


def test_order_of_the_answers_does_not_matter(folders: Folders, table: pa.Table) -> None:
    shuffled = table.take(np.random.default_rng(0).permutation(table.num_rows))
    one, other = scored_from(folders, table), scored_from(folders, shuffled)
    for name in ("present", "correct", "parseable", "flipped", "margin", "target_kept", "overlap_clean"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_answers_that_are_absent_are_absent_everywhere(folders: Folders, table: pa.Table) -> None:
    found = scored_from(folders, table)
    assert 0 < found.present.sum() == table.num_rows < found.present.size
    for name in ("correct", "parseable", "flipped", "target_kept", "overlap_clean", "visual_tokens"):
        assert np.isnan(getattr(found, name)[~found.present]).all(), name


def test_answer_to_an_unknown_sample_is_named(folders: Folders, table: pa.Table) -> None:
    row = table.slice(0, 1).to_pylist()[0] | {"sample_id": "nobody"}
    with pytest.raises(PruneProofError, match="'nobody' is not in the benchmark"):
        scored_from(folders, pa.concat_tables([table, pa.Table.from_pylist([row], schema=table.schema)]))


def test_condition_without_a_baseline_is_named(folders: Folders, table: pa.Table) -> None:
    row = table.slice(0, 1).to_pylist()[0] | {"family": "image", "perturbation": "fog", "severity": 2}
    with pytest.raises(PruneProofError, match="fog_2 has no answers of the baseline"):
        scored_from(folders, pa.concat_tables([table, pa.Table.from_pylist([row], schema=table.schema)]))


def test_two_answers_to_one_question_are_refused(folders: Folders, table: pa.Table) -> None:
    with pytest.raises(PruneProofError, match="is answered twice under clean"):
        scored_from(folders, pa.concat_tables([table, table.slice(0, 1)]))


def test_answers_of_an_image_are_judged_by_that_image(folders: Folders, table: pa.Table) -> None:
    """The same caption on a scene with a dog and a car, everywhere: 'a dog' is always true, 'a bus' never."""
    rows = [row for row in table.to_pylist() if row["sample_id"].endswith("caption/0") and row["family"] == "clean"]
    for text, expected in (("A dog.", 1.0), ("buses", 0.0), ("a bus, a dog and two dogs", 2 / 3), ("nothing", np.nan)):
        said = pa.Table.from_pylist([row | {"text": text} for row in rows], schema=table.schema)
        found = scored_from(folders, said)
        np.testing.assert_allclose(found.correct[found.present], expected)
