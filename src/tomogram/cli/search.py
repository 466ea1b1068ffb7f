"""`tomogram search`: find features of a finished scan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from tomogram.features.search.catalogue import Catalogue
    from tomogram.features.search.hits import Hit
    from tomogram.features.search.prompt import PromptReading


def search(
    folder: Path = typer.Argument(help="Folder of a finished scan.", metavar="DIR"),
    query: str = typer.Argument(None, help="Words to find in labels, exemplars and promotions."),
    meaning: str = typer.Option(None, help="Find by meaning; needs --encoder."),
    example: list[str] = typer.Option(
        None, help="A sentence that shows what is wanted; give several, three do well."
    ),
    prompt: str = typer.Option(None, help="Which features fire here and matter for what is next."),
    target: str = typer.Option(None, help="With --prompt: the next token in question."),
    like: str = typer.Option(None, help="Features like this one: FAMILY/NUMBER."),
    by: str = typer.Option(
        "cofires", help="With --like: cofires, resembles, earlier, later or neuron."
    ),
    promotes: str = typer.Option(None, help="Features that push this token up."),
    suppresses: str = typer.Option(None, help="Features that push this token down."),
    limit: int = typer.Option(10, help="Most hits."),
    every: bool = typer.Option(False, "--every", help="Show near-duplicates one by one."),
    encoder: str = typer.Option(None, help="Sentence encoder: a folder, or a name in the cache."),
    model: str = typer.Option(None, help="The model that was scanned; the shipped one without it."),
    dictionaries: str = typer.Option(
        None, help="Its dictionaries, where the scan brought its own."
    ),
    json: bool = typer.Option(False, "--json", help="Print the hits as JSON."),
) -> None:
    """Find features by words, meaning, examples, a prompt, likeness, or what they promote."""
    from tomogram.pipeline.searching import open_search
    from tomogram.store.errors import TomogramError

    given = [query, meaning, example or None, prompt, like, promotes, suppresses]
    if sum(each is not None for each in given) != 1:
        raise TomogramError(
            "Say one thing to search by: words, --meaning, --example, --prompt, --like,"
            " --promotes or --suppresses."
        )
    if limit < 1:
        raise TomogramError("--limit must be at least 1.")
    found = open_search(folder, model, dictionaries=dictionaries, encoder=encoder)
    grouped = not every
    if prompt is not None:
        reading = found.in_prompt(prompt, target)
        labels = found.catalogue
        _show_reading(reading, found.tomogram.spelling, labels, limit, json)
        return
    if query is not None:
        hits = found.by_words(query, limit=limit, grouped=grouped)
    elif meaning is not None:
        hits = found.by_meaning(meaning, limit=limit, grouped=grouped)
    elif example:
        hits = found.by_examples(example, limit=limit, grouped=grouped)
    elif like is not None:
        family, unit = unit_named(like)
        if by not in ("cofires", "resembles", "earlier", "later", "neuron"):
            raise TomogramError("--by must be cofires, resembles, earlier, later or neuron.")
        hits = found.like(family, unit, by, limit=limit)
    else:
        word = promotes if promotes is not None else suppresses
        assert word is not None
        hits = found.by_promoted(
            word, limit=limit, suppressing=suppresses is not None, grouped=grouped
        )
    _show(hits, json)


def unit_named(name: str) -> tuple[str, int]:
    """Family and number of a unit written as FAMILY/NUMBER.

    Raises TomogramError for anything else.
    """
    from tomogram.store.errors import TomogramError

    family, _, number = name.rpartition("/")
    if not family or not number.isascii() or not number.isdigit():
        raise TomogramError(f"{name!r} names no unit; it looks like resid_post.3/120.")
    return family, int(number)


def _show(hits: list[Hit], json: bool) -> None:
    from dataclasses import asdict

    from tomogram.store.canonical import readable_json

    if json:
        typer.echo(readable_json([asdict(hit) for hit in hits]), nl=False)
        return
    if not hits:
        typer.echo("Nothing found.")
    for hit in hits:
        more = f"  (and {len(hit.duplicates)} near-duplicates)" if hit.duplicates else ""
        typer.echo(f"{hit.score:9.3f}  {hit.family}/{hit.unit}  {hit.label or 'unlabelled'}{more}")


def _show_reading(
    reading: PromptReading,
    spelling: tuple[str, ...],
    catalogue: Catalogue,
    limit: int,
    json: bool,
) -> None:
    from dataclasses import asdict

    from tomogram.features.phrases import plain
    from tomogram.store.canonical import readable_json

    if json:
        typer.echo(readable_json(asdict(reading)), nl=False)
        return
    typer.echo(
        f"next token {plain(spelling[reading.target])!r}, probability {reading.probability:.3f};"
        f" {len(reading.firings):,} firings"
    )
    typer.echo("  taken out costs (estimate)  feature on token")
    for firing in reading.firings[:limit]:
        told = "      " if firing.measured is None else f"{firing.measured:+.3f}"
        label = catalogue.labels[catalogue.number(firing.family, firing.unit)] or "unlabelled"
        token = plain(spelling[reading.tokens[firing.position]])
        typer.echo(
            f"  {told} ({firing.estimated:+.3f})  {firing.family}/{firing.unit} on"
            f" {token!r} at {firing.position}: {label}"
        )
