"""Check that a tomogram's folder holds the evidence its manifest lists."""

from __future__ import annotations

from pathlib import Path

from tomogram.custody.verify import Check, Outcome
from tomogram.store.digest import digest_file
from tomogram.store.errors import TomogramError
from tomogram.store.schema import parse_manifest


def verify_tomogram(folder: Path) -> list[Check]:
    """Check tomogram.json against its schema and every file of evidence against its digest.

    Without a signature this finds damage, not forgery: whoever changes a file can change the
    manifest, too.
    """
    try:
        manifest = parse_manifest((folder / "tomogram.json").read_bytes())
    except OSError:
        return [Check("schema", Outcome.UNCHECKED, f"there is no tomogram.json in {folder}.")]
    except TomogramError as error:
        return [Check("schema", Outcome.DIFFERS, str(error))]
    schema = Check("schema", Outcome.REPRODUCED, "tomogram.json fits its schema.")
    wrong = [name for name, digest in manifest.files.items() if not _same(folder / name, digest)]
    if wrong:
        shown = ", ".join(sorted(wrong)[:3]) + (" and more" if len(wrong) > 3 else "")
        return [schema, Check("evidence", Outcome.DIFFERS, f"changed or missing: {shown}.")]
    reason = f"all {len(manifest.files)} files are those that tomogram.json lists."
    return [schema, Check("evidence", Outcome.REPRODUCED, reason)]


def _same(path: Path, digest: str) -> bool:
    try:
        return digest_file(path) == digest
    except TomogramError:
        return False
