"""`tomogram evaluate`: how good dictionaries are, on held-out text."""

from __future__ import annotations

import typer


def evaluate(
    dictionaries: str = typer.Argument(
        help="A folder of dictionaries, or OWNER/NAME (or a folder in it) on the Hub."
    ),
    model: str = typer.Option(
        None, help="Hub name, folder or GGUF file; the shipped reference model without it."
    ),
    text: str = typer.Option(
        None,
        help="Text they were not trained on: a file, a folder, hf:DATASET or microworld.",
    ),
    tokens: int = typer.Option(100_000, help="Tokens of the text, half of them measured."),
    context: int = typer.Option(256, help="Tokens in a row, where the model reads as many."),
    rows: int = typer.Option(48, help="Rows on which the rise in loss is measured."),
    labels: int = typer.Option(96, help="At most so many labels are probed."),
    label_tokens: int = typer.Option(20_000, help="Tokens of each half on which they are."),
    field: str = typer.Option("text", help="Column or JSON field that holds the text."),
    device: str = typer.Option("cpu", help="cpu, cuda or mps."),
    dtype: str = typer.Option("float32", help="Number format of the model: float32 or bfloat16."),
    seed: int = typer.Option(0, help="Decides every random choice."),
    allow_pickle: bool = typer.Option(
        False, help="Accept pickled weights of model and dictionaries (read weights-only)."
    ),
    json: bool = typer.Option(False, "--json", help="Print one JSON object instead of a table."),
) -> None:
    """Measure dictionaries without a judge, every figure with its interval and beside baselines.

    The headline is the rise in loss, one dictionary at a time and all at once.
    """
    from tomogram.evaluation.records import evaluation_json
    from tomogram.evaluation.table import table
    from tomogram.pipeline.evaluation import Extent
    from tomogram.pipeline.evaluation import evaluate as run

    found = run(
        dictionaries,
        model=model,
        text=text,
        extent=Extent(
            tokens=tokens, context=context, rows=rows, labels=labels, label_tokens=label_tokens
        ),
        seed=seed,
        field=field,
        device=device,
        dtype=dtype,
        allow_pickle=allow_pickle,
    )
    if json:
        typer.echo(evaluation_json(found), nl=False)
    else:
        typer.echo(table(found))
