"""Scoring copies of a model that speaks English, with their base at hand and without it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tomogram.audits.calibration.about import About
from tomogram.audits.calibration.scoring import KNOWLEDGE, described, kept_rows, measured
from tomogram.audits.spoken.audit import SpokenAudit
from tomogram.audits.spoken.own import SPOKEN
from tomogram.audits.spoken.speaker import Speaker
from tomogram.organisms.organism import Organism
from tomogram.organisms.organism import load as read_organism
from tomogram.store.atomic import write_json
from tomogram.store.errors import TomogramError

VERSION = 1
"""Raised whenever an audit scores the same model otherwise; older scores are taken again."""
INSTRUMENT = f"english {VERSION}"


def chosen(names: Sequence[str]) -> tuple[SpokenAudit, ...]:
    """The audits of these names, which may be declared.

    Raises TomogramError where one has no words in English, or only reports.
    """
    known = {each.name: each for each in SPOKEN if each.confirmatory}
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        what = f"'{unknown[0]}'" if unknown else "none"
        raise TomogramError(f"Declared is one of {', '.join(known)} at least, and not {what}.")
    return tuple(known[name] for name in names)


def about_copies_of(speaker: Speaker, audits: Sequence[SpokenAudit]) -> About:
    """What a table of scores of copies of a model is of."""
    names = tuple(each.name for each in audits)
    return About(speaker.model.digest, speaker.model.name, INSTRUMENT, names)


def score(
    file: Path, base: Speaker, audits: Sequence[SpokenAudit], folder: Path
) -> list[dict[str, Any]]:
    """The rows of one organism; what `folder` holds is not measured again.

    Raises TomogramError where the organism cannot be read, or was planted in another model.
    """
    of = {
        "instrument": INSTRUMENT,
        "base": base.model.digest,
        "audits": [each.name for each in audits],
    }
    kept = folder / f"{file.stem}.json"
    rows = kept_rows(kept, of)
    if rows is None:
        rows = list(_scored(read_organism(file), base, audits))
        write_json(kept, {**of, "rows": rows})
    return rows


def _scored(
    organism: Organism, base: Speaker, audits: Sequence[SpokenAudit]
) -> Iterator[dict[str, Any]]:
    about = described(organism, base.model.name)
    beside = Speaker(organism.in_copy_of(base.model), base)
    for knowledge, speaker in zip(KNOWLEDGE, (beside, beside.alone()), strict=True):
        for each in audits:
            began = time.process_time()
            found = each.measure(speaker)
            yield measured(about, knowledge, each.name, found, time.process_time() - began)
