from __future__ import annotations

from pathlib import Path

import pytest

from pruneproof.errors import PruneProofError
from pruneproof.planning.amounts import Amount, added
from pruneproof.planning.machines import Speeds, assumed, machine_of, machines

ONE = Speeds(
    2, tower=100.0, language=50.0, bandwidth=10.0, layer_s=0.1, operation_s=0.01, question_s=1.0, picture_s=2.0
)


def test_every_machine_says_what_it_does_in_every_type_and_from_where() -> None:
    for machine in machines().values():
        assert set(machine.flops) == {"float32", "float16", "bfloat16"}
        assert machine.source
        assert min(machine.bandwidth, machine.memory, machine.cores, machine.disk, *machine.flops.values()) > 0


def test_an_unknown_machine_is_named_with_those_there_are() -> None:
    with pytest.raises(PruneProofError, match=r"--machine is 'abacus': use this \(which is measured\), h100, a100"):
        machine_of("abacus")


def test_data_sheets_times_shares() -> None:
    h100 = assumed(machine_of("h100"), "float16", 0.01)
    assert h100.language == pytest.approx(0.4 * 989e12)
    assert h100.processes == 1
    two = assumed(machine_of("cpu2"), "float32", 0.01, share=0.25)
    assert two.language == pytest.approx(0.25 * 166e9 / 2)  # each of two processes has a core
    assert two.processes == 2


def test_seconds_of_computing_or_of_reading_memory_whichever_takes_longer() -> None:
    assert ONE.seconds("prefill", Amount(flops=100, bytes=10)) == pytest.approx(2.0 / 2)
    assert ONE.seconds("prefill", Amount(flops=100, bytes=30)) == pytest.approx(3.0 / 2)
    assert ONE.seconds("vision tower", Amount(flops=100)) == pytest.approx(1.0 / 2)


def test_seconds_of_calling_layers_small_operations_and_items() -> None:
    assert ONE.seconds("selection", Amount(layers=2, operations=10)) == pytest.approx((0.2 + 0.1) / 2)
    assert ONE.seconds("around", Amount(items=3)) == pytest.approx(3.0 / 2)
    assert ONE.seconds("pictures read", Amount(items=3)) == pytest.approx(6.0 / 2)


def test_amounts_add_up_part_by_part() -> None:
    works = [{"prefill": Amount(1, 2, 3, 4, 5)}, {"prefill": Amount(1, 1, 1, 1, 1) * 2, "decode": Amount(flops=7)}]
    assert added(works) == {"prefill": Amount(3, 4, 5, 6, 7), "decode": Amount(flops=7)}  # type: ignore[arg-type]


def test_the_file_lies_beside_the_module() -> None:
    import pruneproof.planning.machines as module

    assert Path(module.__file__).with_name("machines.json").is_file()
