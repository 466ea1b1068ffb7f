"""`tomogram report`: write a finished scan's page again."""

from __future__ import annotations

from pathlib import Path

import typer


def report(
    folder: Path = typer.Argument(help="Folder of a finished scan.", metavar="DIR"),
) -> None:
    """Write the page of a finished scan again, without running anything of the scan."""
    from tomogram.report.page import write_report

    typer.echo(write_report(folder))
