"""How much faster the stage `corrupt_images` is than a plain loop around `imagecorruptions`, and where its time goes.

    python -m performance.corruptions [--rounds 3] [--processes 1 2] [--scenes 24] [--photos 8]

Two small studies in a temporary folder, ImageNet-C's 15 corruptions at severities 1, 3 and 5: built-in scenes of
224 x 224, and JPEGs of 640 x 480 made by a generator. The stage runs as DVC runs it (`python -m pruneproof
corrupt_images`), the loop is `_plain_corruptions.py`; both are timed as whole processes, in turns, and nothing is there
from an earlier run. Then every picture of the stage is compared with the single-picture function, byte for byte, and
with the package given the same seeds: there it may differ by a grey level, since no pixel of ours depends on the
processor. Writes `performance/results/corruptions.json`. Where there are more than two cores, `taskset -c 0,1` before
it gives the figures for two.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from imagecorruptions import corrupt
from performance._options import count
from PIL import Image

from performance import _plain_corruptions
from pruneproof.files import read_rows, write_json, write_rows, write_text
from pruneproof.folders import Folders
from pruneproof.perturbations.images import Picture, Pixels, perturb
from pruneproof.perturbations.images._store import versions
from pruneproof.perturbations.images.imagenet_c import NAMES
from pruneproof.pictures import encode_png, read_picture
from pruneproof.records import IMAGES, OBJECTS
from pruneproof.seeds import generator
from pruneproof.stored import Held

HOME = Path(__file__).resolve().parents[1]
COMMON = NAMES[:15]
SEVERITIES = (1, 3, 5)
SEED = 2026
GOAL = 2.0
PARAMS = """\
study: {{name: corruptions, root: ., seed: {seed}}}
benchmark: {{name: scenes, images: {images}}}
perturbations:
  image: {{names: [{names}], severities: {severities}}}
  text: {{names: []}}
backbones: {{none: {{family: llava, checkpoint: none, text_tower: none}}}}
methods: {{full: {{method: full}}}}
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One whole process of one side."""

    round: int
    pictures: str
    processes: int
    side: str
    wall_s: float
    cpu_s: float
    """Of the process and all that it started."""
    largest_process_mb: float
    """Most memory that was resident in one of them."""
    stored_mb: float


@dataclass(frozen=True, slots=True)
class Sample:
    """The pictures of one study, as both sides find them."""

    name: str
    study: Path
    files: Path
    """The same pictures, one file each."""

    @property
    def pixels(self) -> dict[str, Pixels]:
        """Decoded, by image id."""
        return {path.stem: np.array(read_picture(path.read_bytes())) for path in sorted(self.files.iterdir())}


def photo(number: int, height: int = 480, width: int = 640) -> Pixels:
    """Something with a photograph's statistics: detail at every scale, its contrast in proportion to the scale."""
    rng = np.random.default_rng((SEED, number))
    total = np.full((height, width, 3), 128.0)
    for cells in (3, 6, 12, 24, 48, 96, 192):
        coarse = rng.normal(0, 120 / cells**0.6, (cells, cells, 1)) + rng.normal(0, 40 / cells**0.6, (cells, cells, 3))
        total += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(total, 0, 255).astype(np.uint8)


def scenes(root: Path, count: int) -> Sample:
    """A study of built-in scenes."""
    study, files = _study(root / "scenes", count), root / "scene_files"
    _draw(study)
    files.mkdir()
    for row in read_rows(Folders(study).benchmark / "images.parquet", ["image_id", "png"]):
        (files / f"{row['image_id']}.png").write_bytes(row["png"])
    return Sample("scenes_224x224", study, files)


def photos(root: Path, count: int) -> Sample:
    """A study of JPEGs outside its tables, as those of a published benchmark are."""
    study = _study(root / "photos", count)
    files = study / "jpeg"
    files.mkdir()
    rows = []
    for number in range(count):
        content = BytesIO()
        Image.fromarray(photo(number)).save(content, "JPEG", quality=90)
        path = files / f"photo_{number:03d}.jpg"
        path.write_bytes(content.getvalue())
        file = {"png": b"", "file": f"jpeg/{path.name}", "sha256": Held(content.getvalue()).digest}
        rows.append({"image_id": path.stem, "group": "", "width": 640, "height": 480, **file})
    write_rows(Folders(study).benchmark / "images.parquet", rows, IMAGES)
    write_rows(Folders(study).benchmark / "objects.parquet", [], OBJECTS)
    return Sample("photos_640x480", study, files)


