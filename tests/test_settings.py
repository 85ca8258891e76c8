"""params.yaml: what is right loads, and everything that is wrong is reported at once."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import textwrap
from contextlib import suppress
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from pruneproof.errors import PruneProofError
from pruneproof.problems import Problem, keys_at
from pruneproof.settings import Study
from pruneproof.study import load_study

PROJECT = Path(__file__).parents[1]
STUDIES = [PROJECT, *sorted(path.parent for path in (PROJECT / "studies").glob("*/params.yaml"))]


def written(folder: Path, text: str) -> Path:
    (folder / "params.yaml").write_text(textwrap.dedent(text))
    return folder


def changed(folder: Path, **changes: Any) -> Path:
    """The small study in `folder` with values replaced; `a__b` names the key b of a."""
    yaml = YAML(typ="safe")
    values = yaml.load(PROJECT / "studies/small/params.yaml")
    for name, value in changes.items():
        *way, last = name.split("__")
        inner = values
        for key in way:
            inner = inner[key]
        inner[last] = value
    yaml.dump(values, folder / "params.yaml")
    return folder


def complaint(folder: Path) -> str:
    with pytest.raises(PruneProofError) as caught:
        load_study(folder)
    return str(caught.value)


@pytest.mark.parametrize("folder", STUDIES, ids=lambda folder: folder.name)
def test_the_studies_of_the_project_are_valid(folder: Path) -> None:
    study = load_study(folder)
    assert study.study.name == ("default" if folder == PROJECT else folder.name)
    assert (folder / study.study.root).resolve() == PROJECT


def test_values_keep_their_meaning(tmp_path: Path) -> None:
    study = load_study(changed(tmp_path, scoring__margin=2))
    assert study.scoring.margin == 2.0
    assert study.perturbations.image.severities == (1, 5)
    assert study.methods["atp_10"].options == {"keep": 0.1, "alpha": 0.5}


def test_a_backbone_may_run_some_of_the_methods(tmp_path: Path) -> None:
    whole = load_study(changed(tmp_path))
    assert whole.methods_of("builtin_llava") == whole.methods
    chosen = ["random_10", "full"]
    some = load_study(
        changed(tmp_path, backbones__builtin_llava__methods=chosen, methods__atp_25__text_tower="control")
    )
    assert list(some.methods_of("builtin_llava")) == ["full", "random_10"]


def test_everything_wrong_is_said_at_once_with_line_path_value_and_what_is_allowed(tmp_path: Path) -> None:
    text = (PROJECT / "studies/small/params.yaml").read_text()
    for old, new in (
        ("images: 8", "imags: 8"),
        ("[gaussian_noise,", "[gausian_noise,"),
        ("severities: [1, 5]", "severities: [1, 6]"),
        ("alpha: 0.5}\n  atp_10", "alpha: half}\n  atp_10"),
        ("{method: random, keep: 0.25}", "{method: random, keep: 1.4}"),
    ):
        assert old in text
        text = text.replace(old, new, 1)
    written(tmp_path, text)
    lines = complaint(tmp_path).splitlines()
    assert lines[0].endswith("params.yaml has 6 problems:")  # the caption condition of the misspelt corruption too
    expected = [
        (
            "benchmark.imags",
            "unknown key (did you mean 'images'?); allowed: name, images, folder, on_bad_sample, options",
        ),
        ("perturbations.image.names[0]", "'gausian_noise' (did you mean 'gaussian_noise'?); allowed: "),
        ("perturbations.image.severities[1]", "6: "),
        ("methods.random_25.keep", "1.4: "),
        ("methods.atp_25.alpha", "'half': "),
        ("answering.caption_conditions[1]", "gaussian_noise_5"),
    ]
    for line, (path, what) in zip(lines[1:], expected, strict=True):
        assert f": {path}: " in line
        assert what in line
    numbers = [int(line.split("line ")[1].split(":")[0]) for line in lines[1:]]
    assert numbers == sorted(numbers)
    assert text.splitlines()[numbers[0] - 1].strip() == "imags: 8"


BLIP2 = {"backbones__builtin_llava__family": "blip2", "backbones__builtin_llava__checkpoint": "x"}


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"study__seed": -1}, "study.seed: -1: should be greater than or equal to 0"),
        ({"study__seed": True}, "study.seed: True: should be a valid integer"),
        ({"study__name": "my-study"}, "study.name: 'my-study' is not a valid id"),
        ({"benchmark__images": "8"}, "benchmark.images: '8': should be a valid integer"),
        ({"benchmark__name": "sceens"}, "benchmark.name: unknown benchmark 'sceens' (did you mean 'scenes'?)"),
        ({"perturbations__image__resolution": "both"}, "allowed: 'native' or 'model'"),
        ({"perturbations__text__names": ["typo_ocrr"]}, "'typo_ocrr' (did you mean 'typo_ocr'?)"),
        ({"perturbations__image__severities": [1, 5, 5]}, "perturbations.image.severities: 5 is given 2 times"),
        ({"backbones": {}}, "backbones: is empty"),
        ({"methods": {}}, "methods: is empty"),
        ({"methods": None}, "methods: None: should be"),
        ({"methods__atp_25__method": "apt"}, "unknown pruning method 'apt' (did you mean 'atp'?)"),
        ({"methods__atp_25__alhpa": 0.5}, "methods.atp_25.alhpa: unknown key (did you mean 'alpha'?)"),
        ({"methods__atp_25": {"keep": 0.5}}, "methods.atp_25.method: is missing"),
        ({"backbones__builtin_llava__methods": ["full", "atp_52"]}, "unknown method of this study 'atp_52'"),
        ({"backbones__builtin_llava__methods": ["atp_25"]}, "methods: lacks the baseline 'full'"),
        ({"backbones__builtin_llava__methods": 5, "methods__atp_25__text_tower": "control"}, "5: should be a valid"),
        ({"backbones__builtin_llava__methods": []}, "builtin_llava.methods"),
        ({"backbones__builtin_llava__methods": ["full", "full"]}, "'full' is given 2 times"),
        ({"methods__atp_25__text_tower": "control"}, "builtin_llava names no `control_text_tower`: add it"),
        ({"methods__atp_25__rank_from": "noise"}, "rank_from: 'noise' is not allowed; allowed: 'shown' or 'clean'"),
        ({"methods__atp_25__text_tower": "other"}, "'matched' or 'control'"),
        (
            {"methods__inside": {"method": "fastv", "keep": 0.5}, **BLIP2},
            "methods.inside: acts at the door 'language', which builtin_llava does not have: its language model reads "
            "the few queries of a Q-Former, which already sum up the picture; "
            "give builtin_llava a list `methods` without it",
        ),
        ({"methods__a-b": {"method": "full"}}, "methods.a-b: 'a-b' is not a valid id"),
        ({"backbones__builtin_llava__family": "lava"}, "unknown backbone family 'lava' (did you mean 'llava'?)"),
        ({"backbones__builtin_llava__dtype": "int8"}, "'float32', 'bfloat16' or 'float16'"),
        ({"backbones__builtin_llava__pixels": [9, 4]}, "the least number comes first, and the most after it"),
        ({"backbones__builtin_llava__revision": "main"}, "builtin_llava.revision: 'main': is not a commit (40 digits"),
        ({"backbones__builtin_llava__revision": "A1" * 20}, "is not a commit"),
        ({"scoring__baseline": "fulll"}, "unknown method of this study 'fulll' (did you mean 'full'?)"),
        ({"scoring__primary": ["full"]}, "scoring.primary[0]: 'full' is the baseline"),
        ({"answering__caption_conditions": ["fog_3"]}, "unknown condition of this study 'fog_3'"),
        ({"scoring__confidence": 95}, "scoring.confidence: 95: should be less than 1"),
        ({"scoring__margin": float("nan")}, "scoring.margin: nan: should be a finite number"),
        ({"workers": 4}, "workers: unknown key"),
        ({"study__name": "x" * 3000}, "xxx...: should have at most 64 characters"),
        ({"methods__" + "m" * 300: {"method": "full"}}, "mmm...: should have at most 64 characters"),
        ({"benchmark__images": 10**30}, "benchmark.images: 1000000000000000000000000000000: should be less than or"),
        ({"study__seed": 10**400}, "study.seed: 1000"),
        ({"scoring__kinds": ["count", "count"]}, "scoring.kinds: 'count' is given 2 times"),
        ({"scoring__primary": ["atp_25", "atp_25"]}, "scoring.primary: 'atp_25' is given 2 times"),
        ({"answering__caption_conditions": ["clean", "clean"]}, "'clean' is given 2 times"),
        ({"perturbations__text__names": ["typo_ocr", "typo_ocr"]}, "perturbations.text.names: 'typo_ocr' is given"),
    ],
)  # fmt: skip
def test_each_kind_of_error_has_its_words(tmp_path: Path, changes: dict[str, Any], what: str) -> None:
    assert what in complaint(changed(tmp_path, **changes))


def test_a_layer_that_a_vision_tower_lacks_is_refused_before_anything_runs(tmp_path: Path) -> None:
    """It is read from the checkpoint's config, without its weights."""
    home = tmp_path / "data/backbones/mine"
    home.mkdir(parents=True)

    def study(layer: int, **changes: Any) -> Path:
        settings = {"backbones__builtin_llava__checkpoint": "data/backbones/mine", "study__root": "."} | changes
        return changed(tmp_path, **settings, methods__atp_25__attention_layer=layer)

    (home / "config.json").write_text('{"vision_config": {"num_hidden_layers": 5}}')
    what = "attention_layer: -6, but the vision tower of builtin_llava has 5 layers: give 0 to 4, or -5 to -1"
    assert what in complaint(study(-6))
    assert load_study(study(-5)).methods["atp_25"].options["attention_layer"] == -5
    assert "1 problem" in complaint(study(-6, methods__atp_10__attention_layer=-5))
    assert load_study(study(-6, backbones__builtin_llava__methods=["full", "atp_10"])), "the method is not run there"
    assert "half" in complaint(study(-6, methods__atp_25__alpha="half"))
    (home / "config.json").write_text('{"text_config": {"num_hidden_layers": 4}}')
    deep = {"method": "random", "keep": 0.5, "door": "language", "layer": 4}
    what = "methods.deep: never drops a token in builtin_llava, whose language model has 4 layers: lower its layer"
    assert what in complaint(study(-1, methods__deep=deep))
    assert load_study(study(-1, methods__deep=deep | {"layer": 3}))
    stages = {"method": "pyramiddrop", "layers": [8, 16, 20, 24], "keep": [0.5, 0.4, 0.3, 0.2]}
    what = "methods.deep: cannot act in builtin_llava: 4 stages of pruning need a language model of at least 5 layers"
    assert what in complaint(study(-1, methods__deep=stages))
    for damaged in ("{", "[]", '{"vision_config": {}}', '{"vision_config": {"num_hidden_layers": "five"}}'):
        (home / "config.json").write_text(damaged)
        assert load_study(study(-6)), "loading the checkpoint says what is wrong with it"


