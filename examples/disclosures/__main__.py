"""Make everything in docs/examples again, from two finished scans.

    python -m examples.disclosures --microworld DIR --smollm2 DIR --work DIR [--findings FILE]

The reference model is asked about through a sealed suite between two custodians, which takes some
minutes of one core and is kept in `--work`, so that a second run finds it; its audits are run where
neither `--findings` nor the scan holds any. Nothing is written into the scans. The statement of the
developers is docs/examples/microworld/statement.yaml.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from examples.disclosures.custody import Machines, identity_path, key_of, use_suite
from tomogram.custody.budget import Terms
from tomogram.custody.questions.forbidden_recognised import ForbiddenRecognised
from tomogram.custody.statement import FILE, sign_folder, use_of
from tomogram.disclosure.disclose import disclose
from tomogram.disclosure.facts import FINDINGS
from tomogram.models.load import load
from tomogram.reference import shipped
from tomogram.store.errors import TomogramError

ROOT = Path(__file__).parents[2]
TERMS = Terms(clusters=400, width=0.15, delta=0.05, alarms=3, noise=0.02)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m examples.disclosures")
    parser.add_argument(
        "--microworld", type=Path, required=True, help="scan of the reference model"
    )
    parser.add_argument("--smollm2", type=Path, required=True, help="the scan of SmolLM2")
    parser.add_argument("--work", type=Path, required=True, help="keeps suite, keys and findings")
    parser.add_argument("--findings", type=Path, help="what `tomogram audit --out` wrote")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "examples")
    parser.add_argument("--day", help="day of the disclosure; today")
    options = parser.parse_args(arguments)
    machines = _suite(options.work)
    findings = options.findings or _findings(options.microworld, options.work)
    signed = _signed(options.microworld, options.work, machines)
    microworld, smollm2 = options.out / "microworld", options.out / "smollm2"
    identities = [identity_path(each) for each in (machines.auditor, machines.developer)]
    written = [
        disclose(
            signed,
            microworld,
            suites=[machines.copy],
            anchors=[machines.anchor],
            identities=identities,
            statement=microworld / "statement.yaml",
            findings=findings,
            day=options.day,
        ),
        disclose(options.smollm2, smollm2, day=options.day),
    ]
    _publish(machines, identities, findings, signed, microworld)
    for each in written:
        for name, reason in each.left_out.items():
            raise TomogramError(f"The examples need every format; {name} was left out: {reason}")
        print(*each.files, sep="\n")


def _suite(work: Path) -> Machines:
    siblings = shipped.siblings(ROOT / "bases")
    models = {"earlier": siblings[0], "dropped": siblings[1], "released": shipped.path()}
    subjects = {name: load(str(path)) for name, path in models.items()}
    return use_suite(work / "custody", ForbiddenRecognised(), TERMS, subjects)


def _findings(scan: Path, work: Path) -> Path:
    """The scan's own findings, or those of an audit of the reference model, which is run once."""
    if (scan / FINDINGS).exists():
        return scan / FINDINGS
    path = work / FINDINGS
    if not path.exists():
        command = [sys.executable, "-m", "tomogram", "audit", str(shipped.path())]
        subprocess.run([*command, "--out", str(path)], check=True)
    return path


def _signed(scan: Path, work: Path, machines: Machines) -> Path:
    """The scan as the developer signs it, by links; the scan itself is left as it is."""
    folder = work / "signed" / "microworld.tomogram"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(scan, folder, copy_function=_link, ignore=shutil.ignore_patterns(FILE))
    sign_folder(folder, [use_of(machines.copy)], key_of(machines.developer))
    return folder


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def _publish(
    machines: Machines, identities: Sequence[Path], findings: Path, signed: Path, out: Path
) -> None:
    """What a reader needs to check the ledger: the suite without shards, the anchor, identities."""
    suite = out / "suite"
    shutil.rmtree(suite, ignore_errors=True)
    shutil.copytree(machines.copy, suite, ignore=shutil.ignore_patterns("*.sqlite*"))
    for path in (machines.anchor, *identities, signed / FILE):
        shutil.copyfile(path, out / path.name)
    if findings.resolve() != (out / "findings.json").resolve():
        shutil.copyfile(findings, out / "findings.json")


if __name__ == "__main__":
    main()
