"""`tomogram change`: what was fine-tuned in since a trusted base, in words and examples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from tomogram.pipeline.changing import Change
    from tomogram.pipeline.contexts import Context
    from tomogram.pipeline.two_models import Two
    from tomogram.store.schema import Estimate


def change(
    scan: Path = typer.Argument(help="Folder of a finished scan of the trusted base."),
    model: str = typer.Argument(help="The model made from it: Hub name, folder or GGUF file."),
    base: str = typer.Option(None, help="Where the base is; the shipped one without it."),
    dictionaries: str = typer.Option(
        None, help="The base's dictionaries, where the scan brought its own."
    ),
    text: str = typer.Option(
        None, help="Text that both read: a file, a folder or hf:DATASET; the scan's without it."
    ),
    tokens: int = typer.Option(65_536, help="At most so many tokens of it."),
    limit: int = typer.Option(10, help="Most things listed of each sort."),
    crosscoder: Path = typer.Option(
        None, help="Folder of a crosscoder over both models; trained there where there is none."
    ),
    device: str = typer.Option("cpu", help="cpu, cuda or mps."),
    dtype: str = typer.Option("float32", help="Number format of the models."),
    out: Path = typer.Option(None, help="File for all of it as JSON."),
    json: bool = typer.Option(False, "--json", help="Print it as JSON."),
) -> None:
    """Say what changed since a trusted base: words, features and next words, with examples.

    Evidence to read, no finding: a harmless fine-tune changes a model, too.
    """
    from tomogram.pipeline.changing import change as run
    from tomogram.store.atomic import write_json
    from tomogram.store.canonical import readable_json

    found = run(
        scan,
        model,
        base=base,
        dictionaries=dictionaries,
        text=text,
        tokens=tokens,
        limit=limit,
        crosscoder=crosscoder,
        device=device,
        dtype=dtype,
    )
    if out is not None:
        write_json(out, found.as_json())
    if json:
        typer.echo(readable_json(found.as_json()), nl=False)
    else:
        _show(found)


def _show(found: Change) -> None:
    from tomogram.features.phrases import plain

    typer.echo(f"{found.base} → {found.model}: read on {found.tokens:,} tokens")
    far = ", ".join(f"{site} {each:.1%}" for site, each in found.distance.items())
    typer.echo(f"streams apart by: {far}; next words by {found.nats:.4f} nats")
    for title, side in (("expected more", found.more), ("expected less", found.less)):
        _title(f"next words that are {title}, in expected words a document")
        for each in side:
            typer.echo(f"{_interval(each.change, '+.2f')}  {plain(each.word).strip()}")
            _examples(each.contexts)
    _title("words of the text on which the streams are furthest apart, times their mean distance")
    for word in found.words:
        assert not isinstance(word.times, float)
        typer.echo(f"{_interval(word.times, '.1f')}  {plain(word.word).strip()}")
        _examples(word.contexts)
    _title("of all words of the vocabulary, each by itself")
    typer.echo(", ".join(f"{plain(w.word).strip()} {w.times:.1f}" for w in found.alone))
    _title("features of the base that fire otherwise there, and their turnover")
    for feature in found.features:
        rates = " → ".join(f"{rate:.3%}" for rate in feature.rates)
        typer.echo(
            f"{_interval(feature.turnover, '.2f')}  {feature.family}/{feature.unit} on {rates}: "
            f"{feature.label or 'unlabelled'}"
        )
        _examples(feature.contexts)
    _title("all features together, and how much of the ranking repeats on other documents")
    for family in found.families:
        told = "silent" if family.turnover is None else _interval(family.turnover, ".2f")
        typer.echo(f"{told}  repeats {family.repeats:.0%}  {family.family}")
    if found.two is not None:
        _show_two(found.two)


def _show_two(two: Two) -> None:
    names = ("the base", "the changed model")
    sides = zip(names, (two.before, two.after), two.one_sided, two.exclusive, strict=True)
    typer.echo(f"\ncrosscoder: {two.latents:,} latents fire, {two.fvu:.1%} unexplained")
    for name, listed, one_sided, exclusive in sides:
        _title(
            f"latents most of {name}: {one_sided} its own by norms, {exclusive} of them by latent "
            "scaling, too"
        )
        for each in listed:
            mark = "own   " if each.exclusive else "shared"
            typer.echo(
                f"{mark} share {each.share:.2f}, the other holds {each.in_error:.2f} of it in its "
                f"error and {each.in_reconstruction:.2f} in its reconstruction  {each.unit}: "
                f"{each.label or 'unlabelled'}"
            )
            _examples(each.contexts)


def _title(text: str) -> None:
    typer.echo(f"\n{text}")


def _interval(found: Estimate, form: str) -> str:
    return f"{found.value:{form}} ({found.low:{form}} to {found.high:{form}})"


def _examples(contexts: tuple[Context, ...]) -> None:
    for each in contexts:
        told = "" if each.values is None else "{:.2f} → {:.2f}  ".format(*each.values)
        typer.echo(f"      {told}{each}")
