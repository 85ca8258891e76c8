"""The stage end to end on a small LLaVA with random weights."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest

from pruneproof.answering import engines, features, stage, worker
from pruneproof.answering.answerer import Answerer
from pruneproof.answering.store import Store
from pruneproof.backbones.families.llava import Llava
from pruneproof.errors import PruneProofError
from pruneproof.folders import Folders
from pruneproof.records import ANSWERS, LOGIT_NOISE, LOGITS
from pruneproof.settings import Study

Answer = Callable[..., bytes]


def rows(folders: Folders, method: str) -> list[dict[str, Any]]:
    """Answers with their logits."""
    answers, logits = (pq.read_table(path("tiny", method)) for path in (folders.answers_of, folders.logits_of))
    assert answers.schema.equals(ANSWERS)
    assert logits.schema.equals(LOGITS)
    shared = ["family", "perturbation", "severity", "sample_id"]
    assert logits.select(shared).equals(answers.select(shared))
    return [a | b for a, b in zip(answers.to_pylist(), logits.to_pylist(), strict=True)]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Conditions of the batches that are really answered."""
    answered: list[str] = []
    original = Answerer.answer

    def counted(self: Answerer, batch: Any, *rest: Any) -> Any:
        answered.append(batch.condition.condition_id)
        return original(self, batch, *rest)

    monkeypatch.setattr(Answerer, "answer", counted)
    return answered


@pytest.mark.parametrize("terminal", [False, True])
def test_a_refusal_leaves_no_empty_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], terminal: bool
) -> None:
    def refuse(*_: Any) -> Any:
        raise PruneProofError("no such checkpoint")
        yield 1

    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(engines, "load", lambda name: refuse)
    origin: Any = SimpleNamespace(backbone="tiny")
    with pytest.raises(PruneProofError, match="no such checkpoint"):
        stage._answer(None, origin, (), 2, 2)  # type: ignore[arg-type]
    left = capsys.readouterr().err.rstrip()
    assert left.endswith("\x1b[2K") if terminal else not left, "the line is erased, or never written"


def test_every_sample_is_answered_under_every_condition(answer: Answer, folders: Folders) -> None:
    answer("atp_25")
    found = rows(folders, "atp_25")
    by_condition: dict[str, set[str]] = {}
    for row in found:
        by_condition.setdefault(f"{row['perturbation']}_{row['severity']}", set()).add(row["sample_id"])
    assert {name: len(ids) for name, ids in by_condition.items()} == {
        "clean_0": 3 * 6,
        "gaussian_noise_1": 3 * 5,
        "gaussian_noise_3": 2 * 5,
        "typo_swap_2": 3 * 4,
    }
    assert sum(map(len, by_condition.values())) == len(found)
    assert {row["visual_tokens"] for row in found} == {4}
    assert all(len(row["kept"]) == 4 and row["kept"] == sorted(row["kept"]) for row in found)


INSIDE: dict[str, dict[str, Any]] = {
    "tome_25": {"method": "tome", "keep": 0.25},
    "tome_50": {"method": "tome", "keep": 0.5},
    "divprune_25": {"method": "divprune", "keep": 0.25},
    "fastv_25": {"method": "fastv", "keep": 0.25, "layer": 1},
}


def with_methods(study: Study, methods: dict[str, dict[str, Any]]) -> Study:
    return Study.model_validate(study.model_dump() | {"methods": {"full": {"method": "full"}, **methods}})


def test_answers_say_what_the_language_model_read(answer: Answer, study: Study, folders: Folders) -> None:
    """By hand: 16 patches and two layers; the small LLaVA's prompt is as long as the full model's less its patches."""
    own = with_methods(study, INSIDE)
    counted = {}
    for method in own.methods:
        answer(method, own)
        found = [row for row in rows(folders, method) if row["sample_id"] == "one/dog/random"]
        names = ("visual_tokens", "input_tokens", "mean_tokens", "sequence_length")
        (counted[method],) = {tuple(row[name] for name in names) for row in found if row["perturbation"] != "typo_swap"}
        assert {len(row["kept"]) for row in found} == {4 if method.endswith("25") else 16 if method == "full" else 8}
    text = counted["full"][3] - 16
    assert counted == {
        "full": (16, 16, 16.0, text + 16),
        "tome_25": (4, 4, 4.0, text + 4),
        "tome_50": (8, 8, 8.0, text + 8),
        "divprune_25": (4, 4, 4.0, text + 4),
        "fastv_25": (16, 16, 10.0, text + 16),
    }


