"""`tomogram audit` and `tomogram calibrate`: is something wrong, and how often is that wrong?"""

from __future__ import annotations

from pathlib import Path

import typer


def audit(
    model: str = typer.Argument(help="Folder of the model."),
    base: str = typer.Option(None, help="The trusted model it was made from."),
    calibration: Path = typer.Option(None, help="scores.parquet of `tomogram calibrate`."),
    base_name: str = typer.Option(None, help="Whose clean copies of it to compare with."),
    declare: str = typer.Option(None, help="The audits that count, separated by commas."),
    out: Path = typer.Option(None, help="File for findings.json."),
    json: bool = typer.Option(False, "--json", help="Print the findings as one JSON object."),
) -> None:
    """Run every audit; without clean copies of the model's base all abstain, with raw scores.

    Clean copies of the reference model ("microworld") are part of the installation. Each audit that
    counts needs twenty of them, less one in all; with --declare fewer audits count.
    """
    from tomogram.models.load import load
    from tomogram.pipeline.auditing import audit as run
    from tomogram.pipeline.auditing import write_findings
    from tomogram.store.canonical import readable_json

    loaded = load(model)
    findings = run(
        loaded,
        base=base,
        calibration=calibration,
        base_name=base_name,
        declared=declare.split(",") if declare else None,
    )
    if out is not None:
        write_findings(findings, loaded, out)
    if json:
        typer.echo(readable_json([each.as_json() for each in findings]), nl=False)
        return
    width = max(len(each.verdict.audit) for each in findings)
    for each in findings:
        verdict = each.verdict
        score = "" if verdict.score is None else f"score {verdict.score:+.2f}  "
        told = each.measurement.says if verdict.said != "NO FINDING" else ""
        typer.echo(f"{verdict.audit:<{width}}  {verdict.text}  {score}{told}".rstrip())


def calibrate(
    model: str = typer.Argument(help="Folder of the model to calibrate on."),
    out: Path = typer.Option(..., help="Folder for organisms, scores and scores.parquet."),
    families: str = typer.Option(None, help="Families, separated by commas; all without it."),
    recipes: str = typer.Option("lora-demonstrations", help="Recipes, separated by commas."),
    doses: str = typer.Option("1.0,0.3", help="Doses, separated by commas."),
    seeds: int = typer.Option(None, help="Variants of each family; 2, and 12 in English."),
    clean: int = typer.Option(
        None, help="Further clean copies, beside one sham a variant; as many as shams without it."
    ),
    audits: str = typer.Option(None, help="Declared audits, separated by commas."),
    shard: str = typer.Option("1/1", help="Do this part of the rounds, such as 2/4."),
) -> None:
    """Plant problems and clean copies in this very model, and score audits on them.

    A model that speaks English has families, doses and clean copies of its own; --seeds and
    --audits alone matter to it. The same command goes on with a run that was stopped.
    """
    from json import loads

    from tomogram.cli.organism import numbers
    from tomogram.pipeline.calibrating import Shard
    from tomogram.pipeline.calibrating import calibrate as run

    table = run(
        model,
        out,
        families=families.split(",") if families else None,
        recipes=recipes.split(","),
        doses=numbers(doses),
        seeds=seeds,
        clean=clean,
        audits=audits.split(",") if audits else None,
        shard=Shard.parse(shard),
    )
    for knowledge, found in loads((table.parent / "calibration.json").read_text()).items():
        typer.echo(knowledge)
        for name, each in found.items():
            down = each["minimum_detectable_strength"]
            told = "not known" if down is None else f"{down:.2f}"
            copies = f"{each['clean_copies']} clean copies of {each['needed']} needed"
            typer.echo(f"  {name:<18}  {copies}, detectable strength {told}")
    typer.echo(table)
