"""How the VQA family of scripts strips punctuation; they share the steps and differ in two patterns."""

from __future__ import annotations

import re

MARKS = ';/[]"{}()=+\\_-><@`,?!'
"""The 21 marks; apostrophe, colon, $, %, & and * stay."""

_MOST_STOPS = 32
"""Full stops that are stripped at most: the scripts pass `re.UNICODE`, 32, where `re.sub` expects a count."""


def strip_marks(text: str, comma: re.Pattern[str], stop: re.Pattern[str]) -> str:
    """The text without punctuation.

    A mark is deleted wherever it stands if the text has it next to a blank anywhere, or if `comma` is found anywhere;
    else each one becomes a blank. Full stops that match `stop` are deleted afterwards, up to 32 of them.

    Args:
        text: as it is.
        comma: a comma between digits.
        stop: a full stop that is no decimal point.
    """
    inside = {mark for mark in MARKS if mark in text}
    delete_all = "," in inside and comma.search(text) is not None
    table = {ord(mark): None if delete_all or f"{mark} " in text or f" {mark}" in text else " " for mark in inside}
    return stop.sub("", text.translate(table), count=_MOST_STOPS)
