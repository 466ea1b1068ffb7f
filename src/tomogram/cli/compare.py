"""`tomogram compare`: what got worse between two scans, as an exit code for CI."""

from __future__ import annotations

import typer


def compare(
    first: str = typer.Argument(help="A scan's folder, or a findings.json: what was."),
    second: str = typer.Argument(help="The same of the model as it is now."),
    fail_on: str = typer.Option(
        "",
        help="Kinds whose regressions give exit code 1, separated by commas: finding, abstention, "
        "coverage, labels, loss, concepts.",
    ),
    json: bool = typer.Option(False, "--json", help="Print one JSON object instead of lines."),
) -> None:
    """Set two scans side by side; exit code 1 where a kind named by --fail-on got worse."""
    from tomogram.pipeline.comparing import compare as run
    from tomogram.store.canonical import readable_json

    found = run(first, second)
    failed = found.regressions([each for each in fail_on.split(",") if each])
    if json:
        typer.echo(readable_json({**found.as_json(), "failed": len(failed)}), nl=False)
    else:
        for each in found.moved:
            mark = "worse" if each.worse else ""
            typer.echo(
                f"{each.kind:<10}  {each.name}: {each.before} → {each.after}  {mark}".rstrip()
            )
        for reason in found.skipped:
            typer.echo(f"not compared: {reason}")
    if failed:
        raise typer.Exit(1)