def _study(folder: Path, images: int) -> Path:
    folder.mkdir()
    names = ", ".join(COMMON)
    params = PARAMS.format(seed=SEED, images=max(2, images), names=names, severities=list(SEVERITIES))
    write_text(folder / "params.yaml", params)
    return folder


def _draw(study: Path) -> None:
    command = [sys.executable, "-m", "pruneproof", "draw_scenes"]
    subprocess.run(command, cwd=study, env=_environment(1), check=True, stderr=subprocess.DEVNULL)


def _environment(workers: int) -> dict[str, str]:
    paths = os.pathsep.join([str(HOME / "src"), str(HOME), os.environ.get("PYTHONPATH", "")])
    return os.environ | {"PRUNEPROOF_WORKERS": str(workers), "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}


def run(sample: Sample, side: str, processes: int, number: int) -> Run:
    """One side from nothing, as a whole process."""
    data, output = sample.study / "data", sample.study / "plain"
    for folder in (data / "corrupted", data / ".corrupted", output):
        shutil.rmtree(folder, ignore_errors=True)
    if side == "stage":
        command, stored = [sys.executable, "-m", "pruneproof", "corrupt_images"], data / "corrupted"
    else:
        command, stored = [sys.executable, "-m", _plain_corruptions.__name__, str(sample.files), str(output)], output
        command += [str(processes), *map(str, SEVERITIES)]
    begin = time.perf_counter()
    with (sample.study / "messages").open("w+") as messages:
        process = subprocess.Popen(command, cwd=sample.study, env=_environment(processes), stderr=messages)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            messages.seek(0)
            raise SystemExit(f"{' '.join(command)} ended with {process.returncode}: {messages.read()}")
    size = sum(path.stat().st_size for path in stored.iterdir())
    cpu = usage.ru_utime + usage.ru_stime
    return Run(number, sample.name, processes, side, wall, cpu, usage.ru_maxrss / 1024, size / 1e6)


def compared(sample: Sample) -> dict[str, Any]:
    """What the stage has left, against the single-picture function and against the package with the same seeds."""
    originals = sample.pixels
    pictures = other = differing = values = 0
    largest = 0
    for name in COMMON:
        for severity in SEVERITIES:
            path = Folders(sample.study).corrupted / f"{name}_{severity}.parquet"
            for row in read_rows(path, ["image_id", "png"]):
                found = np.array(read_picture(row["png"]))
                original = originals[row["image_id"]]
                parts = (SEED, row["image_id"], name, severity)
                alone = perturb(name, Picture(original), severity, generator(*parts))
                distance = np.abs(found.astype(int) - by_the_package(name, severity, original, parts))
                pictures += 1
                other += int((found != alone).any())
                largest = max(largest, int(distance.max()))
                differing += int((distance > 0).sum())
                values += distance.size
    return {
        "pictures": pictures,
        "not_equal_to_the_single_picture_function": other,
        "largest_distance_from_the_package": largest,
        "share_of_values_that_differ_from_the_package": round(differing / values, 6),
    }


def by_the_package(name: str, severity: int, pixels: Pixels, parts: tuple[str | int, ...]) -> Pixels:
    """What the package gives with the seeds that the stage uses."""
    seed = int(generator(*parts).integers(2**32))
    np.random.seed(seed)
    options = {"seed": seed} if name in ("impulse_noise", "glass_blur") else {}
    return corrupt(pixels, corruption_name=name, severity=severity, **options)


def by_corruption(pixels: Pixels) -> dict[str, dict[str, float]]:
    """Milliseconds of processor time for one picture, the mean of the severities, encoding apart."""
    cv2.setNumThreads(1)
    table: dict[str, dict[str, float]] = {}
    for name in NAMES:
        table[name] = {
            "stage_ms": _milliseconds(lambda s: perturb(name, Picture(pixels), s, generator(0))),  # noqa: B023
            "package_ms": _milliseconds(lambda s: corrupt(pixels, severity=s, corruption_name=name)),  # noqa: B023
        }
    noisy = perturb("gaussian_noise", Picture(pixels), 3, generator(0))
    table["encoding"] = {
        "stage_ms": _milliseconds(lambda s: encode_png(noisy)),
        "package_ms": _milliseconds(lambda s: Image.fromarray(noisy).save(BytesIO(), "PNG")),
    }
    return table


def _milliseconds(work: Any, repeats: int = 3) -> float:
    times = []
    for severity in SEVERITIES:
        work(severity)
        times.append(min(_processor_time(work, severity) for _ in range(repeats)))
    return round(1000 * statistics.mean(times), 2)


def _processor_time(work: Any, severity: int) -> float:
    begin = time.process_time()
    work(severity)
    return time.process_time() - begin


def ratios(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Plain loop over stage, inside each round: median and range."""
    found = []
    for pictures, processes in dict.fromkeys((one.pictures, one.processes) for one in runs):
        sides: Mapping[str, list[Run]] = {
            side: [r for r in runs if (r.pictures, r.processes, r.side) == (pictures, processes, side)]
            for side in ("stage", "plain")
        }
        pairs = list(zip(sides["plain"], sides["stage"], strict=True))
        row: dict[str, Any] = {"pictures": pictures, "processes": processes}
        for key in ("wall_s", "cpu_s"):
            values = [getattr(plain, key) / getattr(stage, key) for plain, stage in pairs]
            row[key.replace("_s", "_ratio")] = {
                "median": round(statistics.median(values), 2),
                "range": [round(min(values), 2), round(max(values), 2)],
            }
        for side, of_side in sides.items():
            row[f"{side}_wall_s"] = round(statistics.median(one.wall_s for one in of_side), 2)
            row[f"{side}_largest_process_mb"] = round(max(one.largest_process_mb for one in of_side))
            row[f"{side}_stored_mb"] = round(of_side[0].stored_mb, 1)
        found.append(row)
    return found


def main() -> None:
    """Run both sides in turns, compare, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=count, default=3)
    parser.add_argument("--processes", type=count, nargs="+", default=[1, 2])
    parser.add_argument("--scenes", type=count, default=24, help="pictures of 224 x 224; 24 make 1,080 corrupted ones")
    parser.add_argument("--photos", type=count, default=8, help="pictures of 640 x 480; at least 2, as for scenes")
    parser.add_argument("--output", type=Path, default=HOME / "performance/results/corruptions.json")
    chosen = parser.parse_args()
    runs: list[Run] = []
    with tempfile.TemporaryDirectory() as name:
        samples = [scenes(Path(name), chosen.scenes), photos(Path(name), chosen.photos)]
        for number in range(chosen.rounds):
            for sample in samples:
                for processes in chosen.processes:
                    sides = ("stage", "plain") if number % 2 else ("plain", "stage")
                    runs += [run(sample, side, processes, number) for side in sides]
        equal = {}
        for sample in samples:
            run(sample, "stage", max(chosen.processes), 0)
            equal[sample.name] = compared(sample)
        times = {sample.name: by_corruption(next(iter(sample.pixels.values()))) for sample in samples}
    summary = ratios(runs)
    result = {
        "platform": platform.platform(),
        "cores": len(os.sched_getaffinity(0)),
        "load_at_the_end": os.getloadavg()[0],
        "versions": versions(),
        "conditions": [len(COMMON), len(SEVERITIES)],
        "counts": {"scenes_224x224": chosen.scenes, "photos_640x480": chosen.photos},
        "goal": GOAL,
        "ratios": summary,
        "equality": equal,
        "by_corruption": times,
        "runs": [asdict(one) for one in runs],
    }
    write_json(chosen.output, result)
    for row in summary:
        wall, cpu = row["wall_ratio"], row["cpu_ratio"]
        print(
            f"{row['pictures']}, {row['processes']} processes: {wall['median']} times as fast "
            f"({wall['range'][0]} to {wall['range'][1]}), {cpu['median']} in processor time; "
            f"{row['stage_wall_s']} s against {row['plain_wall_s']} s"
        )
    for sample_name, table in times.items():
        for corruption, row in table.items():
            print(f"{sample_name} {corruption:18s} {row['stage_ms']:7.2f} ms, package {row['package_ms']:7.2f} ms")
    for sample_name, facts in equal.items():
        print(sample_name, facts)


if __name__ == "__main__":
    main()
