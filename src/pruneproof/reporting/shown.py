"""A figure as the page holds it."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass
from urllib.parse import quote

from markupsafe import Markup
from PIL import Image

from pruneproof.reporting.style import COLUMN

_SAFE = " !$()*+,-./:;=?@[]^_`{|}~'"
"""What an address in double quotes may hold beside letters and digits; quotes of an SVG are made single ones."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One figure of the page."""

    name: str
    """Path relative to the reports folder, without ending: `figures/builtin_llava/accuracy_flops`."""
    title: str
    caption: str
    content: bytes
    """An SVG, or a WebP."""
    opens: bool = False
    """Whether it is the one that the page opens with."""

    @property
    def anchor(self) -> str:
        """Where links within the page lead to."""
        return self.name.removeprefix("figures/").replace("/", "-")

    @property
    def number(self) -> str:
        """` 2` for the second of several figures with one title."""
        found = re.search(r"_([0-9]+)$", self.name)
        return f" {found[1]}" if found else ""

    @property
    def is_drawn(self) -> bool:
        """Whether it is an SVG."""
        return self.content.lstrip().startswith(b"<svg")

    @property
    def data(self) -> Markup:
        """The picture as a data address; an SVG as text, which is shorter than in base64."""
        if not self.is_drawn:
            return Markup("data:image/webp;base64," + base64.b64encode(self.content).decode("ascii"))
        text = self.content.decode().strip().replace("'", "&apos;").replace('"', "'")
        return Markup("data:image/svg+xml," + quote(re.sub(r"\s+", " ", text), safe=_SAFE))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, in any one unit, so that the page keeps the room free."""
        if self.is_drawn:
            found = re.search(rb'viewBox="0 0 ([0-9.]+) ([0-9.]+)"', self.content)
            return (round(float(found[1])), round(float(found[2]))) if found else (1, 1)
        return Image.open(io.BytesIO(self.content)).size

    @property
    def links(self) -> tuple[tuple[str, str], ...]:
        """(what it is, address) of its other forms."""
        return (
            ("PDF", f"{self.name}.pdf"), ("PDF, one column", f"{self.name}{COLUMN.ending}.pdf"),
            ("CSV", f"{self.name}.csv"), ("LaTeX", f"{self.name}.tex"),
        )  # fmt: skip
