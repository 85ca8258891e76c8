"""Digests of the pixels of every image perturbation at every severity; run as a script it prints them as JSON."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from scenery import picture

from pruneproof.perturbations.images import perturb, registered
from pruneproof.seeds import generator

GOLDEN = Path(__file__).with_name("golden_pixels.json")


def digests() -> dict[str, list[str]]:
    """SHA-256 of the pixels by perturbation, severities 1 to 5, of a picture that is neither square nor even."""
    return {
        name: [
            hashlib.sha256(
                perturb(name, picture(3, 97, 130), severity, generator("golden", name, severity))
            ).hexdigest()
            for severity in range(1, 6)
        ]
        for name in registered()
    }


if __name__ == "__main__":
    import cv2

    cv2.setNumThreads(int(os.environ["OMP_NUM_THREADS"]))
    json.dump(digests(), sys.stdout, indent=1)
    print()
