"""What `corrupt_images` is compared with: the loop that one would write around `imagecorruptions`.

    python -m performance._plain_corruptions PICTURES OUTPUT PROCESSES SEVERITY [SEVERITY ...] [--names NAME ...]

Each picture of a folder is decoded once, corrupted by the package under every condition, and saved as a PNG with
Pillow's default settings, in a pool of as many processes.
"""

from __future__ import annotations

import argparse
from functools import partial
from multiprocessing import Pool
from pathlib import Path

import cv2
import numpy as np
from imagecorruptions import corrupt, get_corruption_names
from PIL import Image


def save_all(output: Path, names: list[str], severities: list[int], path: Path) -> None:
    """One picture under every condition."""
    cv2.setNumThreads(1)
    pixels = np.array(Image.open(path).convert("RGB"))
    for name in names:
        for severity in severities:
            corrupted = corrupt(pixels, corruption_name=name, severity=severity)
            Image.fromarray(corrupted).save(output / f"{path.stem}_{name}_{severity}.png")


def main() -> None:
    """Corrupt all pictures of a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("processes", type=int)
    parser.add_argument("severities", type=int, nargs="+")
    parser.add_argument("--names", nargs="+", default=get_corruption_names("common"))
    chosen = parser.parse_args()
    chosen.output.mkdir(parents=True)
    work = partial(save_all, chosen.output, chosen.names, chosen.severities)
    with Pool(chosen.processes) as pool:
        pool.map(work, sorted(chosen.pictures.iterdir()), chunksize=1)


if __name__ == "__main__":
    main()
