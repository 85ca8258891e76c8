"""The claims' page tells a reader what must be known."""

from __future__ import annotations

import dataclasses

import pytest

from pruneproof.reporting.documents import claims_page, judgements
from pruneproof.reporting.report import Report
from pruneproof.reporting.tables import tables


@pytest.mark.parametrize("mismatch", [False, True])
def test_a_text_tower_that_does_not_match_is_called_so(report: Report, mismatch: bool) -> None:
    backbones = {
        name: chosen.model_copy(update={"allow_tower_mismatch": mismatch})
        for name, chosen in report.study.backbones.items()
    }
    changed = dataclasses.replace(report, study=report.study.model_copy(update={"backbones": backbones}))
    page = claims_page(changed, judgements(changed), tables(changed))
    assert ("text tower does not match the vision tower" in page) is mismatch
