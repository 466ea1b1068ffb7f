"""`tomogram game`: find out whether something is planted in a model that you know nothing of."""

from __future__ import annotations

from pathlib import Path

import typer

game = typer.Typer(help="Play the audits: a model with a sealed answer.", no_args_is_help=True)


@game.command()
def new(
    out: Path = typer.Option(..., help="New folder for the model and the sealed answer."),
    base: str = typer.Option(None, help="The model to plant in; the shipped one without it."),
    key: Path = typer.Option(None, help="File for the seal's key; beside the folder without it."),
) -> None:
    """Deal a model: an organism or, as often, a clean copy. Prints the commitment alone."""
    from tomogram.pipeline.gaming import deal, read
    from tomogram.reference import path

    opens = key if key is not None else _beside(out)
    deal(base or path(), out, opens)
    typer.echo(f"model       {out / 'model'}")
    typer.echo(f"commitment  {read(out)['commitment']}")
    typer.echo(f"key         {opens} (not for whoever plays)")


@game.command()
def answer(
    folder: Path = typer.Argument(help="The dealt folder."),
    by: str = typer.Option(..., help="Who answers: a person, a script, another tool."),
    family: str = typer.Option(..., help="The family that is planted, or 'nothing'."),
    sure: float = typer.Option(..., help="The chance, from 0 to 1, that anything is planted."),
    key: Path = typer.Option(None, help="The seal's key; beside the folder without it."),
    base: str = typer.Option(None, help="The trusted base, for the audits' own answer."),
    calibration: Path = typer.Option(None, help="scores.parquet instead of the shipped one."),
    json: bool = typer.Option(False, "--json", help="Print one JSON object instead of lines."),
) -> None:
    """Write an answer down, open the seal, and score it beside the audits on the same model."""
    from dataclasses import asdict

    from tomogram.pipeline import gaming
    from tomogram.store.canonical import Json, readable_json

    given = gaming.Answer(by, family, sure)
    beside = gaming.audited(folder, base, calibration)
    mine, truth = gaming.answer(folder, key if key is not None else _beside(folder), given)
    scores = [mine] if beside is None else [mine, gaming.score(beside, truth)]
    if json:
        told: dict[str, Json] = {"truth": truth, "scores": [asdict(each) for each in scores]}
        typer.echo(readable_json(told), nl=False)
        return
    typer.echo(f"planted  {truth['family']} {truth['answer'] or ''}".rstrip())
    for each in scores:
        named = "" if each.named is None else f", family {'right' if each.named else 'wrong'}"
        right = "right" if each.detected else "wrong"
        typer.echo(f"{each.by:<8} {right}{named}, Brier {each.brier:.2f}")


def _beside(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.key")
