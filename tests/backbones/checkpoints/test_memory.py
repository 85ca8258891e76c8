from __future__ import annotations

from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import save_file
from transformers import OPTConfig, OPTForCausalLM

from pruneproof.backbones.checkpoints import memory
from pruneproof.backbones.checkpoints.memory import folder_bytes, free_bytes, model_bytes, require_memory
from pruneproof.errors import PruneProofError

GIB = 2**30


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> dict[str, int | None]:
    """Free bytes by device."""
    found: dict[str, int | None] = {"cpu": 20 * GIB, "cuda:0": 4 * GIB, "mps": None}
    monkeypatch.setattr(memory, "free_bytes", found.__getitem__)
    return found


def test_what_fits_and_what_does_not(free: dict[str, int | None]) -> None:
    require_memory(20 * GIB, "float32", "cpu")
    require_memory(4 * GIB, "float32", "cuda:0")
    with pytest.raises(PruneProofError) as caught:
        require_memory(20 * GIB + GIB // 2, "float32", "cpu")
    assert str(caught.value) == (
        "the weights need 20.5 GiB in float32, but cpu has 20.0 GiB free: set `dtype: bfloat16`, free memory or choose "
        "a smaller checkpoint"
    )
    with pytest.raises(PruneProofError, match=r"need 5\.0 GiB in bfloat16, but cuda:0 has 4\.0 GiB free: free memory"):
        require_memory(5 * GIB, "bfloat16", "cuda:0")


def test_weights_pass_through_main_memory_and_unknown_memory_refuses_nothing(free: dict[str, int | None]) -> None:
    with pytest.raises(PruneProofError, match="cpu has"):
        require_memory(21 * GIB, "float16", "mps")
    require_memory(19 * GIB, "float16", "mps")
    free["cpu"] = None
    require_memory(10**15, "float16", "mps")


def test_bytes_are_those_of_the_dtype_that_is_loaded(tmp_path: Path, free: dict[str, int | None]) -> None:
    save_file({"a": torch.zeros(3, 5), "b": torch.zeros(())}, tmp_path / "one.safetensors")
    save_file({"c": torch.zeros(7, dtype=torch.float16)}, tmp_path / "two.safetensors")
    assert folder_bytes(tmp_path, "float32") == 4 * 23
    assert folder_bytes(tmp_path, "bfloat16") == 2 * 23
    free["cpu"] = 4 * 23 - 1
    require_memory(tmp_path, "bfloat16", "cpu")
    with pytest.raises(PruneProofError):
        require_memory(tmp_path, "float32", "cpu")


def test_a_damaged_file(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(30, 50)}, tmp_path / "one.safetensors")
    (tmp_path / "one.safetensors").write_bytes((tmp_path / "one.safetensors").read_bytes()[:-10])
    with pytest.raises(PruneProofError, match=r"one\.safetensors cannot be read"):
        folder_bytes(tmp_path, "float32")


def test_bytes_from_a_config_are_those_of_the_saved_weights(tmp_path: Path) -> None:
    config = OPTConfig(vocab_size=50, hidden_size=16, ffn_dim=32, num_hidden_layers=2, num_attention_heads=2)
    OPTForCausalLM(config).save_pretrained(tmp_path)
    assert model_bytes(OPTForCausalLM, config, "bfloat16") == folder_bytes(tmp_path, "bfloat16") > 0


def group(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize(
    "files",
    [
        {"memory.max": "5000\n", "memory.current": "3000\n", "memory.stat": "anon 2000\ninactive_file 600\n"},
        {
            "memory/memory.limit_in_bytes": "5000",
            "memory/memory.usage_in_bytes": "3000",
            "memory/memory.stat": "inactive_file 9\ntotal_inactive_file 600\n",
        },
    ],
    ids=["version_2", "version_1"],
)
def test_a_containers_limit_counts_without_what_can_be_given_back(tmp_path: Path, files: dict[str, str]) -> None:
    assert free_bytes("cpu", group(tmp_path, files)) == 2600


def test_without_a_limit_main_memory_is_what_the_system_calls_available(tmp_path: Path) -> None:
    unlimited = group(tmp_path, {"memory.max": "max\n", "memory.current": "3000\n", "memory.stat": "inactive_file 6\n"})
    for cgroup in (unlimited, tmp_path / "none"):
        assert free_bytes("cpu", cgroup) == pytest.approx(psutil.virtual_memory().available, rel=0.2)
    assert free_bytes("mps") is None
