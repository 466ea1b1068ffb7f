"""`tomogram verify`: check a suite, a tomogram or a signed folder from its files."""

from __future__ import annotations

from pathlib import Path

import typer


def verify(
    folder: Path = typer.Argument(
        ..., help="A sealed suite, a tomogram, or a folder signed by `seal sign`."
    ),
    anchor: Path | None = typer.Option(None, help="The ledger's head, kept elsewhere."),
    stamp: Path | None = typer.Option(None, help="The RFC 3161 response over the anchor."),
    authority: Path | None = typer.Option(None, help="The stamping authority's root, in PEM."),
    identity: list[Path] = typer.Option([], help="Public identity of somebody you trust."),
    key: list[Path] = typer.Option([], help="Key file of a custodian, to check the sealed draws."),
    rerun: bool = typer.Option(False, "--rerun", help="Measure recorded answers again."),
    model: str | None = typer.Option(None, help="The model to measure, with --rerun."),
    opened: list[Path] = typer.Option([], help="Draws of a burnt shard, as `seal burn` wrote."),
    json: bool = typer.Option(False, "--json", help="Print one JSON object instead of text."),
) -> None:
    """Check a suite, a tomogram or a signed folder: reproduced, differs, could not be checked.

    Works offline, without model and key. Exit code 1 where something differs.
    """
    from tomogram.cli.seal import unlocked
    from tomogram.custody import verify as checking
    from tomogram.custody.anchor import read_anchor
    from tomogram.custody.evidence import verify_tomogram
    from tomogram.custody.keys import read_identity
    from tomogram.custody.statement import verify_folder
    from tomogram.store.canonical import canonical_json
    from tomogram.store.errors import TomogramError

    if rerun and not (model and key):
        raise TomogramError("Measuring again needs the model (--model) and every key (--key).")
    if (stamp is None) != (authority is None) or (stamp and not anchor):
        raise TomogramError("A stamp is checked with --anchor, --stamp and --authority together.")
    if not folder.is_dir():
        raise TomogramError(f"There is no folder {folder}.")
    trusted = [read_identity(path) for path in identity]
    if (folder / "suite.json").exists():
        checks = checking.verify_suite(
            folder,
            anchor=read_anchor(anchor) if anchor else None,
            identities=trusted,
            opened=[checking.read_opened(path) for path in opened],
        )
        if anchor and stamp and authority:
            from tomogram.custody.stamp import check_stamp

            checks.append(check_stamp(stamp, anchor, authority))
        keys = [unlocked(path) for path in key]
        if keys and checking.accepted(checks):
            checks += checking.verify_sealed(folder, keys)
        if rerun and model and checking.accepted(checks):
            from tomogram.custody.questions import installed
            from tomogram.models.load import load

            checks += checking.verify_answers(folder, load(model), keys, installed())
    else:
        checks = verify_folder(folder, trusted)
        if (folder / "tomogram.json").exists():
            checks += verify_tomogram(folder)
    if json:
        typer.echo(
            canonical_json(
                {
                    "checks": [
                        {"name": c.name, "outcome": str(c.outcome), "reason": c.reason}
                        for c in checks
                    ]
                }
            )
        )
    else:
        for check in checks:
            typer.echo(f"{check.outcome}: {check.name}: {check.reason}")
    if not checking.accepted(checks):
        raise typer.Exit(1)
