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


@pytest.mark.parametrize("text", ["gpu", "tpu", "cuda:", "cuda:x", "cuda:12345", "CPU"])
def test_malformed_devices_are_refused(text: str) -> None:
    with pytest.raises(PruneProofError, match="use auto, cpu, cuda"):
        machine.device({"PRUNEPROOF_DEVICE": text})


def test_an_accelerator_that_is_not_there_is_refused() -> None:
    with pytest.raises(PruneProofError, match="does not find here"):
        machine.device({"PRUNEPROOF_DEVICE": "cuda:4096"})
