"""Training phases: a killed phase ends where an unbroken one does."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pruneproof.training.phases import Phase, rate_factor, run_phase


class Killed(Exception):
    """Stands for a kill."""


def train(folder: Path, steps: int = 12, kill_at: int | None = None) -> Tensor:
    torch.manual_seed(0)
    layer = nn.Linear(3, 2)
    phase = Phase("toy", steps, ((layer, 0.1),), warmup=3)

    def loss_of(step: int) -> tuple[Tensor, dict[str, float]]:
        if step == kill_at:
            raise Killed
        data = torch.randn(5, 3, generator=torch.Generator().manual_seed(step))
        return (layer(data) - 1).square().mean(), {"step": float(step)}

    run_phase(phase, {"layer": layer}, loss_of, folder, every=4)
    return layer.weight.detach().clone()


@pytest.mark.parametrize("kill_at", [1, 4, 7, 11])
def test_a_killed_phase_resumes_to_the_same_weights(tmp_path: Path, kill_at: int) -> None:
    whole = train(tmp_path / "whole")
    with pytest.raises(Killed):
        train(tmp_path / "broken", kill_at=kill_at)
    assert torch.equal(train(tmp_path / "broken"), whole)


def test_a_finished_phase_is_loaded_and_not_trained_again(tmp_path: Path) -> None:
    whole = train(tmp_path)
    assert torch.equal(train(tmp_path, kill_at=0), whole)


def test_the_rate_warms_up_stays_and_falls() -> None:
    phase = Phase("toy", 100, (), warmup=10, decay_share=0.4)
    rates = [rate_factor(phase, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:60] == [1.0] * 51
    assert all(a > b for a, b in pairwise(rates[60:99]))
    assert rates[80] == pytest.approx(0.5)
    assert min(rates) >= 0.02
