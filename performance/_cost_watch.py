"""Seconds of answering by part, each without what other parts take inside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pruneproof.answering import answerer, worker
from pruneproof.answering.features import FeatureStore
from pruneproof.backbones.clip.text_towers import TextTower
from pruneproof.backbones.families.blip2 import Blip2
from pruneproof.backbones.families.flamingo import Flamingo
from pruneproof.backbones.families.llava import Llava
from pruneproof.backbones.language import generation, narrowing

FAMILIES: tuple[Any, ...] = (Llava, Blip2, Flamingo)


@dataclass
class Watch:
    """A stopwatch for parts that lie inside each other; `clock` counts this thread's time on the processor."""

    clock: Callable[[], float] = time.thread_time
    seconds: dict[str, float] = field(default_factory=dict)
    _inside: list[float] = field(default_factory=list)
    """Seconds of finished parts inside each part that is running."""

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, counted under a part."""

        def counted(*args: Any, **kwargs: Any) -> Any:
            began = self.clock()
            self._inside.append(0.0)
            try:
                return function(*args, **kwargs)
            finally:
                spent = self.clock() - began
                self.seconds[part] = self.seconds.get(part, 0.0) + spent - self._inside.pop()
                if self._inside:
                    self._inside[-1] += spent

        return counted

    def decoding(self, greedy: Callable[..., Any]) -> Callable[..., Any]:
        """`greedy`, whose steps after the first token are counted as `decode`."""

        def counted(first: Any, eos: Any, longest: int, advance: Callable[..., Any]) -> Any:
            return greedy(first, eos, longest, self.timed("decode", advance))

        return counted

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Count everything that is answered meanwhile in this process."""
        places: list[tuple[Any, str, str]] = [
            (worker, "load", "start"),
            (FeatureStore, "encode", "encode"),
            (FeatureStore, "encode_with", "encode"),
            (answerer, "show", "selection"),
            (TextTower, "embed", "text tower"),
            *((family, "connect", "connector") for family in FAMILIES),
            *((family, "answer", "prefill") for family in FAMILIES),
        ]
        before = [getattr(owner, name) for owner, name, _ in places]
        for (owner, name, part), function in zip(places, before, strict=True):
            setattr(owner, name, self.timed(part, function))
        greedy: Any = generation.greedy
        for module in (generation, narrowing):
            setattr(module, "greedy", self.decoding(greedy))  # noqa: B010
        try:
            yield
        finally:
            for (owner, name, _), function in zip(places, before, strict=True):
                setattr(owner, name, function)
            for module in (generation, narrowing):
                setattr(module, "greedy", greedy)  # noqa: B010
