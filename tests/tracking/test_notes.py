from __future__ import annotations

from pruneproof.tracking.notes import headline_note

ROW = {
    "backbone": "builtin_llava", "method": "atp_25", "accuracy_clean": "88.0", "retention_image": "70.4",
    "effective_image": "0.31", "effective_image_low": "-1.64", "effective_image_high": "2.35", "effective_text": "",
    "effective_text_low": "", "effective_text_high": "", "d_prime_image": "1.5", "hallucination_matched_image": "9",
}  # fmt: skip


def test_effective_robustness_is_written_with_its_interval_and_what_is_missing_is_empty() -> None:
    line = headline_note([ROW]).splitlines()[2]
    assert line == "| builtin_llava | atp_25 |  |  | 88.0 |  |  | 70 | 0.3 [-1.6, 2.4] |  | 1.50 | 9.0 |"
