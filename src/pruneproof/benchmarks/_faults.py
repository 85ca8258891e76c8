"""Lines and pictures of a benchmark that cannot be used: collected while it is read, then refused or left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pruneproof.errors import PruneProofError

SHOWN = 20
"""Faults that are listed one by one."""


@dataclass(slots=True)
class Faults:
    """What was found so far."""

    lines: list[str] = field(default_factory=list)
    """One for each: where, the value, how to mend it."""
    too_few: str = ""
    """The same of a study that asks for more pictures than there are, which leaves none out; empty if it does not."""

    def add(self, file: Path | str, what: str, line: int = 0) -> None:
        """Note a fault.

        Args:
            file: where it is.
            what: the value that is wrong, and what is allowed.
            line: number of the line, from 1; 0 for the whole file.
        """
        self.lines.append(f"{file}{f', line {line}' if line else ''}: {what}")


def refuse(name: str, lines: list[str] | tuple[str, ...]) -> None:
    """Stop a study whose benchmark has faults; nothing happens without any.

    Raises:
        PruneProofError: with the first faults, one a line, and their number.
    """
    if lines:
        count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
        more = [f"... and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        shown = (f"  {line}" for line in [*lines[:SHOWN], *more])
        raise PruneProofError("\n".join([f"benchmark {name} has {count}:", *shown]))
