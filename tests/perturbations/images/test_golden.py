"""The same pixels on every processor: digests that are committed, and the code that other processors would choose.

After a change of what a perturbation draws: `OMP_NUM_THREADS=1 python tests/perturbations/images/rendering.py >
tests/perturbations/images/golden_pixels.json`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from rendering import GOLDEN, digests

NUMPY = " ".join(np.show_config(mode="dicts")["SIMD Extensions"].get("found", []))  # type: ignore[index,union-attr]
OPENCV = ",".join(part.strip("*") for part in cv2.getCPUFeaturesLine().split() if part.startswith("*"))

OLD_PROCESSOR = {
    "numpy": {"NPY_DISABLE_CPU_FEATURES": NUMPY},
    "opencv": {"OPENCV_CPU_DISABLE": f"{OPENCV},FMA3"},
    "no_ipp": {"OPENCV_IPP": "disabled"},
    "c_library": {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F,-AVX,-AVX2_Usable,-FMA_Usable"},
    "jpeg": {"JSIMD_FORCENONE": "1"},
    "torch": {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE"},
}
"""What makes a library choose the code that it has for a processor without the newer instructions."""

ALL = {name: value for choice in OLD_PROCESSOR.values() for name, value in choice.items()}


def different(found: dict[str, list[str]]) -> list[str]:
    """Conditions whose pixels are not the committed ones."""
    golden = json.loads(GOLDEN.read_text())
    assert set(found) == set(golden)
    return [
        f"{name}_{severity}"
        for name in golden
        for severity, (one, other) in enumerate(zip(found[name], golden[name], strict=True), start=1)
        if one != other
    ]


def test_pixels_are_the_committed_ones() -> None:
    assert different(digests()) == []


@pytest.mark.slow
@pytest.mark.parametrize("choice", [*OLD_PROCESSOR, "all"])
def test_other_processors_code_gives_the_same_pixels(choice: str) -> None:
    assert different(rendered(OLD_PROCESSOR.get(choice, ALL) | {"OMP_NUM_THREADS": "1"})) == []


@pytest.mark.slow
def test_the_number_of_threads_changes_no_pixel() -> None:
    assert different(rendered(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "2"))) == []


def rendered(environment: dict[str, str]) -> dict[str, list[str]]:
    """Digests as a process of that environment finds them."""
    script = Path(__file__).with_name("rendering.py")
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    output = subprocess.run(
        [sys.executable, str(script)], env=os.environ | paths | environment, capture_output=True, text=True, check=True
    ).stdout
    found: dict[str, list[str]] = json.loads(output)
    return found
