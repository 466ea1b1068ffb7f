"""`tomogram disclose`: publish what a scan found and how interpretability was used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tomogram.disclosure.facts import Facts


def disclose(
    folders: list[Path] = typer.Argument(
        ..., metavar="DIR", help="A tomogram; with --diff two tomograms or two disclosures."
    ),
    formats: list[str] = typer.Option(
        ["all"],
        "--format",
        help="html, pdf, model-card, cyclonedx, inspect, sarif, eu-form, json or all; repeatable.",
    ),
    ledger: list[Path] = typer.Option(
        [], help="A sealed suite whose use is told; can be given repeatedly."
    ),
    anchor: list[Path] = typer.Option(
        [], help="The head of a suite's ledger, kept elsewhere; in the order of --ledger."
    ),
    identity: list[Path] = typer.Option([], help="Public identity of somebody you trust."),
    statement: Path | None = typer.Option(None, help="What the developer declares, in YAML."),
    findings: Path | None = typer.Option(
        None, help="What `tomogram audit --out` wrote; the folder's own findings.json."
    ),
    day: str | None = typer.Option(None, help="Day of the disclosure; today."),
    out: Path | None = typer.Option(None, help="Folder to write to; NAME.disclosure here."),
    diff: bool = typer.Option(False, "--diff", help="Compare two releases, the earlier first."),
    json: bool = typer.Option(False, "--json", help="Print one JSON object instead of text."),
) -> None:
    """Write a disclosure, or compare two of them with --diff."""
    from tomogram.disclosure.disclose import disclose as write
    from tomogram.store.canonical import canonical_json
    from tomogram.store.errors import TomogramError

    if diff:
        _compare(folders, out, json)
        return
    if len(folders) != 1:
        raise TomogramError("One tomogram is disclosed at a time; --diff compares two.")
    written = write(
        folders[0],
        out,
        formats=formats,
        suites=ledger,
        anchors=anchor,
        identities=identity,
        statement=statement,
        findings=findings,
        day=day,
    )
    if json:
        files = [str(path) for path in written.files]
        typer.echo(canonical_json({"files": files, "left_out": dict(written.left_out)}))
        return
    for path in written.files:
        typer.echo(path)
    for name, reason in written.left_out.items():
        typer.echo(f"left out: {name}: {reason}", err=True)


def _compare(folders: Sequence[Path], out: Path | None, json: bool) -> None:
    from tomogram.disclosure.difference import difference, document
    from tomogram.disclosure.html import html
    from tomogram.store.atomic import write_text
    from tomogram.store.canonical import canonical_json
    from tomogram.store.errors import TomogramError

    if len(folders) != 2:
        raise TomogramError("A comparison takes two tomograms or disclosures, the earlier first.")
    before, after = (_facts(path) for path in folders)
    found = difference(before, after)
    if out is not None:
        write_text(out / "difference.html", html(document(found)))
    if json:
        typer.echo(canonical_json(found.model_dump(mode="json")))
        return
    typer.echo(f"{found.before} → {found.after}; developer: {found.developer}")
    section = ""
    for each in found.changed:
        if each.section != section:
            section = each.section
            typer.echo(section)
        note = f"  [{each.note}]" if each.note else ""
        typer.echo(f"  {each.what}: {each.before} → {each.after}{note}")
    typer.echo(f"{found.compared - len(found.changed)} of {found.compared} things do not differ.")


def _facts(path: Path) -> Facts:
    """The facts of a disclosure's file or folder, or of a tomogram."""
    from tomogram.disclosure.disclose import today
    from tomogram.disclosure.facts import gather, read_facts
    from tomogram.disclosure.formats import FACTS

    if path.is_file():
        return read_facts(path)
    if (path / FACTS).is_file():
        return read_facts(path / FACTS)
    return gather(path, made=today())