RANKED: dict[str, dict[str, Any]] = {
    "tome": {"method": "tome", "keep": 0.75},
    "atp": {"method": "atp", "keep": 0.25},
    "divprune": {"method": "divprune", "keep": 0.25},
    "fastv": {"method": "fastv", "keep": 0.25, "layer": 1},
    "random": {"method": "random", "keep": 0.25},
}


@pytest.mark.parametrize("method", RANKED)
def test_tokens_ranked_on_the_clean_picture_are_those_of_the_clean_picture(
    answer: Answer, study: Study, folders: Folders, method: str
) -> None:
    own = with_methods(study, {method: RANKED[method], f"{method}_clean": RANKED[method] | {"rank_from": "clean"}})
    ranked = {}
    for name in (method, f"{method}_clean"):
        answer(name, own)
        ranked[name] = {(row["perturbation"], row["severity"], row["sample_id"]): row for row in rows(folders, name)}
    shown, clean = ranked.values()
    noisy = [key for key in shown if key[0] == "gaussian_noise"]
    assert any(shown[key]["kept"] != clean[key]["kept"] for key in noisy)
    for key in noisy:
        assert clean[key]["kept"] == shown["clean", 0, key[2]]["kept"]
    assert any(abs(clean[key]["yes_logit"] - shown["clean", 0, key[2]]["yes_logit"]) > 0.01 for key in noisy)
    for key in shown:
        if key[0] != "gaussian_noise":
            assert clean[key] == shown[key], "elsewhere the picture is the clean one"


