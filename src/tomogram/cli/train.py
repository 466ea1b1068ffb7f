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
        "transcoder.3, transcoder or skip_transcoder for the MLPs; crosscoder for the residual "
        "stream of all layers at once; cross_layer_transcoder for all MLPs at once.",
    ),
    kind: str = typer.Option(
        "topk", help="One or more of topk, batch_topk, matryoshka, jumprelu, gated, relu."
    ),
    latents: str = typer.Option(
        "", help="Latents of each, one number or more; 8 times the width without it."
    ),
    k: str = typer.Option(
        "32", help="Latents that fire on a token, one number or more (not for gated and relu)."
    ),
    second: str = typer.Option(
        None, help="Another model: dictionaries are then crosscoders over both at a site."
    ),
    sparsity: float = typer.Option(0.03, help="Weight of the penalty of gated and relu."),
    tokens: int = typer.Option(None, help="At most so many tokens of the text; all without it."),
    context: int = typer.Option(256, help="Tokens in a row, where the model reads as many."),
    epochs: int = typer.Option(1, help="How often the text is read."),
    batch: int = typer.Option(1_024, help="Tokens in a step."),
    buffer: int = typer.Option(65_536, help="Tokens mixed with each other."),
    rate: float = typer.Option(
        None, help="Highest learning rate; 0.32 over the root of the latents without it."
    ),
    seed: int = typer.Option(0, help="Decides every random choice."),
    field: str = typer.Option("text", help="Column or JSON field that holds the text."),
    device: str = typer.Option("cpu", help="cpu, cuda or mps."),
    dtype: str = typer.Option("float32", help="Number format of the model: float32 or bfloat16."),
    shards: int = typer.Option(
        1, help="Under torchrun: into how many shards the latents are cut; 1 cuts batches alone."
    ),
    producers: int = typer.Option(
        0, help="Under torchrun: so many processes only run the model; 0 lets all do."
    ),
    timeout: float = typer.Option(
        600.0, help="Under torchrun: seconds after which a silent process counts as lost."
    ),
    log: str = typer.Option(
        "", help="Comma-separated: tensorboard, trackio, wandb; written below OUT/logs."
    ),
    json: bool = typer.Option(False, "--json", help="Print what was trained as JSON."),
) -> None:
    """Train dictionaries at places of a model and save them in formats that other tools read.

    Interrupted, it goes on where it stopped when called again, to the same weights. Under torchrun
    (torchrun --nproc-per-node 2 -m tomogram train ...) all processes train together.
    """
    import os

    from tomogram.dictionaries.dictionary import names_of
    from tomogram.pipeline.training import Order, Split
    from tomogram.pipeline.training import train as run
    from tomogram.store.canonical import Json, readable_json

    order = Order(
        kind=_words(kind),
        places=_words(at),
        latents=_numbers(latents, "--latents") or None,
        k=_numbers(k, "--k"),
        sparsity=sparsity,
        epochs=epochs,
        batch_tokens=batch,
        buffer_tokens=buffer,
        learning_rate=rate,
        seed=seed,
    )
    found = run(
        model,
        text,
        out,
        order,
        second=second,
        tokens=tokens,
        context=context,
        field=field,
        device=device,
        dtype=dtype,
        split=Split(shards, producers, timeout),
        log=_words(log),
    )
    if os.environ.get("RANK", "0") != "0":
        return
    if json:
        listed: list[Json] = [
            {"name": name, "kind": d.kind, "latents": d.d_dict, "width": d.d_in}
            for name, d in zip(names_of(found.dictionaries), found.dictionaries, strict=True)
        ]
        typer.echo(readable_json({"tokens": found.tokens, "dictionaries": listed}), nl=False)
    else:
        typer.echo(
            f"{len(found.dictionaries)} dictionaries trained on {found.tokens:,} tokens, "
            f"{order.epochs} times: {found.folder}"
        )


def _words(text: str) -> tuple[str, ...]:
    return tuple(filter(None, map(str.strip, text.split(","))))


def _numbers(text: str, option: str) -> tuple[int, ...]:
    try:
        return tuple(map(int, _words(text)))
    except ValueError:
        raise typer.BadParameter(f"{option} takes whole numbers, not {text!r}.") from None
