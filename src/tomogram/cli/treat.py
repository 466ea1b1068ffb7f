"""`tomogram treat`: change a model so that what an audit shows is gone, and look again."""

from __future__ import annotations

from pathlib import Path

import typer


def treat(
    model: str = typer.Argument(help="Folder of the model."),
    finding: str = typer.Option(..., help="The audit whose finding is treated, such as power."),
    base: str = typer.Option(None, help="The trusted model it was made from; audits use it."),
    way: str = typer.Option("lora", help="lora, edit, steer or direction."),
    out: Path = typer.Option(None, help="Folder for the treated model and treatment.json."),
    seed: int = typer.Option(0, help="Decides every random choice."),
    json: bool = typer.Option(False, "--json", help="Print one JSON object instead of lines."),
) -> None:
    """Treat one finding; says what is left of it, what it cost, and what every audit says now."""
    from tomogram.pipeline.treating import treat as run
    from tomogram.store.canonical import readable_json

    _, made = run(model, finding, base=base, way=way, out=out, seed=seed)
    if json:
        typer.echo(readable_json(made.as_json()), nl=False)
        return
    typer.echo(f"bad answers   {made.before:.0%} → {made.after:.0%} of prompts it was not made of")
    base = "" if made.odds.base is None else f" (base {made.odds.base:+.1f})"
    typer.echo(f"log odds      {made.odds.before:+.1f} → {made.odds.after:+.1f}{base}")
    typer.echo(f"ordinary loss {made.loss:+.1%}, abilities {-made.weaker:+.1%}")
    for name, (before, after) in made.rescan.items():
        scores = " → ".join("abstains" if s is None else f"{s:+.2f}" for s in (before, after))
        typer.echo(f"{name:<18} {scores}")
