from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from pruneproof.reporting import style
from pruneproof.reporting.report import Report, load


def _load() -> ModuleType:
    """The made-up study; tests are not packages, so it is loaded by its place."""
    name = "pruneproof_synthetic"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("synthetic.py"))
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def synthetic() -> ModuleType:
    return _load()


@pytest.fixture(scope="session")
def grid(synthetic: ModuleType) -> object:
    methods = {name: synthetic.METHODS[name] for name in ("full", "random_60", "random_25", "atp_60", "atp_25")}
    methods["atp_25_reversed"] = synthetic.METHODS["atp_25_reversed"]
    return synthetic.Grid(
        corruptions=("gaussian_noise", "fog", "occlusion_object"),
        rewordings=("paraphrase_phrasing", "typo_ocr"),
        methods=methods,
        images=3,
    )


@pytest.fixture(scope="session")
def report(synthetic: ModuleType, grid: object, tmp_path_factory: pytest.TempPathFactory) -> Report:
    return load(*synthetic.write(tmp_path_factory.mktemp("study"), grid))


@pytest.fixture(scope="session")
def swept(synthetic: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A study with a sweep over two options, and with twins that rank tokens on clean pictures."""
    grid = synthetic.Grid(
        corruptions=("gaussian_noise", "fog"), rewordings=("typo_ocr",), methods=synthetic.SWEPT, images=3
    )
    return load(*synthetic.write(tmp_path_factory.mktemp("swept"), grid))


@pytest.fixture(scope="session")
def competing(synthetic: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A study in which several kinds of method compete."""
    grid = synthetic.Grid(corruptions=("fog",), rewordings=("typo_ocr",), methods=synthetic.MANY, images=3)
    return load(*synthetic.write(tmp_path_factory.mktemp("competing"), grid))


@pytest.fixture(autouse=True)
def _coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer pixels: nothing here looks at the pictures' sharpness."""
    monkeypatch.setattr(style, "DPI", 40)
