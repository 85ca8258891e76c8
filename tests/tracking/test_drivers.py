"""What a database needs to be opened is known without opening it."""

from __future__ import annotations

import sys
from shlex import quote
from types import ModuleType

import pytest

from pruneproof.tracking.drivers import lacking


@pytest.mark.parametrize(
    ("given", "module", "package"),
    [
        ("mysql://host/runs", "MySQLdb", "mysqlclient"),
        ("mysql+pymysql://me:sec/r#t@host:3306/runs", "pymysql", "pymysql"),
        ("postgresql+psycopg2://host/runs", "psycopg2", "psycopg2-binary"),
        ("postgresql+psycopg://host/runs", "psycopg", "psycopg[binary]"),
        ("mssql+pymssql://host/runs", "pymssql", "pymssql"),
    ],
)
def test_a_missing_driver_is_named_as_pip_names_it(
    given: str, module: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert lacking(given) == f"the package {package} is missing: `pip install {quote(package)}`"
    there = ModuleType(module)
    there.__version__ = "3.2.1"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module, there)
    assert lacking(given) is None


def test_a_driver_that_nobody_knows_is_said_without_the_password() -> None:
    assert "postgresql.foo" in (said := lacking("postgresql+foo://me:secret@host/runs") or "")
    assert "secret" not in said


@pytest.mark.parametrize("given", ["", "databricks", "databricks://profile", "https://host", "sqlite:///runs.db"])
def test_what_needs_no_driver_lacks_none(given: str) -> None:
    assert lacking(given) is None
