"""`tomogram explain`: why a model says this next and not that."""

from __future__ import annotations

import typer


def explain(
    model: str = typer.Argument(help="Hub name, folder or GGUF file."),
    prompt: str = typer.Argument(help="The text before the decision."),
    target: str = typer.Option(None, help="The token to explain; the most probable without it."),
    against: str = typer.Option(None, help="Explain it against this token; the second choice."),
    seed: int = typer.Option(0, help="Decides which edges are sampled."),
    device: str = typer.Option("cpu", help="cpu, cuda or mps."),
    dtype: str = typer.Option("float32", help="Number format of the model: float32 or bfloat16."),
    json: bool = typer.Option(False, "--json", help="Print the explanation as JSON."),
) -> None:
    """Say why the model gives this output and not that one, with every cause measured."""
    from tomogram.pipeline.explaining import explain as run
    from tomogram.store.canonical import readable_json

    found = run(model, prompt, answer=target, other=against, seed=seed, device=device, dtype=dtype)
    typer.echo(readable_json(found) if json else f"{found['text']}\n", nl=False)
