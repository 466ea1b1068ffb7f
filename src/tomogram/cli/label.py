"""`tomogram label`: say in words what features stand for, and test the words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from tomogram.features.judged import Judged
    from tomogram.features.labellers.chat import Chat
    from tomogram.store.schema import Estimate


def label(
    folder: Path = typer.Argument(help="Folder of a finished scan.", metavar="DIR"),
    labeller: str = typer.Option(
        "statistics", "--with", help="statistics (no model), local or endpoint."
    ),
    judge: str = typer.Option("none", help="Who tests the labels: none, local or endpoint."),
    chat: str = typer.Option(None, help="Local chat model: Hub name, folder or GGUF file."),
    endpoint_model: str = typer.Option(
        None, help="Name of the model at the endpoint that OPENAI_BASE_URL names."
    ),
    units: int = typer.Option(100, help="Features to label, drawn blind; 0 for all that fire."),
    family: str = typer.Option(None, help="Only the features of this dictionary."),
    active: int = typer.Option(50, help="Passages a judge sees with the feature, and without."),
    model: str = typer.Option(None, help="The model that was scanned; the shipped one without it."),
    dictionaries: str = typer.Option(
        None, help="Its dictionaries, where the scan brought its own."
    ),
    per_minute: float = typer.Option(60.0, help="Most requests to the endpoint a minute."),
    prompt_price: float = typer.Option(None, help="Price of a million prompt tokens."),
    reply_price: float = typer.Option(None, help="Price of a million reply tokens."),
    most: float = typer.Option(None, help="Do not start where the estimated price is above this."),
    yes: bool = typer.Option(False, "--yes", help="Ask the endpoint without a question first."),
    seed: int = typer.Option(0, help="Decides which features and passages are drawn."),
    device: str = typer.Option("cpu", help="cpu, cuda or mps, for the local chat model."),
    json: bool = typer.Option(False, "--json", help="Print the labels as JSON."),
) -> None:
    """Label features with a labeller, and test the labels on unseen text with a judge.

    Interrupted, it goes on where it stopped when called again.
    """
    from tomogram.features.judging.judge import Judge
    from tomogram.features.labellers.chat import ChatLabeller
    from tomogram.pipeline.labelling import Wanted, labelling, labels_of
    from tomogram.report.tomogram import open_tomogram
    from tomogram.store.errors import TomogramError

    if per_minute <= 0:
        raise TomogramError("--per-minute must be above zero.")
    if units < 0 or active < 1:
        raise TomogramError("--units must be 0 or more and --active at least 1.")
    chats: dict[str, Chat] = {}

    def asked(kind: str, option: str) -> Chat:
        if kind not in chats:
            chats[kind] = _chat(kind, option, chat, endpoint_model, per_minute, device)
        return chats[kind]

    chosen = None if labeller == "statistics" else ChatLabeller(asked(labeller, "--with"))
    # A small local model sorts one passage at a time; a list of five is beyond it.
    judges = (
        None if judge == "none" else Judge(asked(judge, "--judge"), 1 if judge == "local" else 5)
    )
    tomogram = open_tomogram(folder)
    wanted = Wanted(units=units, family=family, active=active, seed=seed)
    work = labelling(tomogram, chosen, judges, wanted)
    if chats:
        _confirm(work.estimate(), prompt_price, reply_price, most, yes or "endpoint" not in chats)
    found = labels_of(work.run(model, dictionaries))
    if json:
        from tomogram.store.canonical import readable_json

        typer.echo(readable_json([_told(each) for each in found]), nl=False)
    else:
        typer.echo(summary(found, _held_out_scores(tomogram, found) if chosen is None else None))


def _chat(
    kind: str,
    option: str,
    source: str | None,
    endpoint_model: str | None,
    per_minute: float,
    device: str,
) -> Chat:
    from tomogram.store.errors import TomogramError

    if kind == "local":
        from tomogram.features.labellers.local import LocalChat
        from tomogram.models.load import load

        if source is None:
            raise TomogramError(f"{option} local needs --chat MODEL.")
        return LocalChat(load(source, device=device))
    if kind == "endpoint":
        from tomogram.features.labellers.endpoint import (
            EndpointChat,
            RateLimit,
            from_environment,
        )

        if endpoint_model is None:
            raise TomogramError(f"{option} endpoint needs --endpoint-model NAME.")
        return EndpointChat(endpoint_model, from_environment(), RateLimit(per_minute))
    kinds = "statistics, local and endpoint" if option == "--with" else "none, local and endpoint"
    raise TomogramError(f"{option} must be one of {kinds}, not {kind!r}.")


def _confirm(
    cost: object,
    prompt_price: float | None,
    reply_price: float | None,
    most: float | None,
    yes: bool,
) -> None:
    """Say what is about to be asked and stop where that is too much or not wanted."""
    from tomogram.features.labellers.cost import Cost
    from tomogram.store.errors import TomogramError

    assert isinstance(cost, Cost)
    line = (
        f"At most {cost.requests:,} requests, about {cost.prompt_tokens:,} prompt tokens and at"
        f" most {cost.reply_tokens:,} reply tokens"
    )
    if prompt_price is None or reply_price is None:
        if most is not None:
            raise TomogramError("--most needs --prompt-price and --reply-price.")
    else:
        price = cost.price(prompt_price, reply_price)
        line += f", {price:,.2f} at the prices given"
        if most is not None and price > most:
            raise TomogramError(f"{line}: more than {most:,.2f}, so nothing was asked.")
    typer.echo(f"{line}.", err=True)
    if not yes:
        typer.confirm("Ask?", abort=True, err=True)


def summary(found: list[Judged], held_out: Estimate | None = None) -> str:
    """A few lines for a person: how many were labelled, and how well the labels hold."""
    import numpy as np

    from tomogram.store.estimates import estimate

    labelled = [each for each in found if each.label is not None]
    lines = [f"{len(labelled):,} of {len(found):,} features labelled; the rest stay unlabelled"]
    if held_out is not None:
        lines.append(f"  held-out prediction score {_words(held_out)}")
    for task in ("detection", "fuzzing"):
        scores = [s for s in (getattr(each, task) for each in labelled) if s is not None]
        if scores:
            mean = estimate(np.array([each.accuracy.value for each in scores]))
            unread = sum(each.unread for each in scores)
            asked = sum(each.accuracy.n for each in scores)
            lines.append(
                f"  {task}: balanced accuracy {_words(mean)} (chance is .5);"
                f" {unread:,} of {asked:,} answers could not be read"
            )
    best = sorted(labelled, key=lambda e: -(e.detection.accuracy.value if e.detection else 0))
    for each in best[:10]:
        told = f" ({each.detection.accuracy.value:.2f})" if each.detection else ""
        lines.append(f"  {each.family}/{each.unit}{told}: {each.label}")
    return "\n".join(lines)


def _held_out_scores(tomogram, found: list[Judged]) -> Estimate | None:  # type: ignore[no-untyped-def]
    """Mean F1 with which the rules of the labelled features predict firing on unseen text."""
    import numpy as np

    from tomogram.store.estimates import estimate

    rows = tomogram.features.query("SELECT family, unit, label_f1 FROM features")
    known = {(row["family"], row["unit"]): row["label_f1"] for row in rows}
    scores = [known.get((each.family, each.unit)) for each in found if each.label is not None]
    kept = [value for value in scores if value is not None]
    return estimate(np.array(kept)) if kept else None


def _words(found: Estimate) -> str:
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def _told(each: Judged) -> dict:
    def score(name: str) -> dict | None:
        own = getattr(each, name)
        return own and {**own.accuracy.model_dump(), "unread": own.unread}

    return {
        "family": each.family,
        "unit": each.unit,
        "label": each.label,
        "detection": score("detection"),
        "fuzzing": score("fuzzing"),
    }
