"""`tomogram harvest`: write a model's activations over a text to files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from tomogram.models.model import Model
    from tomogram.models.sites import Site

GIB = 1 << 30


def harvest(
    model: str = typer.Argument(help="Hub name, folder or GGUF file."),
    text: str = typer.Option(help="Text to read: a file, a folder or hf:DATASET."),
    out: Path = typer.Option(help="Folder to write."),
    sites: str = typer.Option(
        "resid_post,mlp_out",
        help="Comma-separated sites, such as resid_post.3; without a layer, that of every layer.",
    ),
    tokens: int = typer.Option(None, help="At most so many tokens; the whole text without it."),
    context: int = typer.Option(None, help="Tokens in a row; what the model reads at most."),
    field: str = typer.Option("text", help="Column or JSON field that holds the text."),
    store: str = typer.Option(None, help="float32, bfloat16 or float16; the model's without it."),
    memory: float = typer.Option(1.0, help="GiB of activations held at once, beside the model."),
    shard: float = typer.Option(1.0, help="GiB in a file, about."),
    device: str = typer.Option("cpu", help="cpu, cuda or mps."),
    dtype: str = typer.Option("float32", help="Number format of the model: float32 or bfloat16."),
    json: bool = typer.Option(False, "--json", help="Print the manifest instead of a summary."),
) -> None:
    """Write a model's activations over a text to sharded safetensors.

    Interrupted, it goes on where it stopped when called again.
    """
    from tomogram.activations.harvest import harvest as run
    from tomogram.models.load import load
    from tomogram.store.canonical import readable_json
    from tomogram.text.packing import pack
    from tomogram.text.sources import read_documents

    loaded = load(model, device=device, dtype=dtype)
    wanted = named_sites(loaded, sites)
    documents = read_documents(text, field=field)
    packed = pack(documents, loaded.tokenizer, context or loaded.context, tokens)
    found = run(
        loaded,
        packed,
        wanted,
        out,
        dtype=store,
        memory=int(memory * GIB),
        shard_bytes=int(shard * GIB),
    )
    if json:
        typer.echo(readable_json(found.manifest.model_dump(mode="json")), nl=False)
    else:
        typer.echo(
            f"{packed.n_tokens:,} tokens at {len(found.sites)} sites in "
            f"{len(found.manifest.shards)} files: {out}"
        )


def named_sites(model: Model, names: str) -> list[Site]:
    """The sites of a comma-separated list; a kind without its layer stands for every layer's.

    Raises TomogramError for a name that is no site, and for a site or kind the model lacks.
    """
    from tomogram.models.named import sites_named

    listed = filter(None, map(str.strip, names.split(",")))
    return [site for name in listed for site in sites_named(model, name)]
