"""Several devices of one machine, each with a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from pruneproof import workers
from pruneproof.answering import worker
from pruneproof.answering.batch import AskedImage, Batch, Question
from pruneproof.answering.engines import pool
from pruneproof.answering.worker import Task
from pruneproof.folders import Folders
from pruneproof.records import CLEAN
from pruneproof.stored import Held, NoPictureError


@dataclass(frozen=True)
class Lazy:
    """A picture that is not in memory."""

    content: bytes
    digest: str = "some"

    def read(self) -> bytes:
        return self.content

    def carried(self) -> Lazy:
        return self


def own_number(_: int) -> int:
    return workers.number()


def test_workers_are_numbered_from_nought() -> None:
    assert workers.number() == 0
    found = {number for _, number in workers.run_in_order(own_number, range(40), 3, start="fork")}
    assert found <= {0, 1, 2}
    assert len(found) > 1


@pytest.mark.slow
def test_listed_devices_answer_side_by_side_with_the_same_bytes(
    answer: Callable[..., bytes], folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = answer("atp_25")
    folders.cells.rename(tmp_path / "aside")
    monkeypatch.setenv("PRUNEPROOF_DEVICE", "cpu,cpu")
    monkeypatch.setattr(pool, "load", lambda _: pytest.fail("fresh processes load their own models"))
    monkeypatch.setattr(worker, "load", lambda _: pytest.fail("nothing is answered in this process"))
    assert answer("atp_25") == expected


@dataclass(frozen=True)
class Unmakeable:
    """A picture that a corruption cannot be applied to."""

    digest: str = "none"

    def read(self) -> bytes:
        raise NoPictureError("too small for fog")

    def carried(self) -> Unmakeable:
        return self


def test_pictures_are_held_ahead_and_those_that_cannot_be_made_stay_as_they_are() -> None:
    asked = (Question("What is it?", caption=False),)
    images = (AskedImage("a", Unmakeable(), asked), AskedImage("b", Lazy(b"png"), asked, Lazy(b"clean")))
    ready = pool.with_pictures(Task(Batch(CLEAN, images), ())).batch
    assert ready.images[0] == images[0]
    assert ready.images[1].picture == Held(b"png")
    assert ready.images[1].clean == Held(b"clean")
    held, lacking = ready.held()
    assert [image.image_id for image in held.images] == ["b"]
    assert lacking == {0: "image a: too small for fog"}