def test_a_checkpoint_of_another_family_is_refused_before_anything_runs(tmp_path: Path) -> None:
    home = tmp_path / "data/backbones/mine"
    home.mkdir(parents=True)
    (home / "config.json").write_text('{"model_type": "blip-2"}')
    study = changed(tmp_path, backbones__builtin_llava__checkpoint="data/backbones/mine", study__root=".")
    what = "checkpoint 'data/backbones/mine' is a 'blip-2' model, not llava: change `family`"
    assert f"backbones.builtin_llava.family: {what}" in complaint(study)


FROM_A_FILE = """
from pathlib import Path
from pruneproof.settings import Frozen

class Settings(Frozen):
    weights: str

def build(settings):
    Path(settings.weights).read_bytes()
    raise OSError("damaged: byte 7\\nof 9")
"""


def test_a_file_that_a_method_cannot_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = importlib.import_module("pruneproof.pruning")
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    (tmp_path / "from_a_file.py").write_text(FROM_A_FILE)
    weights = tmp_path / "weights.npz"
    study = changed(tmp_path, methods__mine={"method": "from_a_file", "weights": str(weights)})
    try:
        said = f"methods.mine: cannot read what it needs: {weights} (No such file or"
        assert said in complaint(study)
        assert "1 problem" in complaint(study)
        weights.touch()
        assert "cannot read what it needs: damaged: byte 7: restore it, or change the method's options" in complaint(
            study
        )
    finally:
        sys.modules.pop("pruneproof.pruning.from_a_file", None)


