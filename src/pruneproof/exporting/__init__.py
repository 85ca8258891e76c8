"""The drawn scenes as files of published benchmarks: a format is one member of this package.

So readers and scorers of those benchmarks can be tried from end to end without a download: a study on the files gives
the scores that a study on the scenes gives, question by question.

A member exposes

- `READERS`: the benchmarks that read its files, each with the options under which it does;
- `export(scenes: Benchmark) -> Export`.

Pictures are PNG, because JPEG would change their pixels and so the answers. Where annotations name a picture's file,
its name ends in `.png`; where the format itself makes it end in `.jpg`, it does, and the file holds PNG all the same:
readers go by content.

What keeps two studies from being equal by design: a picture has another id, from which noise, random pruning and typos
take their random numbers; and questions lose what no official file has, such as synonyms and rephrasings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pruneproof.records import Sample


@dataclass(frozen=True, slots=True)
class Export:
    """Files, and what they ask."""

    files: Mapping[str, bytes]
    """Content by path in the folder, pictures first."""
    samples: tuple[Sample, ...]
    """The scenes' questions that are in the files, in the files' order."""


def once(samples: tuple[Sample, ...]) -> Iterator[Sample]:
    """Questions that have one short answer, without the repetitions that several splits make."""
    asked = set()
    for sample in samples:
        key = sample.image_id, sample.question
        if sample.asks == "answer" and key not in asked:
            asked.add(key)
            yield sample
