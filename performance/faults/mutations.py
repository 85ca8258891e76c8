"""Is an answer ever served that a run from nothing would not give?

Each trial begins with a study that is answered, changes one thing at random (settings, a picture or a text, weights, a
package, code, or the store itself), and runs the stages up to the answers again. What they serve is compared with what
the same stages answer with an empty store after the same change: text, kept tokens, and logits but for their noise. DVC
is taken into account: where nothing that dvc.yaml names for `answer_questions` has changed, the old tables are what is
served. A change after which the stages refuse to run serves nothing.
"""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from random import Random

from performance.faults._answered import World, answer, answers, build, cells, differs, followed
from performance.faults._changes import CHANGES
from performance.faults._pipeline import Ended
from performance.faults._trials import Bench, Kind, Trial, line_of, unclear
from performance.faults._world import DEFECT, HUNG


def trial(bench: Bench, number: int, rng: Random) -> Trial:
    """Change one thing in a study that is answered."""
    base, world = _answered(bench.folder)
    shutil.rmtree(world.folder, ignore_errors=True)
    shutil.copytree(base.folder, world.folder)
    kind = rng.choices(list(CHANGES), [often for often, _ in CHANGES.values()])[0]
    before, finished, old = followed(world), cells(world), answers(world)
    done = CHANGES[kind][1](world, rng)
    what, upgrade = done if isinstance(done, tuple) else (done, None)
    code = answer(world, upgrade)
    said = (world.folder / "log").read_text(encoding="utf-8", errors="replace")
    served = answers(world) if followed(world) != before else old
    asked, of = sum(time != finished.get(name) for name, time in cells(world).items()), len(cells(world))
    shutil.rmtree(world.data / ".cells")
    for name in ("answers", "logits"):
        shutil.rmtree(world.data / name, ignore_errors=True)
    truth_code = answer(world, upgrade)
    truth = answers(world)
    mattered = bool(truth_code or differs(old, truth))
    ended = Ended(code, "answering", said)
    told = f"{kind}: {what}; {'refused' if code else f'asked {asked} of {of} again'}"
    return Trial(
        "mutations",
        number,
        told + ("" if mattered else ", and it makes no difference"),
        lost=f"asked {asked} cells again for a comment" if kind == "comments" and asked else "",
        stale=_stale(kind, code, truth_code) or ("" if code or truth_code else differs(served, truth)),
        # Code that was changed at random may raise anything.
        unclear="" if kind == "code" else unclear(ended),
        said=line_of(ended) if code else "",
    )


def _stale(kind: str, code: int, truth_code: int) -> str:
    if code or not truth_code or (kind == "code" and truth_code in (DEFECT, HUNG)):
        return ""  # code after which nothing can be answered at all leaves nothing to compare with
    return f"served, but from nothing it ends with {truth_code}"


@cache
def _answered(folder: Path) -> tuple[World, World]:
    """A study that is answered, and the place of its copies, where it was answered: files are remembered by path."""
    base, live = World(folder / "answered"), World(folder / "answered live")
    build(live.folder)
    if code := answer(live, modules=live.folder / "modules"):
        raise SystemExit(f"the study itself ends with code {code}: {(live.folder / 'log').read_text()[-2000:]}")
    shutil.copytree(live.folder, base.folder)
    return base, live


KIND = Kind("mutations", "Changed settings, inputs or code", 200, trial)
