"""The store of finished conditions: what changes a fingerprint, and that only whole, untouched files are served."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pruneproof.files import replacing
from pruneproof.perturbations.images import _store
from pruneproof.perturbations.images._store import Store, fingerprint, publish, versions
from pruneproof.records import Condition
from pruneproof.settings import ImagePerturbationSettings
from pruneproof.stored import columns

ROWS = [{"image_id": "a", **columns(b"png"), "error": ""}]
NOISE = Condition("image", "gaussian_noise", 3)
NATIVE = ImagePerturbationSettings()
MODEL = ImagePerturbationSettings(resolution="model", model_pixels=336)
PACKAGES = {"numpy": "numpy 2.0"}
KEY = fingerprint(NOISE, 0, NATIVE, "inputs", PACKAGES)


@pytest.mark.parametrize(
    "key",
    [
        fingerprint(Condition("image", "shot_noise", 3), 0, NATIVE, "inputs", PACKAGES),
        fingerprint(Condition("image", "gaussian_noise", 4), 0, NATIVE, "inputs", PACKAGES),
        fingerprint(NOISE, 1, NATIVE, "inputs", PACKAGES),
        fingerprint(NOISE, 0, MODEL, "inputs", PACKAGES),
        fingerprint(NOISE, 0, NATIVE, "other inputs", PACKAGES),
        fingerprint(NOISE, 0, NATIVE, "inputs", {"numpy": "numpy 2.1"}),
    ],
)
def test_everything_that_changes_pixels_changes_the_fingerprint(key: str) -> None:
    assert key != KEY


@pytest.mark.parametrize(
    "settings",
    [
        ImagePerturbationSettings(model_pixels=336),
        ImagePerturbationSettings(names=("snow",), severities=(2,)),
    ],
)
def test_settings_that_do_not_matter_leave_the_fingerprint(settings: ImagePerturbationSettings) -> None:
    assert fingerprint(NOISE, 0, settings, "inputs", PACKAGES) == KEY


def test_a_perturbations_own_code_counts_and_its_neighbours_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    box = fingerprint(Condition("image", "occlusion_random", 3), 0, NATIVE, "inputs", PACKAGES)
    original = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda p: original(p) + b"#" * (p.name == "occlusion.py"))
    assert fingerprint(Condition("image", "occlusion_random", 3), 0, NATIVE, "inputs", PACKAGES) != box
    assert fingerprint(NOISE, 0, NATIVE, "inputs", PACKAGES) == KEY


def test_versions_name_the_distribution_that_is_installed() -> None:
    found = versions()
    assert found["imagecorruptions"].startswith("imagecorruptions-imaug 1.")
    assert found["opencv"].startswith("opencv-python")
    assert "not installed" not in found.values()


def test_an_absent_distribution_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_store, "_DISTRIBUTIONS", {"paint": ("a_distribution_that_is_not_there",)})
    assert versions() == {"paint": "not installed"}


def test_only_what_was_put_there_is_held(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert not store.holds(KEY)
    store.put(KEY, ROWS)
    assert store.holds(KEY)
    whole = store.path(KEY).read_bytes()
    store.path(KEY).write_bytes(whole[:-1])
    assert not store.holds(KEY)
    store.path(KEY).write_bytes(whole)
    assert store.holds(KEY)
    (tmp_path / f"{KEY}.sha256").unlink()
    assert not store.holds(KEY)


def test_other_fingerprints_and_left_over_parts_are_removed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("old", ROWS)
    store.put("new", ROWS)
    with replacing(tmp_path / "half.parquet") as half:
        half.touch()
        left = half.name.replace(f"-{os.getpid()}-", f"-{2**22 + 1}-")
    (tmp_path / left).touch()  # no process has so high a number
    store.keep_only({"new"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.parquet", "new.sha256"]


@pytest.mark.parametrize("links", [True, False])
def test_publishing_links_or_copies_and_replaces(tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError("no links on this file system")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    source, target = tmp_path / "source", tmp_path / "out" / "target"
    source.write_bytes(b"new")
    for _ in range(2):
        publish(source, target)
        assert target.read_bytes() == b"new"
        assert target.samefile(source) == links
        assert list(target.parent.iterdir()) == [target]
