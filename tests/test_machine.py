from __future__ import annotations

import os

import pytest

from pruneproof import machine
from pruneproof.errors import PruneProofError


def test_defaults_need_no_environment() -> None:
    assert 1 <= machine.workers({}) <= (os.cpu_count() or 1)
    assert machine.batch_size({}) == 16


def test_numbers_are_read() -> None:
    assert machine.workers({"PRUNEPROOF_WORKERS": " 3 "}) == 3
    assert machine.batch_size({"PRUNEPROOF_BATCH": "64"}) == 64


def test_encoded_images_may_be_given_no_disk_at_all() -> None:
    assert machine.feature_bytes({}) == 2 * 2**30
    assert machine.feature_bytes({"PRUNEPROOF_FEATURES_MB": "0"}) == 0
    with pytest.raises(PruneProofError, match=r"PRUNEPROOF_FEATURES_MB is .* whole number from 0 to 1000000000"):
        machine.feature_bytes({"PRUNEPROOF_FEATURES_MB": "-1"})


@pytest.mark.parametrize("text", ["0", "-1", "2.5", "two", "²", "1025", "9" * 5000])
def test_other_numbers_are_refused(text: str) -> None:
    with pytest.raises(PruneProofError, match=r"PRUNEPROOF_WORKERS is .* whole number from 1 to 1024"):
        machine.workers({"PRUNEPROOF_WORKERS": text})


def test_cpu_needs_no_torch() -> None:
    assert machine.device({"PRUNEPROOF_DEVICE": "cpu"}) == "cpu"


@pytest.mark.parametrize(
    "text", ["gpu", "tpu", "cuda:", "cuda:x", "cuda:12345", "CPU", "auto,cpu", "cpu,", "cuda:all,cpu"]
)
def test_malformed_devices_are_refused(text: str) -> None:
    with pytest.raises(PruneProofError, match="use auto, cpu, cuda"):
        machine.device({"PRUNEPROOF_DEVICE": text})


def test_an_accelerator_that_is_not_there_is_refused() -> None:
    with pytest.raises(PruneProofError, match="PRUNEPROOF_DEVICE is 'cuda:4096', but torch finds no"):
        machine.device({"PRUNEPROOF_DEVICE": "cuda:4096"})


def test_devices_may_be_several() -> None:
    assert machine.devices({"PRUNEPROOF_DEVICE": "cpu"}) == ("cpu",)
    assert machine.devices({"PRUNEPROOF_DEVICE": "cpu, cpu"}) == ("cpu", "cpu")
    assert machine.device({"PRUNEPROOF_DEVICE": "cpu,cpu"}) == "cpu"


def test_devices_are_found_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert machine.devices({}) == ("cuda",)
    assert machine.devices({"PRUNEPROOF_DEVICE": "cuda:all"}) == ("cuda:0", "cuda:1", "cuda:2")
    assert machine.devices({"PRUNEPROOF_DEVICE": "cuda:2,cuda:0"}) == ("cuda:2", "cuda:0")
    assert machine.device({"PRUNEPROOF_DEVICE": "cuda:2,cuda:0"}) == "cuda:2"
    with pytest.raises(PruneProofError, match="torch finds no cuda:3 here, only cuda:0 to cuda:2: set"):
        machine.devices({"PRUNEPROOF_DEVICE": "cuda:0,cuda:3"})


@pytest.mark.parametrize("wanted", ["cuda:all", "cuda", "cuda:0", "cpu,cuda:1"])
def test_without_a_gpu_what_to_set_instead_is_said(monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    said = "torch finds no NVIDIA GPU on this machine: set PRUNEPROOF_DEVICE=cpu, or leave it unset"
    with pytest.raises(PruneProofError, match=f"^PRUNEPROOF_DEVICE is '{wanted}', but {said}$"):
        machine.devices({"PRUNEPROOF_DEVICE": wanted})


def test_an_engine_is_one_of_two() -> None:
    assert machine.engine({}) == "pool"
    assert machine.engine({"PRUNEPROOF_ENGINE": " ray "}) == "ray"
    with pytest.raises(PruneProofError, match="PRUNEPROOF_ENGINE is 'dask': use pool or ray"):
        machine.engine({"PRUNEPROOF_ENGINE": "dask"})


def test_the_number_of_workers_may_be_left_open() -> None:
    assert machine.wanted_workers({}) is None
    assert machine.wanted_workers({"PRUNEPROOF_WORKERS": "5"}) == 5
