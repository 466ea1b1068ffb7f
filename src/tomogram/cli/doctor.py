"""`tomogram doctor`: what this machine can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from tomogram.pipeline.doctor import Device, Examination


def doctor(
    json: bool = typer.Option(False, "--json", help="Print one JSON object instead of text."),
) -> None:
    """Say what this machine can do: cores, memory, disk, speed, what is installed."""
    from dataclasses import asdict
    from pathlib import Path

    from tomogram.pipeline.doctor import examine
    from tomogram.store.canonical import readable_json

    examination = examine(Path.cwd())
    typer.echo(readable_json(asdict(examination)) if json else describe(examination), nl=not json)


def describe(examination: Examination) -> str:
    """The examination as lines of text for a person."""
    from tomogram.pipeline.doctor import GIB, OPTIONAL

    e = examination
    rows = [
        ("tomogram", f"{e.tomogram} on Python {e.python}, {e.system}"),
        ("cores", f"{e.cores} usable, torch uses {e.threads} threads"),
        ("memory", f"{e.memory_available / GIB:.1f} GiB free of {e.memory / GIB:.1f}"),
        ("disk", f"{e.disk / GIB:.1f} GiB free here"),
        *((device.name, _speeds(device)) for device in e.devices),
        ("packages", ", ".join(f"{name} {version}" for name, version in e.packages.items())),
        *(
            (name, version or f"not installed (optional: {OPTIONAL[name]})")
            for name, version in e.optional.items()
        ),
        ("reference", "model present" if e.reference_model else "model missing"),
        ("scan", f"{e.duration} for a model of 15 million parameters, standard plan"),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {text}" for name, text in rows]
    if e.advice:
        lines += ["", *(f"! {sentence}" for sentence in e.advice)]
    return "\n".join(lines)


def _speeds(device: Device) -> str:
    """The measured speeds of a device, and how they compare."""
    from tomogram.pipeline.doctor import GIB

    words = [device.model] + ([f"{device.memory / GIB:.0f} GiB"] if device.memory else [])
    if device.float32:
        words.append(f"float32 {device.float32:,.0f} GFLOP/s")
    if device.bfloat16:
        words.append(f"bfloat16 {device.bfloat16:,.0f} GFLOP/s")
    if device.float32 and device.bfloat16:
        words.append(f"ratio {device.bfloat16 / device.float32:.1f}")
    return ", ".join(words)
