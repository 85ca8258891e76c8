"""Whether what is installed can open a database; nothing here imports MLflow or reaches for the database."""

from __future__ import annotations

from shlex import quote

from pruneproof.tracking import address

_PACKAGES = {
    "MySQLdb": "mysqlclient",
    "mysql": "mysql-connector-python",
    "psycopg": "psycopg[binary]",
    "psycopg2": "psycopg2-binary",
    "pysqlcipher3": "sqlcipher3",
}
"""Modules that are installed under another name."""


def lacking(given: str) -> str | None:
    """What is to be installed before a database can be opened; None for nothing, and for what is no database.

    Args:
        given: a well-formed address, as of `address.malformed`.
    """
    if "://" not in given or address.is_server(given) or given.lower().startswith("databricks"):
        return None
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        make_url(given).get_dialect().import_dbapi()
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        package = _PACKAGES.get(module, module)
        return f"the package {package} is missing: `pip install {quote(package)}`"
    except (ArgumentError, ImportError) as error:  # no such driver, or one that lacks a library of its own
        return address.reason(error)
    return None
