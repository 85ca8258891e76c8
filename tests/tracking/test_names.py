from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pruneproof.tracking import names


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("accuracy/relation/horizontal", "accuracy/relation/horizontal"),
        ("accuracy/colour/red, green (b)", "accuracy/colour/red:2c green :28b:29"),
        ("accuracy/größe", "accuracy/größe"),
        ("50%", "50:25"),
        ("a:2c", "a:3a2c"),
        ("a//b", "a:2f:2fb"),
        ("/a", ":2fa"),
        ("a/", "a:2f"),
        ("../a", ":2e:2e:2fa"),
        (".", ":2e"),
        ("😀", ":f0:9f:98:80"),
        ("a\n", "a:0a"),
        ("", "::"),
    ],
)
def test_what_mlflow_refuses_is_written_as_in_urls_with_a_colon(name: str, key: str) -> None:
    assert names.key(name) == key


names_of_all_kinds = st.text(st.sampled_from("ab/.:,% é\n2c"), max_size=8) | st.text(max_size=400)


@settings(deadline=None)
@given(names_of_all_kinds)
def test_mlflow_accepts_every_key(name: str) -> None:
    validation = pytest.importorskip("mlflow.utils.validation")
    key = names.key(name)
    validation._validate_param(key, "x")
    validation._validate_tag(key, "x")
    validation._validate_metric(key, 1.0, 0, 0)


@given(names_of_all_kinds, names_of_all_kinds)
def test_different_names_have_different_keys(one: str, other: str) -> None:
    assert (names.key(one) == names.key(other)) == (one == other)


def test_names_too_long_differ_by_their_digest() -> None:
    keys = {names.key("x" * 250), names.key("x" * 251), names.key("x" * 252), names.key("x" * 251 + ",")}
    assert len(keys) == 4
    assert {len(key) for key in keys} == {250}
    assert names.run("m" * 300)[:100] == "m" * 100
    assert len(names.experiment("s" * 3000)) == names.EXPERIMENT_LENGTH


def test_a_long_value_says_what_is_missing() -> None:
    assert names.value("x" * 6000, 6000) == "x" * 6000
    cut = names.value("x" * 6001, 6000)
    assert len(cut) == 6000
    assert "(6001 characters, SHA-256 " in cut
    assert cut != names.value("x" * 6000 + "y", 6000)
