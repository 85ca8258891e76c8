"""Is an answer ever served that a run from nothing would not give?

    python -m performance.faults [--count 200] [--seed 0]

Each trial begins with a study that is answered, changes one thing at random (settings, a picture or a text, weights, a
package, code, or the store itself), and runs the real stages again. What they serve is compared with what the same
stages answer with an empty store after the same change: text, kept tokens, and logits but for their noise. DVC is taken
into account: where nothing that dvc.yaml names for `answer_questions` has changed, the old tables are what is served.
A change after which the stages refuse to run serves nothing. Writes `performance/results/faults.json`.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from performance._fault_kinds import KINDS
from performance._fault_world import DEFECT, HUNG, World, answer, answers, build, cells, differs, followed

from pruneproof.files import write_json

HERE = Path(__file__).resolve().parent
Verdict = Literal["true", "stale", "refused", "broken", "asked for nothing"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One change and what came of it."""

    kind: str
    what: str
    verdict: Verdict
    """`true`: what was served is what a run from nothing answers. `refused`: the run with the store ends with an error.
    `broken`: a change of code after which nothing can be answered at all, so that what was served, asked before it, has
    nothing to be compared with. `asked for nothing`: a comment made cells again."""
    asked: int
    """Cells that were asked again, of all of them."""
    of: int
    mattered: bool
    """Whether answers from nothing differ from those before the change."""
    detail: str = ""


def campaign(count: int, seed: int, folder: Path) -> Iterator[Trial]:
    """Try `count` changes in a folder, each on the same answered study."""
    import open_clip  # noqa: F401
    import torch
    from transformers import LlavaForConditionalGeneration  # noqa: F401

    torch.set_num_threads(1)
    rng = random.Random(seed)
    base, live = build(folder / "base"), World(folder / "live")
    # Answered where it lies during the trials, so that what is remembered by path is there.
    base.folder.rename(live.folder)
    modules = live.folder / "modules"
    if code := answer(live, modules=modules):
        raise SystemExit(f"the study itself ends with code {code}: {(live.folder / 'log').read_text()[-2000:]}")
    shutil.copytree(live.folder, base.folder)
    names = list(KINDS)
    for _ in range(count):
        kind = rng.choices(names, [often for often, _ in KINDS.values()])[0]
        yield _trial(kind, live, random.Random(rng.random()))
        shutil.rmtree(live.folder)
        shutil.copytree(base.folder, live.folder)


def _trial(kind: str, world: World, rng: random.Random) -> Trial:
    before, finished, old = followed(world), cells(world), answers(world)
    done = KINDS[kind][1](world, rng)
    what, upgrade = done if isinstance(done, tuple) else (done, None)
    code = answer(world, upgrade)
    served = answers(world) if followed(world) != before else old
    asked = sum(time != finished.get(name) for name, time in cells(world).items())
    shutil.rmtree(world.data / ".cells")
    for name in ("answers", "logits"):
        shutil.rmtree(world.data / name, ignore_errors=True)
    truth_code = answer(world, upgrade)
    truth = answers(world)
    counts = (asked, len(cells(world)), bool(truth_code or differs(old, truth)))
    if code:
        return Trial(kind, what, "refused", *counts, f"code {code}, {truth_code} from nothing")
    if truth_code:
        verdict: Verdict = "broken" if kind == "code" and truth_code in (DEFECT, HUNG) else "stale"
        return Trial(kind, what, verdict, *counts, f"served, but from nothing it ends with {truth_code}")
    if detail := differs(served, truth):
        return Trial(kind, what, "stale", *counts, detail)
    if kind == "comments" and asked:
        return Trial(kind, what, "asked for nothing", *counts)
    return Trial(kind, what, "true", *counts)


def _summary(seed: int, trials: list[Trial]) -> dict[str, object]:
    return {
        "count": len(trials),
        "seed": seed,
        "mattered": sum(trial.mattered for trial in trials),
        "verdicts": dict(Counter(trial.verdict for trial in trials)),
        "by_kind": {kind: dict(Counter(trial.verdict for trial in trials if trial.kind == kind)) for kind in KINDS},
        "not_true": [asdict(trial) for trial in trials if trial.verdict not in ("true", "refused")],
    }


def main() -> int:
    """Run the campaign and write what came of it; 1 if anything stale was served."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="changes to try")
    parser.add_argument("--seed", type=int, default=0, help="which ones")
    chosen = parser.parse_args()
    trials = []
    with tempfile.TemporaryDirectory() as folder:
        for trial in campaign(chosen.count, chosen.seed, Path(folder)):
            trials.append(trial)
            asked = f"asked {trial.asked:3} of {trial.of:3}"
            print(f"{len(trials):4} {trial.verdict:8} {trial.kind:9} {asked}  {trial.what}  {trial.detail}", flush=True)
    write_json(HERE / "results/faults.json", _summary(chosen.seed, trials))
    verdicts = Counter(trial.verdict for trial in trials)
    print(", ".join(f"{number} {verdict}" for verdict, number in sorted(verdicts.items())))
    return 1 if verdicts["stale"] or verdicts["asked for nothing"] else 0


if __name__ == "__main__":
    sys.exit(main())
