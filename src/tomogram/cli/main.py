"""The app: registers the commands and turns errors into exit codes."""

from __future__ import annotations

import sys

import typer

import tomogram
from tomogram.cli.audit import audit, calibrate
from tomogram.cli.change import change
from tomogram.cli.compare import compare
from tomogram.cli.disclose import disclose
from tomogram.cli.discover import discover
from tomogram.cli.doctor import doctor
from tomogram.cli.evaluate import evaluate
from tomogram.cli.explain import explain
from tomogram.cli.game import game
from tomogram.cli.graph import graph
from tomogram.cli.harvest import harvest
from tomogram.cli.label import label
from tomogram.cli.organism import organism
from tomogram.cli.reference import reference
from tomogram.cli.report import report
from tomogram.cli.scan import scan
from tomogram.cli.seal import app as seal
from tomogram.cli.search import search
from tomogram.cli.selftest import selftest
from tomogram.cli.steer import steer
from tomogram.cli.trace import trace
from tomogram.cli.train import train
from tomogram.cli.treat import treat
from tomogram.cli.verify import verify
from tomogram.cli.view import view
from tomogram.store.errors import TomogramError

app = typer.Typer(
    name="tomogram",
    help="An MRI for AI models: scan an open-weights model and read what is inside.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # half of the time that help took was importing what draws its boxes
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tomogram {tomogram.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """An MRI for AI models: scan an open-weights model and read what is inside."""


# One line a command; each command imports what it needs when it is called.
app.command()(audit)
app.command()(calibrate)
app.command()(change)
app.command()(compare)
app.command()(disclose)
app.command()(discover)
app.command()(doctor)
app.command()(evaluate)
app.command()(explain)
app.add_typer(game, name="game")
app.command()(graph)
app.command()(harvest)
app.command()(label)
app.add_typer(organism, name="organism")
app.add_typer(reference, name="reference")
app.command()(report)
app.command()(scan)
app.add_typer(seal, name="seal")
app.command()(search)
app.command()(selftest)
app.command()(steer)
app.command()(trace)
app.command()(train)
app.command()(treat)
app.command()(verify)
app.command()(view)


def main() -> None:
    """Entry point of the command.

    A `TomogramError` becomes one line on stderr and exit code 2. Typer gives wrong usage exit code
    2 and an interrupt exit code 130. Anything else is a bug and shows its traceback.
    """
    try:
        app()
    except TomogramError as error:
        print(f"tomogram: {error}", file=sys.stderr)
        sys.exit(2)
