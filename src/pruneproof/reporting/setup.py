"""What the page says about where its numbers come from: commit, date, versions, machine, seeds, digests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pruneproof import files
from pruneproof.errors import PruneProofError
from pruneproof.plurals import number_of
from pruneproof.provenance import Commit, commit_of, folder_digest
from pruneproof.reporting.report import Report
from pruneproof.reporting.score_name import score_name

DIGITS = 16
"""Of a digest that are shown."""


def setup(report: Report) -> dict[str, str]:
    """Headings and what stands beside them; without what is unknown."""
    study, scoring = report.study, report.study.scoring
    found = {
        "Commit": _commit(commit_of(report.folders.study / study.study.root)),
        "Scored on": _date(report),
        "Seed": f"{study.study.seed}, from which images, corruptions, rewordings, random choices and resamples derive",
        "Resolution of corruptions": _resolution(report),
        "Statistics": f"{scoring.resamples} resamples of images, {100 * scoring.confidence:g}% intervals",
        "Baseline": scoring.baseline,
        "Benchmark": _benchmark(report),
        **_card(report),
        "What accuracy is": _accuracy(report),
        "Questions answered": _unanswered(report),
        "Primary methods": ", ".join(scoring.primary),
        "Versions": _versions(report),
    }
    found |= _decodings(report)
    found |= {_heading(key): str(value) for key, value in sorted(report.machine.items()) if key != "torch"}
    found |= {f"Digest of {name}": digest[:DIGITS] for name, digest in _digests(report).items()}
    return {heading: text for heading, text in found.items() if text}


def _resolution(report: Report) -> str:
    """`native`, or `model, shorter side 224 pixels`: at what size pictures were corrupted."""
    image = report.study.perturbations.image
    side = f", shorter side {image.model_pixels} pixels" if image.resolution == "model" else ""
    return f"{image.resolution}{side}"


def _benchmark(report: Report) -> str:
    """Name, options, and what was left out of it."""
    path, settings = report.folders.benchmark / "manifest.json", report.study.benchmark
    left_out = len(files.read_json(path).get("left_out", ())) if path.exists() else 0
    what = "line, file or picture is left out" if left_out == 1 else "lines, files or pictures are left out"
    options = ", ".join(f"{name}: {value}" for name, value in settings.options.items())
    note = f"; {left_out} faulty {what}, which its manifest.json lists" if left_out else ""
    return settings.name + (f" ({options})" if options else "") + note


def _card(report: Report) -> dict[str, str]:
    """Whose benchmark it is, and how it is scored, as its card says."""
    path = report.folders.benchmark / "manifest.json"
    card = files.read_json(path).get("card", {}) if path.exists() else {}
    return {f"Benchmark: {key.replace('_', ' ')}": str(text) for key, text in card.items()}


def _unanswered(report: Report) -> str:
    """Image conditions under which fewer questions were answered than on clean pictures."""
    table = report.summary
    own = table[(table["method"] == report.baseline) & (table["metric"] == "accuracy/all")]
    clean = {row["backbone"]: row["n"] for row in own[own["family"] == "clean"].to_dict("records")}
    rows = own[(own["family"] == "image") & own["severity"].astype(str).str.isdigit()].to_dict("records")
    fewer = [row for row in rows if row["n"] < clean.get(row["backbone"], 0)]
    if not fewer:
        return ""
    first = fewer[0]
    example = f"{first['perturbation']}_{first['severity']}, {int(first['n'])} of {int(clean[first['backbone']])}"
    where = f"{len(fewer)} of {number_of(len(rows), 'image condition')} ({example})"
    return (
        f"fewer than on clean pictures under {where}, because some pictures "
        "could not be corrupted; drops and differences compare the same questions"
    )


def _decodings(report: Report) -> dict[str, str]:
    """How each backbone was asked and decoded, in one line."""
    path = report.folders.scores / "decoding.json"
    stored = files.read_json(path) if path.exists() else {}
    return {f"Decoding of {name}": _decoding(stored[name]) for name in report.backbones if name in stored}


def _decoding(said: dict[str, Any]) -> str:
    lengths = f"at most {number_of(said['max_new_tokens'], 'token')} an answer, {said['max_caption_tokens']} a caption"
    parts = [f"{said['search']}, {lengths}, answers converted by `{said['answer_conversion']}`"]
    if "prompt" in said:
        authors = said["authors"]
        parts.append(f"prompt `{said['prompt']}` ({authors['title']}; {'; '.join(authors['sources'])})")
        otherwise = "; ".join(authors["otherwise_here"])
        parts.append(f"otherwise than its authors: {otherwise}" if otherwise else "as its authors do")
    return "; ".join(parts)


def _accuracy(report: Report) -> str:
    """Said only where it is no share of right answers: where nothing but captions is asked."""
    name = score_name(report)
    return "" if name == "accuracy" else f"{name}: nothing but captions is asked"


def _heading(key: str) -> str:
    return key.replace("_", " ").capitalize()


def _commit(commit: Commit | None) -> str:
    if commit is None:
        return ""
    return f"{commit.name} of {commit.date}" + (", with changes that are not committed" if commit.dirty else "")


def _date(report: Report) -> str:
    """Day on which the scores were written: a run of the report alone leaves it as it is."""
    written = (report.folders.scores / "summary.csv").stat().st_mtime
    return datetime.fromtimestamp(written, UTC).date().isoformat()


def _versions(report: Report) -> str:
    """Versions of the packages that answers depend on, from the manifest of the first backbone."""
    try:
        manifest: dict[str, Any] = files.read_json(report.folders.manifest_of(report.backbones[0]))
        return ", ".join(f"{name} {version}" for name, version in sorted(manifest["packages"].items()))
    except (PruneProofError, KeyError, AttributeError, TypeError):
        return f"torch {report.machine['torch']}" if "torch" in report.machine else ""


def _digests(report: Report) -> dict[str, str]:
    folders = report.folders
    found = {"the benchmark": folder_digest(folders.benchmark)}
    found |= {f"the answers of {name}": folder_digest(folders.answers / name) for name in report.backbones}
    return found | {"the scores": folder_digest(folders.scores)}
