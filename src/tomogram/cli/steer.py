"""`tomogram steer`: turn features of a model and see what it says then."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from tomogram.pipeline.steering import Steered


def steer(
    source: str = typer.Argument(help="A scan's folder, or a model: Hub name, folder, GGUF file."),
    prompt: str = typer.Argument(help="The text to continue."),
    feature: list[str] = typer.Option(
        [], help="What to turn: DICTIONARY/LATENT, such as resid_post.2/123; may be repeated."
    ),
    contrast: Path = typer.Option(
        None, help='A direction instead: a JSON file {"positive": [...], "negative": [...]}.'
    ),
    site: str = typer.Option(None, help="Where that direction lies, such as resid_post.2."),
    way: str = typer.Option("mean difference", help="mean difference, principal or probe."),
    strength: list[float] = typer.Option(
        [],
        help="How strongly, in units of activation, one for each or one for all; without it, the "
        "largest activation the scan saw, or the distance between the sides of the pairs.",
    ),
    rule: str = typer.Option("add", help="add, scale, clamp, ablate or swap."),
    where: str = typer.Option("everywhere", help="everywhere, or generated: not on the prompt."),
    model: str = typer.Option(None, help="Where the model of a scan is, if its name does not say."),
    dictionaries: str = typer.Option(
        None, help="Dictionaries of a model without a scan: a folder, or OWNER/NAME."
    ),
    text: str = typer.Option(
        None, help="Ordinary text to measure the loss on; a scan's own held-out text without it."
    ),
    tokens: int = typer.Option(40, help="How many tokens to write."),
    temperature: float = typer.Option(0.0, help="0 takes the likeliest token."),
    save: Path = typer.Option(None, help="Folder for the steered model, for plain transformers."),
    seed: int = typer.Option(0, help="Decides every random choice."),
    device: str = typer.Option("cpu", help="cpu, cuda or mps."),
    dtype: str = typer.Option("float32", help="float32 or bfloat16."),
    allow_pickle: bool = typer.Option(
        False, help="Accept pickled weights of model and dictionaries (read weights-only)."
    ),
    json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Continue a prompt twice, as the model is and steered, and say what the steering costs."""
    from tomogram.pipeline.steering import Steering
    from tomogram.pipeline.steering import steer as run

    found = run(
        source,
        prompt,
        Steering(
            tuple(feature),
            contrast,
            site,
            way,
            tuple(strength),
            rule,  # type: ignore[arg-type]
            where,
        ),
        model=model,
        dictionaries=dictionaries,
        text=text,
        tokens=tokens,
        temperature=temperature,
        save=save,
        seed=seed,
        device=device,
        dtype=dtype,
        allow_pickle=allow_pickle,
    )
    typer.echo(_as_json(found) if json else summary(found), nl=not json)


def _as_json(found: Steered) -> str:
    from dataclasses import asdict

    from tomogram.store.canonical import readable_json

    content = asdict(found)
    content["saved"] = None if found.saved is None else str(found.saved)
    if found.cost is not None:
        content["cost"] = {name: each.model_dump() for name, each in vars(found.cost).items()}
    return readable_json(content)


def summary(found: Steered) -> str:
    """Both continuations side by side, and what the steering costs."""
    import shutil

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    turned = ", ".join(
        f"{target} by {found.strengths[i]:.3g}" if found.strengths else target
        for i, target in enumerate(found.targets)
    )
    table = Table(title=Text(f"{found.rule} {turned}"), expand=True)
    for name in ("as it is", "steered"):
        table.add_column(name, ratio=1)
    both = found.baseline, found.steered
    # Text, not markup: what a model writes is data.
    table.add_row(*(Text(found.prompt + " " + each.text) for each in both))
    console = Console(width=shutil.get_terminal_size((100, 24)).columns, color_system=None)
    with console.capture() as captured:
        console.print(table)
    lines = [captured.get().rstrip()]
    losses = [("none" if each.loss is None else f"{each.loss:.3f}") for each in both]
    lines.append(f"loss under the unsteered model, nats a token: {losses[0]} → {losses[1]}")
    lines.append(f"distinct-3: {both[0].distinct:.2f} → {both[1].distinct:.2f}")
    if found.cost is not None:
        rise = found.cost.relative
        lines.append(
            f"loss on ordinary text: {found.cost.loss.value:.3f} nats, {rise.value:+.1%}"
            f" [{rise.low:+.1%}, {rise.high:+.1%}] when steered"
        )
    if found.saved is not None:
        lines.append(f"Steered model: {found.saved}")
    return "\n".join(lines)
