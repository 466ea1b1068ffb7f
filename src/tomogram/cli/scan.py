"""`tomogram scan`: look inside a model and write a report."""

from __future__ import annotations

from pathlib import Path

import typer


def scan(
    model: str = typer.Argument(
        None, help="Hub name, folder or GGUF file; the shipped reference model without it."
    ),
    text: str = typer.Option(
        None, help="Text to read: a file, a folder, hf:DATASET; without it, sampled from the model."
    ),
    out: Path = typer.Option(None, help="Folder to write; NAME.tomogram without it."),
    plan: str = typer.Option("standard", help="How thorough: quick, standard or deep."),
    dictionaries: str = typer.Option(
        None, help="Scan with existing dictionaries: a folder, or OWNER/NAME (or a folder in it)."
    ),
    device: str = typer.Option("cpu", help="cpu, cuda or mps."),
    dtype: str = typer.Option("float32", help="float32 or bfloat16."),
    seed: int = typer.Option(0, help="Decides every random choice."),
    allow_pickle: bool = typer.Option(
        False, help="Accept pickled weights of model and dictionaries (read weights-only)."
    ),
    json: bool = typer.Option(False, "--json", help="Print tomogram.json instead of a summary."),
) -> None:
    """Look inside a language model and write a tomogram: evidence and a report.

    Interrupted, it goes on where it stopped when called again.
    """
    from tomogram.pipeline.scan import scan as run
    from tomogram.store.schema import manifest_bytes

    found = run(
        model,
        text=text,
        out=out,
        plan=plan,
        dictionaries=dictionaries,
        device=device,
        dtype=dtype,
        seed=seed,
        allow_pickle=allow_pickle,
    )
    if json:
        typer.echo(manifest_bytes(found.manifest).decode(), nl=False)
    else:
        typer.echo(summary(found))


def summary(tomogram) -> str:  # type: ignore[no-untyped-def]  # the type would import torch
    """A few lines for a person: what was found, and where to read it."""
    manifest = tomogram.manifest
    lines = [
        f"{manifest.model.name}: {manifest.model.parameters.total:,} parameters,"
        f" {manifest.model.n_layers} layers, loss {manifest.coverage.loss.value:.3f} nats"
    ]
    for spliced in manifest.coverage.spliced:
        rise = spliced.rise
        lines.append(
            f"  {len(spliced.dictionaries)} {spliced.family} dictionaries in place at once:"
            f" loss rises by {rise.value:.3f} [{rise.low:.3f}, {rise.high:.3f}] nats"
        )
    latents = [group for group in manifest.groups if group.kind == "latent"]
    live, passing = (sum(getattr(g, name) for g in latents) for name in ("live", "passing"))
    lines.append(f"  {live:,} live features, {passing:,} with a label that passes its test")
    units = sum(group.units for group in manifest.groups)
    tables = (tomogram.folder / "features").glob("*.parquet")
    size = sum(path.stat().st_size for path in tables)
    if units:
        lines.append(f"  tables of {size / units / 1_000:.2f} MB for 1,000 features")
    if manifest.concepts is not None:
        means = manifest.concepts.means
        lines.append(
            f"  known concepts, mean F1: best neuron {means.neuron.value:.2f},"
            f" best feature {means.feature.value:.2f}, linear probe {means.probe.value:.2f}"
        )
    lines.append(f"Report: {tomogram.report}")
    return "\n".join(lines)
