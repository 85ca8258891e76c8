from __future__ import annotations

from pathlib import Path

import pytest

from pruneproof.errors import PruneProofError
from pruneproof.settings_file import DEEPEST, MOST_BYTES, read_yaml


def complaint(path: Path) -> str:
    with pytest.raises(PruneProofError) as caught:
        read_yaml(path)
    (line,) = str(caught.value).splitlines()
    return line


def laughs(levels: int) -> bytes:
    """Nine aliases at each level: 9 ** levels values out of a few bytes."""
    rows = [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, levels)]
    return "\n".join(["a0: &a0 [x]", *rows]).encode()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "holds no settings"),
        (b"{}", "holds no settings"),
        (b"- a\n- b\n", "holds no settings"),
        (b"study:\n  name: x\n bad: [\n", "params.yaml is not valid YAML: line 3: "),
        (b"study:\n\tname: x\n", "cannot start any token; indent with spaces, not tabs"),
        (b"study: {name: \xff}\n", "is not UTF-8 text"),
        (b"a: 1\n\tb: 2\n", "params.yaml is not valid YAML: line 2: "),
        (b"a: \x00\n", "is not valid YAML"),
        (b"study: &x {name: y}\nother: *z\n", "is not valid YAML"),
        (b"study: &x {name: *x}\n", "look for an anchor that holds itself"),
        (b"a: " + b"[" * 300 + b"]" * 300, f"nested more than {DEEPEST} levels"),
        (laughs(12), "more than 20000 values"),
        (b"a: " + b"9" * 6000, "holds a value that cannot be read"),
        (b"a: 2026-99-99", "holds a value that cannot be read: month must be in 1..12"),
        (b"#" * (MOST_BYTES + 1), "is not a file of settings"),
    ],
    ids=lambda value: None if isinstance(value, str) else value[:12].decode("latin1"),
)
def test_unreadable_files_are_one_line(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "params.yaml").write_bytes(content)
    assert what in complaint(tmp_path / "params.yaml")


def test_what_is_no_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    assert "Is a directory" in complaint(tmp_path / "folder")
    assert "symbolic links" in complaint(tmp_path / "loop")
    assert "Not a directory" in complaint(tmp_path / "file" / "params.yaml")
    assert "is missing: settings are read from it" in complaint(tmp_path / "params.yaml")


def test_lines_are_known_for_every_location(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("a:\n  b: [1,\n      2]\nc: {d: 3}\n")
    values, lines, problems = read_yaml(tmp_path / "params.yaml")
    assert values == {"a": {"b": [1, 2]}, "c": {"d": 3}}
    assert problems == []
    assert [lines[where] for where in (("a",), ("a", "b", 0), ("a", "b", 1), ("c", "d"))] == [1, 2, 3, 4]
