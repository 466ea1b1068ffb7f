"""`tomogram train`: dictionaries for a model, from a text."""

from __future__ import annotations

from pathlib import Path

import typer


def train(
    model: str = typer.Argument(help="Hub name, folder or GGUF file."),
    text: str = typer.Option(help="Text to read: a file, a folder or hf:DATASET."),
    out: Path = typer.Option(help="Folder to write."),
    at: str = typer.Option(
        "resid_post",
        help="Comma-separated places: resid_post.3, or resid_post for every layer; "
        "transcoder.3 or transcoder for the MLPs.",
    ),
    kind: str = typer.Option("topk", help="topk, batch_topk, matryoshka, jumprelu, gated or relu."),
    latents: int = typer.Option(None, help="Latents of each; 8 times the width without it."),
    k: int = typer.Option(32, help="Latents that fire on a token (not for gated and relu)."),
    sparsity: float = typer.Option(0.03, help="Weight of the penalty of gated and relu."),
    tokens: int = typer.Option(None, help="At most so many tokens of the text; all without it."),
    context: int = typer.Option(256, help="Tokens in a row, where the model reads as many."),
    epochs: int = typer.Option(1, help="How often the text is read."),
    batch: int = typer.Option(1_024, help="Tokens in a step."),
    buffer: int = typer.Option(65_536, help="Tokens mixed with each other."),
    rate: float = typer.Option(6e-3, help="Highest learning rate."),
    seed: int = typer.Option(0, help="Decides every random choice."),
    field: str = typer.Option("text", help="Column or JSON field that holds the text."),
    device: str = typer.Option("cpu", help="cpu, cuda or mps."),
    dtype: str = typer.Option("float32", help="Number format of the model: float32 or bfloat16."),
    json: bool = typer.Option(False, "--json", help="Print what was trained as JSON."),
) -> None:
    """Train dictionaries at places of a model and save them in formats that other tools read.

    Interrupted, it goes on where it stopped when called again, to the same weights.
    """
    from tomogram.models.load import load
    from tomogram.pipeline.training import Order, ordered
    from tomogram.pipeline.training import train as run
    from tomogram.store.canonical import Json, readable_json
    from tomogram.text.packing import pack
    from tomogram.text.sources import read_documents

    loaded = load(model, device=device, dtype=dtype)
    order = Order(
        kind=kind,
        places=tuple(filter(None, map(str.strip, at.split(",")))),
        latents=latents,
        k=k,
        sparsity=sparsity,
        epochs=epochs,
        batch_tokens=batch,
        buffer_tokens=buffer,
        learning_rate=rate,
        seed=seed,
    )
    ordered(loaded, order)  # says what is wrong before a text is read
    documents = read_documents(text, field=field)
    packed = pack(documents, loaded.tokenizer, min(context, loaded.context), tokens)
    found = run(loaded, packed, out, order)
    if json:
        listed: list[Json] = [
            {"name": d.name, "kind": d.kind, "latents": d.d_dict, "width": d.d_in} for d in found
        ]
        typer.echo(readable_json({"tokens": packed.n_tokens, "dictionaries": listed}), nl=False)
    else:
        typer.echo(
            f"{len(found)} dictionaries trained on {packed.n_tokens:,} tokens, "
            f"{order.epochs} times: {out / 'dictionaries'}"
        )
