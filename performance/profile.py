"""How fast questions are answered, what share of the time is inside the model's forwards, and how near that is to the
machine's own speed.

    python -m performance.profile [--images 20] [--rounds 3] [--checkpoint FOLDER]

One process, one thread, as each worker of a study computes; clean scenes, all questions but captions; `builtin_llava`
unless another LLaVA is named. Writes `performance/results/profile.json`:

- `answers_per_s`: different questions, vision tower included (`tower_included`) or on images encoded before.
- `share_in_forwards`: of the wall time, by part in `share_by_part`.
- `share_of_products`: the time that the same matrix products take alone, one after another at the same shapes and in
  the same run, over the wall time; what is missing is attention, norms, activations, and everything outside forwards.
- `gflop_per_s` of those products over the whole wall time, beside `peak_gflop_per_s`, that of one large product.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from performance._options import count
from performance._products import counted, gflop, peak_gflop_per_s, seconds_alone

from pruneproof import machine, pruning
from pruneproof.allocator import keep_freed_memory
from pruneproof.answering import costs
from pruneproof.answering.answerer import Answerer, load_answerer
from pruneproof.answering.batch import AskedImage, Batch
from pruneproof.answering.features import FeatureStore
from pruneproof.answering.grid import sheets
from pruneproof.benchmarks import stage as benchmarks_stage
from pruneproof.files import write_json
from pruneproof.folders import Folders
from pruneproof.records import CLEAN
from pruneproof.settings import BackboneSettings, MethodSettings, Study

HOME = Path(__file__).resolve().parents[1]
METHODS: dict[str, dict[str, Any]] = {
    "full": {"method": "full"},
    "random_25": {"method": "random", "keep": 0.25},
    "atp_60": {"method": "atp", "keep": 0.6},
    "atp_25": {"method": "atp", "keep": 0.25},
    "atp_10": {"method": "atp", "keep": 0.1},
}


@dataclass
class Stopwatch:
    """Seconds spent inside each part of a model."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def watching(self, answerer: Answerer) -> Iterator[None]:
        """Replace each forward by a timed one, and put it back."""
        backbone: Any = answerer.backbone
        inner = backbone.model.model
        parts = {
            "vision_tower": (inner.vision_tower, "forward"),
            "connector": (inner.multi_modal_projector, "forward"),
            "language_model": (inner.language_model, "forward"),
            "output_head": (backbone.language.head, "forward"),
            "text_tower": (backbone.clip.matched.model, "encode_text"),
        }
        before = {name: getattr(owner, attribute) for name, (owner, attribute) in parts.items()}
        for name, (owner, attribute) in parts.items():
            setattr(owner, attribute, self._timed(name, before[name]))
        try:
            yield
        finally:
            for name, (owner, attribute) in parts.items():
                setattr(owner, attribute, before[name])

    def _timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            begin = time.perf_counter()
            result = function(*args, **kwargs)
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begin
            return result

        return timed


def clean_batches(folder: Path, images: int) -> list[Batch]:
    """Scenes with their questions, captions left out."""
    study = Study.model_validate(
        {
            "study": {"name": "profile", "seed": 2026},
            "benchmark": {"images": images},
            "backbones": {},
            "methods": {},
        }
    )
    folders = Folders(folder)
    benchmarks_stage.run(study, folders)
    return [
        Batch(
            batch.condition,
            tuple(
                AskedImage(image.image_id, image.held().picture, tuple(q for q in image.questions if not q.caption))
                for image in batch.images
            ),
        )
        for sheet in sheets(study, folders, True, [CLEAN])
        for batch in sheet.batches
    ]


def measure(
    settings: BackboneSettings, root: Path, method: dict[str, Any], asked: list[Batch], found: bool, rounds: int
) -> dict[str, Any]:
    """Medians over some rounds of one method, after a warm-up that is not counted.

    With `found` the encoded images lie on disk already, as they do for a method that joins a study later.
    """
    features = FeatureStore(root / f"features_{found}", "", 2**30 if found else 0)
    chosen = pruning.load(MethodSettings.model_validate(method))
    answerer = load_answerer(settings, 0, root, "cpu", features, chosen.signals)

    def answer() -> None:
        answerer.backbone.clip.forget()
        for batch in asked:
            answerer.answer(batch, answerer.encode(batch), chosen, "profiled", str(method))

    if found:
        answer()
    products = counted(answer)
    questions = sum(len(image.questions) for batch in asked for image in batch.images)
    turns = []
    for _ in range(rounds):
        watch = Stopwatch()
        with watch.watching(answerer):
            begin = time.perf_counter()
            answer()
            wall = time.perf_counter() - begin
        turns.append(
            {
                "answers_per_s": questions / wall,
                "share_in_forwards": sum(watch.seconds.values()) / wall,
                "share_of_products": seconds_alone(products) / wall,
                "gflop_per_s": gflop(products) / wall,
                "peak_gflop_per_s": peak_gflop_per_s(),
                "share_by_part": {name: seconds / wall for name, seconds in sorted(watch.seconds.items())},
            }
        )
    return {"questions": questions, "gflop_per_answer": round(gflop(products) / questions, 4)} | _medians(turns)


def _medians(turns: list[dict[str, Any]]) -> dict[str, Any]:
    """Number by number, records in records."""
    return {
        name: _medians([turn[name] for turn in turns])
        if isinstance(value, dict)
        else round(statistics.median(turn[name] for turn in turns), 3)
        for name, value in turns[0].items()
    }


def main() -> None:
    """Measure every method and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=count, default=20, help="scenes asked about")
    parser.add_argument("--rounds", type=count, default=3, help="of which the medians are given")
    parser.add_argument(
        "--checkpoint",
        type=Path,
        default=HOME / "data/backbones/builtin_llava",
        help="a trained model's folder, with `clip` beside its weights",
    )
    parser.add_argument("--output", type=Path, default=HOME / "performance/results/profile.json")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as name:
        work, folder = Path(name), chosen.checkpoint.resolve()
        settings = BackboneSettings(family="llava", checkpoint=str(folder), text_tower=str(folder / "clip"))
        asked = clean_batches(work, chosen.images)
        measured = {
            name: {
                "tower_included": measure(settings, work, method, asked, False, chosen.rounds),
                "images_encoded_before": measure(settings, work, method, asked, True, chosen.rounds),
            }
            for name, method in METHODS.items()
        }
    result = {
        "processor": costs._processor(),
        "platform": platform.platform(),
        "torch": torch.__version__,
        "rows_per_forward": machine.batch_size(),
        "weights": chosen.checkpoint.name,
        "methods": measured,
    }
    write_json(chosen.output, result)
    for method, ways in measured.items():
        for way, row in ways.items():
            print(
                f"{method:10s} {way:22s} {row['answers_per_s']:7.1f}/s, {row['share_in_forwards']:.0%} in forwards, "
                f"{row['share_of_products']:.0%} in matrix products alone, {row['gflop_per_s']:.0f} of "
                f"{row['peak_gflop_per_s']:.0f} GFLOP/s"
            )


if __name__ == "__main__":
    main()
