"""A checkpoint of another family is told by its config, without its weights and without importing the family."""

from __future__ import annotations

from pathlib import Path

import pytest

from pruneproof.backbones import family_names
from pruneproof.backbones.checkpoints.kinds import local_fault, model_types


@pytest.mark.parametrize("family", family_names())
def test_every_family_says_what_it_loads(family: str) -> None:
    """Names of transformers' configurations, which a checkpoint's config.json holds."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    assert model_types(family)
    assert set(model_types(family)) <= set(CONFIG_MAPPING_NAMES)


def test_no_two_families_load_the_same() -> None:
    types = [kind for family in family_names() for kind in model_types(family)]
    assert len(types) == len(set(types))


@pytest.mark.parametrize(
    ("family", "config", "fault"),
    [
        ("llava", '{"model_type": "llava"}', None),
        ("smolvlm", '{"model_type": "idefics3"}', None),
        ("llava", '{"model_type": "blip-2"}', "checkpoint 'a/b' is a 'blip-2' model, not llava: change `family`"),
        ("smolvlm", '{"model_type": "llava"}', "is a 'llava' model, not smolvlm or idefics3"),
        ("llava", '{"model_type": ["llava"]}', "is a ['llava'] model, not llava"),
        ("unknown", '{"model_type": "llava"}', None),
        ("llava", "{}", None),
        ("llava", "[]", None),
        ("llava", "{", None),
        ("llava", "\udcff", None),
    ],
)
def test_a_checkpoint_of_another_family_is_told(tmp_path: Path, family: str, config: str, fault: str | None) -> None:
    (tmp_path / "config.json").write_bytes(config.encode("utf-8", "surrogateescape"))
    found = local_fault(family, "a/b", tmp_path)
    assert (found is None) == (fault is None)
    assert (fault or "") in (found or "")


def test_a_checkpoint_that_is_not_there_is_no_other_family(tmp_path: Path) -> None:
    assert local_fault("llava", "a/b", tmp_path / "nowhere") is None
