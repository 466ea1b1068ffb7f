"""`tomogram verify`: check a suite, a tomogram or a signed folder from its files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from tomogram.custody.verify import Check


def verify(
    folder: Path = typer.Argument(
        ..., help="A sealed suite, a tomogram, or a folder signed by `seal sign`."
    ),
    anchor: Path | None = typer.Option(None, help="The ledger's head, kept elsewhere."),
    stamp: Path | None = typer.Option(None, help="The RFC 3161 response over the anchor."),
    authority: Path | None = typer.Option(None, help="The stamping authority's root, in PEM."),
    identity: list[Path] = typer.Option([], help="Public identity of somebody you trust."),
    key: list[Path] = typer.Option([], help="Key file of a custodian, to check the sealed draws."),
    consent: list[Path] = typer.Option(
        [], help="A consent to an act on a shard, in place of that custodian's key."
    ),
    rerun: bool = typer.Option(
        False, "--rerun", help="Measure a suite's answers, or a sample of a tomogram, again."
    ),
    model: str | None = typer.Option(None, help="The model to measure, with --rerun."),
    sample: int = typer.Option(4, min=1, help="Measurements of each kind, with --rerun."),
    seed: int | None = typer.Option(
        None, help="Decides which measurements, with --rerun; a fresh one, which is printed."
    ),
    dictionaries: str | None = typer.Option(
        None, help="Where the dictionaries are, of a scan that brought its own, with --rerun."
    ),
    opened: list[Path] = typer.Option([], help="Draws of a burnt shard, as `seal burn` wrote."),
    suite: list[Path] = typer.Option(
        [], help="A suite whose ledger is held against what a signed folder says of its use."
    ),
    json: bool = typer.Option(False, "--json", help="Print one JSON object instead of text."),
) -> None:
    """Check a suite, a tomogram or a signed folder: reproduced, differs, could not be checked.

    Works offline, without model and key. Exit code 1 where something differs.
    """
    from tomogram.cli.seal import unlocked
    from tomogram.custody import verify as checking
    from tomogram.custody.anchor import read_anchor
    from tomogram.custody.consent import read_consent
    from tomogram.custody.evidence import verify_tomogram
    from tomogram.custody.keys import read_identity
    from tomogram.custody.statement import verify_folder, verify_use
    from tomogram.store.canonical import canonical_json
    from tomogram.store.errors import TomogramError

    if rerun and not model:
        raise TomogramError("Measuring again needs the model (--model).")
    if (stamp is None) != (authority is None) or (stamp and not anchor):
        raise TomogramError("A stamp is checked with --anchor, --stamp and --authority together.")
    if not folder.is_dir():
        raise TomogramError(f"There is no folder {folder}.")
    trusted = [read_identity(path) for path in identity]
    if (folder / "suite.json").exists():
        if rerun and not (key or opened):
            raise TomogramError(
                "Measuring a suite's answers again needs every key (--key), or the draws of a burnt"
                " shard (--opened)."
            )
        contents = [checking.read_opened(path) for path in opened]
        checks = checking.verify_suite(
            folder,
            anchor=read_anchor(anchor) if anchor else None,
            identities=trusted,
            opened=contents,
        )
        if anchor and stamp and authority:
            from tomogram.custody.stamp import check_stamp

            checks.append(check_stamp(stamp, anchor, authority))
        keys, consents = [unlocked(path) for path in key], [read_consent(path) for path in consent]
        if keys and checking.accepted(checks):
            checks += checking.verify_sealed(folder, keys, consents)
        if rerun and model and checking.accepted(checks):
            from tomogram.custody.questions import installed
            from tomogram.models.load import load

            checks += checking.verify_answers(
                folder, load(model), keys, installed(), consents, contents
            )
    else:
        checks = verify_folder(folder, trusted)
        checks += [verify_use(folder, path) for path in suite]
        if (folder / "tomogram.json").exists():
            checks += verify_tomogram(folder)
        if rerun and model:
            if checking.accepted(checks):
                checks += _measured_again(folder, model, seed, sample, dictionaries)
            else:
                reason = "the folder is not what it should be, so nothing was measured again."
                checks.append(checking.Check("rerun", checking.Outcome.UNCHECKED, reason))
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


def _measured_again(
    folder: Path, model: str, seed: int | None, sample: int, dictionaries: str | None
) -> list[Check]:
    """A tomogram's sample, drawn from a seed that is told."""
    from secrets import randbits

    from tomogram.pipeline.rerun.rerun import rerun

    chosen = randbits(32) if seed is None else seed
    typer.echo(f"The sample is drawn from seed {chosen}.", err=True)
    return rerun(folder, model, seed=chosen, sample=sample, dictionaries=dictionaries)