def test_a_tower_that_merges_never_reads_pictures_that_another_method_encoded(
    answer: Answer, study: Study, folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = with_methods(study, INSIDE)
    monkeypatch.setenv("PRUNEPROOF_FEATURES_MB", "0")
    expected = {method: answer(method, own) for method in ("full", "tome_25", "tome_50")}
    assert len(set(expected.values())) == 3
    monkeypatch.delenv("PRUNEPROOF_FEATURES_MB")
    worker._LOADED.clear()
    for order in (("full", "tome_25", "tome_50"), ("tome_50", "full", "tome_25")):
        folders.cells.rename(tmp_path / f"aside {order[0]}")
        for method in order:
            assert answer(method, own) == expected[method]
    # All three found in the folder of encoded pictures.
    for path in folders.cells.rglob("*.cell"):
        path.unlink()
    monkeypatch.setattr(Llava, "encode", lambda *_, **__: pytest.fail("the pictures are encoded already"))
    for method in ("full", "tome_25", "tome_50"):
        assert answer(method, own) == expected[method]


def test_samples_of_one_question_get_one_answer(answer: Answer, folders: Folders) -> None:
    answer("atp_25")
    answers = {(r["perturbation"], r["severity"], r["sample_id"]): r for r in rows(folders, "atp_25")}
    for image in ("one", "two", "three"):
        first, second = (answers["clean", 0, f"{image}/boat/{split}"] for split in ("random", "popular"))
        assert {**first, "sample_id": ""} == {**second, "sample_id": ""}


def test_kept_tokens_follow_the_method(answer: Answer, folders: Folders) -> None:
    kept: dict[str, dict[str, set[tuple[int, ...]]]] = {}
    for method in ("full", "random_25", "attention_25", "atp_25"):
        answer(method)
        for row in rows(folders, method):
            if row["perturbation"] == "clean":
                image = row["sample_id"].split("/")[0]
                kept.setdefault(method, {}).setdefault(image, set()).add(tuple(row["kept"]))
    assert kept["full"]["one"] == {tuple(range(16))}
    for method in ("random_25", "attention_25"):
        assert [len(sets) for sets in kept[method].values()] == [1, 1, 1]
        assert len(set.union(*kept[method].values())) > 1
    assert max(len(sets) for sets in kept["atp_25"].values()) > 1


def test_dialogues_begin_as_single_questions_and_select_as_they_say(
    study: Study, folders: Folders, answer: Answer
) -> None:
    dialogues = {"turns": 2, "select_by": ["first", "last", "each"]}
    talking = study.model_validate(study.model_dump() | {"answering": {"dialogues": dialogues}})
    answer("atp_25", talking)
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows(folders, "atp_25"):
        found.setdefault(f"{row['perturbation']}_{row['severity']}", {})[row["sample_id"]] = row

    def said(condition: str, *keys: str) -> dict[str, list[Any]]:
        return {name: [row[key] for key in keys] for name, row in found[condition].items() if "caption" not in name}

    everything = ("text", "kept", "yes_logit")
    assert said("dialogue_each_1", *everything) == said("dialogue_first_1", *everything) == said("clean_0", *everything)
    assert said("dialogue_each_2", "kept") == said("dialogue_last_2", "kept") == said("clean_0", "kept")
    assert said("dialogue_first_2", "kept") != said("clean_0", "kept") != said("dialogue_last_1", "kept")
    assert said("dialogue_each_2", "yes_logit") != said("clean_0", "yes_logit")


@pytest.mark.parametrize("method", ["full", "atp_25"])
def test_the_same_bytes_for_any_number_of_workers_and_any_order_of_methods(
    study: Study, folders: Folders, tmp_path: Path, answer: Answer, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = answer(method)
    folders.cells.rename(tmp_path / "aside")
    monkeypatch.setenv("PRUNEPROOF_WORKERS", "2")
    assert answer(method) == expected
    folders.cells.rename(tmp_path / "aside too")
    monkeypatch.setenv("PRUNEPROOF_WORKERS", "1")
    # Another method first: encoded images and embedded texts are found instead of computed.
    answer("attention_25")
    assert answer(method) == expected
    monkeypatch.setenv("PRUNEPROOF_FEATURES_MB", "0")
    folders.cells.rename(tmp_path / "aside three")
    assert answer(method) == expected


def test_batch_size_moves_no_answer_and_no_logit_by_more_than_noise(
    answer: Answer, folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, one = answer("atp_25"), rows(folders, "atp_25")
    folders.cells.rename(tmp_path / "aside")
    monkeypatch.setenv("PRUNEPROOF_BATCH", "3")
    worker._LOADED.clear()
    assert answer("atp_25") == expected
    for a, b in zip(one, rows(folders, "atp_25"), strict=True):
        assert a["yes_logit"] == pytest.approx(b["yes_logit"], abs=LOGIT_NOISE)


def test_a_second_run_answers_nothing_and_loads_nothing(
    answer: Answer, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = answer("random_25")
    assert calls == ["clean", "gaussian_noise_1", "gaussian_noise_3", "typo_swap_2"]

    def refuse(*_: object) -> None:
        raise AssertionError("a model was loaded although everything is answered")

    monkeypatch.setattr(engines, "load", refuse)
    assert answer("random_25") == first
    assert len(calls) == 4


def test_after_a_kill_only_the_batch_in_work_is_lost(
    answer: Answer, folders: Folders, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = answer("full")
    for path in folders.cells.rglob("*.cell"):
        path.unlink()
    calls.clear()
    counted = Answerer.answer

    def killed(self: Answerer, batch: Any, *rest: Any) -> Any:
        if batch.condition.condition_id == "gaussian_noise_3":
            raise KeyboardInterrupt
        return counted(self, batch, *rest)

    monkeypatch.setattr(Answerer, "answer", killed)
    with pytest.raises(KeyboardInterrupt):
        answer("full")
    monkeypatch.setattr(Answerer, "answer", counted)
    assert answer("full") == expected
    assert calls == ["clean", "gaussian_noise_1", "gaussian_noise_3", "typo_swap_2"]


def test_a_changed_setting_recomputes_its_own_cells_alone(study: Study, answer: Answer, calls: list[str]) -> None:
    for method in ("full", "atp_25"):
        answer(method)
    calls.clear()
    changed = study.model_dump()
    changed["methods"]["atp_25"]["alpha"] = 0.75
    answer("full", Study.model_validate(changed))
    assert calls == []
    answer("atp_25", Study.model_validate(changed))
    assert len(calls) == 4


def test_a_changed_image_recomputes_its_condition_alone(answer: Answer, folders: Folders, calls: list[str]) -> None:
    answer("full")
    calls.clear()
    path = folders.corrupted / "gaussian_noise_1.parquet"
    path.write_bytes((folders.corrupted / "gaussian_noise_3.parquet").read_bytes())
    answer("full")
    assert calls == ["gaussian_noise_1"]


def test_one_run_asks_all_methods_on_images_that_are_encoded_once(
    study: Study, folders: Folders, answer: Answer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    alone = {method: answer(method) for method in study.methods}
    folders.cells.rename(tmp_path / "aside")
    monkeypatch.setenv("PRUNEPROOF_FEATURES_MB", "0")
    worker._LOADED.clear()
    encoded: list[int] = []
    original = Llava.encode

    def counted(self: Llava, images: Any) -> Any:
        encoded.append(len(images))
        return original(self, images)

    monkeypatch.setattr(Llava, "encode", counted)
    stage.run(study, folders, backbone="tiny")
    assert {method: folders.answers_of("tiny", method).read_bytes() for method in study.methods} == alone
    assert encoded == [3, 3, 2, 3], "four conditions, whatever the number of methods"


def test_what_lies_in_a_cells_place_and_is_not_it_is_answered_anew(
    answer: Answer, folders: Folders, calls: list[str]
) -> None:
    expected = answer("full")
    first, second, third, fourth = sorted(folders.cells.rglob("*.cell"))
    second.write_bytes(first.read_bytes())
    third.write_bytes(third.read_bytes()[:-1])
    fourth.unlink()
    fourth.mkdir()
    calls.clear()
    assert answer("full") == expected
    assert len(calls) == 3


def test_a_full_disk_stops_no_answer_that_fits(
    answer: Answer, folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = answer("full")
    folders.cells.rename(tmp_path / "aside")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(features, "write_bytes", full)
    assert answer("full") == expected
    assert [record.message for record in caplog.records] == [
        "encoded images are not kept (No space left on device): answering goes on and encodes them again when needed"
    ]
    assert not folders.features.exists()


def test_encoded_images_leave_when_a_cell_has_no_room(
    answer: Answer, folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = answer("full")
    folders.cells.rename(tmp_path / "aside")
    put = Store.put

    def full(self: Store, key: str, table: Any) -> None:
        if folders.features.is_dir():
            raise OSError(errno.ENOSPC, "No space left on device")
        put(self, key, table)

    monkeypatch.setattr(Store, "put", full)
    assert answer("full") == expected
    assert not folders.features.exists()


def test_damaged_features_are_made_again(answer: Answer, folders: Folders, tmp_path: Path) -> None:
    expected = answer("atp_25")
    for path in folders.cells.rglob("*.cell"):
        path.unlink()
    stored = list(folders.features.iterdir())
    assert len(stored) == 3, "clean images serve text conditions too"
    cut, changed, other = stored
    cut.write_bytes(cut.read_bytes()[:-100])
    content = changed.read_bytes()
    changed.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    other.write_bytes(content)
    assert answer("atp_25") == expected


def test_features_stay_under_their_limit(answer: Answer, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = answer("atp_25")
    sizes = [path.stat().st_size for path in folders.features.iterdir()]
    for path in folders.cells.rglob("*.*"):
        path.unlink()
    monkeypatch.setattr("pruneproof.machine.feature_bytes", lambda: 2 * max(sizes))
    worker._LOADED.clear()
    assert answer("atp_25") == expected
    assert len(list(folders.features.iterdir())) == 2


def test_a_missing_checkpoint_is_said_before_anything_is_computed(
    study: Study, answer: Answer, calls: list[str]
) -> None:
    changed = study.model_dump()
    changed["backbones"]["tiny"]["checkpoint"] = "no/such/place"
    with pytest.raises(PruneProofError, match="neither a folder"):
        answer("full", Study.model_validate(changed))
    assert calls == []
