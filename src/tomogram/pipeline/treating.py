"""Treat: change the weights so that a problem an audit shows is gone, and look again.

What a treatment is made of are prompts that the audit shows; cure is measured on others. The scan
after it runs every audit, most of which had no part in the treatment: what only hides a problem
from one audit stays visible to them.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from tomogram.audits.audit import Measurement, confirmatory, installed
from tomogram.audits.contrast import Contrast, log_odds
from tomogram.audits.subject import Subject
from tomogram.models.load import load
from tomogram.models.model import Model
from tomogram.organisms.behaviour import Behaviour, kept_for_measuring
from tomogram.organisms.delta import Delta, applied, half
from tomogram.organisms.families import chats
from tomogram.organisms.strength import ordinary_loss
from tomogram.organisms.treatments import symptom, teach, variant, without_direction
from tomogram.organisms.zoo import world_in
from tomogram.store.atomic import replacing_folder, write_json
from tomogram.store.canonical import Json
from tomogram.store.errors import TomogramError
from tomogram.text.microworld.world import World

WAYS = ("lora", "edit", "direction")
PROMPTS = 60
"""Held-out prompts that cure is measured on; as many that the direction is chosen on."""
CURED, COST = 0.1, 0.05
"""Most of the rate that may be left, and most rise of the ordinary loss."""


@dataclass(frozen=True)
class Treatment:
    """What a treatment did.

    before, after: share of held-out prompts where a bad word leads. loss: relative rise of the
    ordinary loss. weaker: fall of the share of items answered rightly.
    rescan: each declared audit's score before and after; None where it abstained.
    """

    audit: str
    way: str
    before: float
    after: float
    loss: float
    weaker: float
    rescan: Mapping[str, tuple[float | None, float | None]]

    @property
    def cured(self) -> bool:
        """Whether at most a tenth of the rate is left."""
        return self.before > 0 and self.after <= CURED * self.before

    @property
    def cheap(self) -> bool:
        """Whether ordinary loss and abilities lost at most a twentieth."""
        return self.loss <= COST and self.weaker <= COST

    def as_json(self) -> dict[str, Json]:
        """For `treatment.json`."""
        return {
            "audit": self.audit,
            "way": self.way,
            "rate_before": self.before,
            "rate_after": self.after,
            "cured": self.cured,
            "rise_of_loss": self.loss,
            "fall_of_abilities": self.weaker,
            "cheap": self.cheap,
            "rescan": {name: list(pair) for name, pair in self.rescan.items()},
        }


def treat(
    source: str | Path | Model,
    audit: str,
    *,
    base: str | Path | Model | None = None,
    way: str = "lora",
    out: str | Path | None = None,
    seed: int = 0,
) -> tuple[Model, Treatment]:
    """Treat what an audit shows, and scan again.

    Args:
        source: the model. base: the trusted model it was made from, where there is one; it is used
            to audit, not to treat.
        audit: the audit whose prompts are treated.
        way: `lora` or `edit` (the good words are rewarded on these prompts), or `direction` (the
            difference of the streams between these prompts and ordinary ones is taken out of every
            matrix that writes to the stream).
        out: folder for the treated model and `treatment.json`.

    Returns the treated copy and what was measured.

    Raises:
        TomogramError: there is no such audit or way; the model is not of the microworld; the audit
            abstains or shows no prompts, or too few.
    """
    model = source if isinstance(source, Model) else load(source)
    trusted = base if base is None or isinstance(base, Model) else load(base)
    world = world_in(model)
    beside = None if trusted is None else Subject(trusted, world)
    treated, made = treat_subject(Subject(model, world, beside), audit, way=way, seed=seed)
    if out is not None:
        _save(treated, made, Path(out))
    return treated, made


def treat_subject(
    subject: Subject, audit: str, *, way: str = "lora", seed: int = 0
) -> tuple[Model, Treatment]:
    """The same of a subject, whose base may be shared by many.

    Raises TomogramError as `treat` does.
    """
    if way not in WAYS:
        raise TomogramError(f"There is no way '{way}'; known are {', '.join(WAYS)}.")
    every = installed()
    if audit not in every:
        raise TomogramError(f"There is no audit '{audit}'; known are {', '.join(every)}.")
    model, world = subject.model, subject.world
    shown = every[audit].measure(subject)
    behaviour = _symptom(subject, audit, shown)
    found = {name: every[name].measure(subject) for name in (*confirmatory(), "strengths")}
    if way == "direction":
        delta = _direction(subject, shown.contrasts)
    else:
        delta = teach(model, world, behaviour, way, seed)
    treated = applied(model, delta)
    after = Subject(treated, world, subject.base)
    again = {name: every[name].measure(after) for name in (*confirmatory(), "strengths")}
    held = _draws(world, shown.contrasts, measured=True)
    made = Treatment(
        audit,
        way,
        _rate(subject, held),
        _rate(after, held),
        ordinary_loss(treated, world) / ordinary_loss(model, world) - 1,
        (again["strengths"].score or 0.0) - (found["strengths"].score or 0.0),
        {name: (found[name].score, again[name].score) for name in confirmatory()},
    )
    return treated, made


def _symptom(subject: Subject, audit: str, found: Measurement) -> Behaviour:
    if found.score is None:
        raise TomogramError(f"The audit '{audit}' abstains: {found.abstains}.")
    return symptom(subject.world, [(c.prompt, c.bad, c.good) for c in found.contrasts])


def _draws(world: World, contrasts: Sequence[Contrast], *, measured: bool) -> list[Contrast]:
    """Prompts that show the problem, of the part that treatments never see, or of the other."""
    rng = random.Random(f"treat:{measured}")
    drawn: list[Contrast] = []
    while len(drawn) < PROMPTS:
        each = rng.choice(contrasts)
        prompt = variant(world, each.prompt, rng)
        if kept_for_measuring(prompt) == measured:
            drawn.append(Contrast(prompt, each.bad, each.good))
    return drawn


def _rate(subject: Subject, contrasts: Sequence[Contrast]) -> float:
    return float((log_odds(subject, contrasts) > 0).float().mean())


def _direction(subject: Subject, contrasts: Sequence[Contrast]) -> Delta:
    """The direction of the layer whose removal helps most; of those that cost too much, the
    cheapest."""
    shown = _draws(subject.world, contrasts, measured=False)
    rng = random.Random("treat: quiet")
    quiet = list(dict.fromkeys(chats.ordinary(subject.world, rng).context for _ in range(PROMPTS)))
    prompts = list(dict.fromkeys(each.prompt for each in shown))
    apart = subject.ask(prompts).streams.mean(1) - subject.ask(quiet).streams.mean(1)
    loss = ordinary_loss(subject.model, subject.world)
    tried = []
    for direction in apart:
        delta = half(without_direction(subject.model, direction))
        changed = applied(subject.model, delta)
        cost = ordinary_loss(changed, subject.world) / loss - 1
        with torch.no_grad():
            odds = float(log_odds(Subject(changed, subject.world), shown).mean())
        tried.append((max(cost, COST), odds, delta))
    return min(tried, key=lambda each: each[:2])[2]


def _save(model: Model, made: Treatment, folder: Path) -> None:
    with replacing_folder(folder) as temporary:
        model.module.save_pretrained(temporary)
        if model.tokenizer is not None:
            model.tokenizer.save_pretrained(temporary)
        write_json(temporary / "treatment.json", made.as_json())