def test_repeated_keys_are_refused_with_both_lines(tmp_path: Path) -> None:
    text = (PROJECT / "studies/small/params.yaml").read_text()
    written(tmp_path, text + "\nstudy: {name: twice}\n")
    line = text.splitlines().index("study:") + 1
    assert f"study: the key is given twice (lines {line} and {len(text.splitlines()) + 2})" in complaint(tmp_path)


ODD = [
    None, True, -1, 2.5, 10**30, 10**400, float("nan"), "", "x", "full", "a" * 3000, "\x00", "../..", [], {}, [[]],
    {"a": 1}, ["full", "full"], {"": 1}, {"a-b": {"method": "full"}}, list(range(500)),
]  # fmt: skip


def places(values: Any, where: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    return [*([where] if where else []), *(place for key, value in inner for place in places(value, (*where, key)))]


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_an_edit_gives_a_study_or_its_problems(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    values = YAML(typ="safe").load(PROJECT / "params.yaml")
    for _ in range(data.draw(st.integers(1, 3))):
        *way, last = data.draw(st.sampled_from(places(values)))
        inner = values
        for key in way:
            inner = inner[key]
        how = data.draw(st.sampled_from(["delete", "replace", "nest", "copy"]))
        if how == "delete":
            del inner[last]
        elif how == "copy":
            (inner.append if isinstance(inner, list) else partial(inner.__setitem__, "copy"))(deepcopy(inner[last]))
        else:
            inner[last] = data.draw(st.sampled_from(ODD)) if how == "replace" else [inner[last]]
        if not places(values):
            break
    folder = written(tmp_path_factory.mktemp("edited"), json.dumps(values))
    with suppress(PruneProofError):
        load_study(folder)


def test_paths_read_as_one_would_write_them() -> None:
    assert Problem(("a", "b", 2, "c"), "").path == "a.b[2].c"
    assert Problem((), "").path == "the file"


def test_allowed_keys_are_found_through_mappings_and_defaults() -> None:
    assert keys_at(Study, ("perturbations", "image")) == ["names", "severities", "resolution", "model_pixels", "stored"]
    assert "checkpoint" in keys_at(Study, ("backbones", "any"))


def test_settings_load_without_torch() -> None:
    code = (
        "import sys; from pathlib import Path; from pruneproof.study import load_study; load_study(Path('.'));"
        "print([m for m in ('torch', 'transformers', 'cv2', 'imagecorruptions', 'nlpaug', 'nltk') if m in sys.modules])"
    )
    env = os.environ | {"PYTHONPATH": str(PROJECT / "src")}
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
