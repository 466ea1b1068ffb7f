"""Steering by itself: from names to a prompt continued twice, as the model is and steered."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

import torch

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.formats import own
from tomogram.dictionaries.formats.load import find, locate
from tomogram.dictionaries.formats.load import load as load_dictionaries
from tomogram.models.generate import generate, stop_tokens
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.pipeline.given import given_model, given_text
from tomogram.report.tomogram import Tomogram, open_tomogram
from tomogram.steering.behaviours import Mentions
from tomogram.steering.contrast import WAYS, Pairs, contrasts
from tomogram.steering.cost import TextCost, text_costs
from tomogram.steering.edits import Edit, Swap, ablate, add, clamp, scale
from tomogram.steering.effects import Random, effect
from tomogram.steering.fluency import distinct, losses
from tomogram.steering.fluent_strength import Limits, continuations, most_fluent
from tomogram.steering.folding import save_steered
from tomogram.steering.positions import Between, Where, everywhere, generated
from tomogram.steering.steered import steered
from tomogram.steering.strength import Turn, strongest
from tomogram.steering.targets import Direction, Feature, Target
from tomogram.store.errors import TomogramError
from tomogram.store.estimates import estimate, ratio
from tomogram.store.schema import Estimate
from tomogram.text.packing import PackedText, load_packed
from tomogram.text.sampled import sample

Rule = Literal["add", "scale", "clamp", "ablate", "swap"]
RULES: tuple[Rule, ...] = ("add", "scale", "clamp", "ablate", "swap")
PLACES = {"everywhere": everywhere, "generated": generated}
"""Where edits act, by name."""
_BETWEEN = re.compile(r"([0-9]{1,9}):([0-9]{1,9})?")

_CONTEXT, _TOKENS, _ROWS = 128, 1_024, 16


@dataclass(frozen=True)
class Steering:
    """What to turn, and how.

    features: `DICTIONARY/LATENT`, such as `resid_post.2/123`.
    contrast: a file of contrast pairs, {"positive": [...], "negative": [...]}, whose direction at
        `site` is turned; made in one of `contrast.WAYS`.
    strengths: one for each target, or one for all; without any, a feature's largest activation in
        the scan, or the distance between the two sides of the pairs.
    rule: one of `RULES`. where: one of `PLACES`, or `START:END`, positions from 0 on.
    """

    features: tuple[str, ...] = ()
    contrast: Path | None = None
    site: str | None = None
    way: str = "mean difference"
    strengths: tuple[float, ...] = ()
    rule: Rule = "add"
    where: str = "everywhere"

    def __post_init__(self) -> None:
        targets = len(self.features) + (self.contrast is not None)
        if not targets:
            raise TomogramError("Say what to turn: a feature, or pairs to contrast.")
        if self.rule not in RULES:
            raise TomogramError(f"There is no rule {self.rule!r}; choose of {', '.join(RULES)}.")
        place_named(self.where)
        if self.way not in WAYS:
            raise TomogramError(f"Directions are made by {', '.join(WAYS)}, not {self.way!r}.")
        if (self.contrast is None) != (self.site is None):
            raise TomogramError("A direction from contrast pairs needs the pairs and a site.")
        if len(self.strengths) not in (0, 1, targets):
            raise TomogramError(
                f"{targets} targets take one strength or {targets}, not {len(self.strengths)}."
            )


def place_named(name: str) -> Where:
    """One of `PLACES`, or the positions `START:END`, counted from 0; without END to the end.

    Raises TomogramError where the name is neither.
    """
    if name in PLACES:
        return PLACES[name]
    between = _BETWEEN.fullmatch(name)
    if between is None:
        raise TomogramError(f"Edits act {', '.join(PLACES)} or START:END, not {name!r}.")
    return Between(int(between[1]), int(between[2]) if between[2] else None)


@dataclass(frozen=True)
class Toward:
    """What a steered model is to say, and what that may cost.

    words: in lower case; a continuation that uses one of them shows the behaviour.
    budget: largest rise of the loss on ordinary text, as a share of it. limits: of the fluency of
        the steered continuations. Both bound the strength, where none is given.
    samples: continuations that are drawn; as many others are drawn to measure what was found.
    randoms: sets of random directions of equal norm that are measured beside it.
    """

    words: tuple[str, ...]
    budget: float = 0.05
    limits: Limits = field(default_factory=Limits)
    samples: int = 16
    randoms: int = 8

    def __post_init__(self) -> None:
        if not self.words or not all(word.isalnum() for word in self.words):
            raise TomogramError("Say with single words what the steered text is to name.")
        if self.samples < 1 or self.randoms < 0 or not self.budget > 0:
            raise TomogramError("Samples are 1 or more, randoms 0 or more, the budget above 0.")


@dataclass(frozen=True)
class Reached:
    """How far steering goes towards some words, on samples that no strength was chosen on.

    before, after: share of the samples that name one. loss: of the steered samples, nats a token
    under the model as it is, over that of the others. distinct: the same of distinct-3.
    randoms: what random directions of equal norm do.
    """

    words: tuple[str, ...]
    before: Estimate
    after: Estimate
    loss: Estimate
    distinct: float
    randoms: tuple[Random, ...]


@dataclass(frozen=True)
class Continuation:
    """A text, its loss under the unsteered model in nats a token, and its distinct-3."""

    text: str
    loss: float | None
    distinct: float


@dataclass(frozen=True)
class Steered:
    """A prompt continued as the model is and steered; what it costs on ordinary text."""

    prompt: str
    targets: tuple[str, ...]
    strengths: tuple[float, ...]
    rule: Rule
    baseline: Continuation
    steered: Continuation
    cost: TextCost | None
    saved: Path | None = None
    reached: Reached | None = None


def steer(
    source: str | Path | Model | None,
    prompt: str,
    steering: Steering,
    *,
    model: str | Path | None = None,
    dictionaries: str | Path | Sequence[Dictionary] | None = None,
    text: str | Path | PackedText | None = None,
    toward: Toward | None = None,
    tokens: int = 40,
    temperature: float = 0.0,
    save: str | Path | None = None,
    seed: int = 0,
    device: str = "cpu",
    dtype: str = "float32",
    allow_pickle: bool = False,
) -> Steered:
    """Continue a prompt as a model is and steered, and say what the steering costs.

    Args:
        source: a Hub name, folder or GGUF file, a loaded model, or the folder of a scan, whose
            dictionaries are then used; the shipped model when None.
        model: where the model of a scan is, if it is neither the shipped one nor known by its name.
        dictionaries: dictionaries, or where they are, for the features of a model without a scan.
        text: ordinary text to measure the loss on; the scan's held-out text, or none.
        toward: words that the steered text is to name. How far it does is then measured, and
            where no strength is given, the one that does so most at a bounded cost is found.
        tokens, temperature, seed: how the continuations are drawn; both with the same draws.
            Samples towards words are drawn at temperature 1 where it is 0.
        save: a folder for the steered model, as plain transformers loads it.

    Raises:
        TomogramError: something named is not there or does not fit, or the steered model cannot be
            saved.
    """
    place = _Place.of(source, model, device, dtype, allow_pickle)
    loaded = place.model
    if loaded.tokenizer is None:
        raise TomogramError(f"{loaded.name} has no tokenizer, so it cannot read a prompt.")
    found = _dictionaries(place, dictionaries, steering, seed, allow_pickle)
    targets, natural = _targets(place, found, steering)
    ids = list(loaded.tokenizer(prompt)["input_ids"])
    ordinary = _ordinary(place, text)
    asked = (
        None if toward is None else _Asked.of(loaded, ids, toward, ordinary, tokens, temperature)
    )
    strengths = _strengths(steering, targets, natural)
    if asked is not None and strengths and not steering.strengths:
        share = asked.strongest(partial(_turned, steering, targets, strengths), seed)
        strengths = tuple(share * strength for strength in strengths)
    edits = _edits(steering, targets, strengths)
    plain = _continued(loaded, ids, tokens, temperature, seed)
    with steered(loaded, *edits):
        turned = _continued(loaded, ids, tokens, temperature, seed)
    cost = None if ordinary is None else text_costs(loaded, ordinary, {0: edits}, seed=seed)[0]
    return Steered(
        prompt,
        tuple(target.name for target in targets),
        strengths,
        steering.rule,
        _judged(loaded, ids, plain),
        _judged(loaded, ids, turned),
        cost,
        None if save is None else save_steered(loaded, edits, save),
        None if asked is None else asked.reached(edits, seed + 1),
    )


@dataclass(frozen=True, eq=False)
class _Asked:
    """A behaviour on samples of one prompt, and ordinary text."""

    model: Model
    toward: Toward
    text: PackedText
    behaviour: Mentions

    @classmethod
    def of(
        cls,
        model: Model,
        ids: Sequence[int],
        toward: Toward,
        text: PackedText | None,
        tokens: int,
        temperature: float,
    ) -> _Asked:
        if text is None:
            raise TomogramError("What steering costs needs ordinary text; name it with --text.")
        words = frozenset(word.lower() for word in toward.words)
        prompts = (tuple(ids),) * toward.samples
        drawn = temperature or 1.0
        stop = stop_tokens(model)
        return cls(model, toward, text, Mentions(prompts, words, tokens, drawn, 0, stop))

    def strongest(self, turn: Turn, seed: int) -> float:
        """The share of the natural strengths that names the words most at a bounded cost."""
        asked = replace(self.behaviour, seed=seed)
        most = strongest(self.model, turn, self.text, self.toward.budget)
        if not most.strength:
            return 0.0
        plain = continuations(self.model, asked)
        found = most_fluent(
            lambda share: continuations(self.model, asked, *turn(share)),
            plain,
            self.toward.limits,
            first=min(1.0, most.strength),
            most=most.strength,
        )
        return found.strength

    def reached(self, edits: Sequence[Edit], seed: int) -> Reached:
        asked = replace(self.behaviour, seed=seed)
        plain = continuations(self.model, asked)
        turned = continuations(self.model, asked, *edits)
        beside = effect(
            self.model, edits, asked, self.text, randoms=self.toward.randoms, seed=seed
        ).randoms
        return Reached(
            self.toward.words,
            estimate(plain.outcomes, seed=seed),
            estimate(turned.outcomes, seed=seed),
            ratio(turned.losses, plain.losses, seed=seed),
            turned.kept(plain),
            beside,
        )


def _turned(
    steering: Steering, targets: Sequence[Target], strengths: Sequence[float], share: float
) -> list[Edit]:
    return _edits(steering, targets, [share * strength for strength in strengths])


@dataclass(frozen=True, eq=False)
class _Place:
    """A model, and the scan of it, if there is one."""

    model: Model
    scan: Tomogram | None

    @classmethod
    def of(
        cls,
        source: str | Path | Model | None,
        model: str | Path | None,
        device: str,
        dtype: str,
        allow_pickle: bool,
    ) -> _Place:
        def load(name: str | Path | Model | None) -> Model:
            return given_model(name, device=device, dtype=dtype, allow_pickle=allow_pickle)

        if not isinstance(source, str | Path) or not (Path(source) / "tomogram.json").is_file():
            if model is not None:
                raise TomogramError(f"{source} is no finished scan, so it is the model itself.")
            return cls(load(source), None)
        scan = open_tomogram(source)
        wanted = scan.manifest.model
        found = load(model) if model is not None else None
        if found is None:
            found = load(None)
            if found.digest != wanted.digest:
                found = load(wanted.name)
        if found.digest != wanted.digest:
            raise TomogramError(f"{source} is a scan of {wanted.name}, not of this {found.name}.")
        return cls(found, scan)

    @cached_property
    def own_dictionaries(self) -> list[Dictionary]:
        """What the scan trained."""
        assert self.scan is not None
        folder = self.scan.folder / "dictionaries"
        if not folder.is_dir():
            raise TomogramError(
                f"{self.scan.folder} was scanned with dictionaries from elsewhere; name them with"
                " --dictionaries."
            )
        return [d.to(self.model.device) for d in own.read(folder)]


def _dictionaries(
    place: _Place,
    given: str | Path | Sequence[Dictionary] | None,
    steering: Steering,
    seed: int,
    allow_pickle: bool,
) -> list[Dictionary]:
    if not steering.features:
        return []
    if given is None:
        if place.scan is None:
            raise TomogramError(
                "A feature needs its dictionary: give a scan's folder, or --dictionaries."
            )
        return place.own_dictionaries
    if not isinstance(given, str | Path):
        return list(given)
    # Says what is wrong with the folder before a text is sampled.
    find(locate(given, allow_pickle=allow_pickle), allow_pickle=allow_pickle)
    packed = sample(place.model, _TOKENS, min(_CONTEXT, place.model.context), seed)
    return load_dictionaries(given, place.model, packed, allow_pickle=allow_pickle)


def _targets(
    place: _Place, dictionaries: Sequence[Dictionary], steering: Steering
) -> tuple[list[Target], list[float | None]]:
    """The targets, and the natural strength of each where it has one."""
    targets: list[Target] = [feature_named(dictionaries, name) for name in steering.features]
    natural = [_largest(place, target) for target in targets]
    if steering.contrast is not None:
        assert steering.site is not None
        direction, gap = _contrast(place.model, steering)
        targets.append(direction)
        natural.append(gap)
    return targets, natural


def feature_named(dictionaries: Sequence[Dictionary], name: str) -> Feature:
    """The feature `DICTIONARY/LATENT` among some dictionaries.

    Raises TomogramError where there is none.
    """
    family, _, latent = name.rpartition("/")
    if not (latent.isascii() and latent.isdecimal()):
        raise TomogramError(f"{name!r} names no feature; it looks like resid_post.2/123.")
    found = [dictionary for dictionary in dictionaries if dictionary.name == family]
    if not found:
        known = ", ".join(dictionary.name for dictionary in dictionaries)
        raise TomogramError(f"There is no dictionary {family}; there are {known}.")
    return Feature(found[0], int(latent))


def _largest(place: _Place, target: Target) -> float | None:
    """The largest activation of a feature that the scan saw."""
    if place.scan is None or not isinstance(target, Feature):
        return None
    return float(place.scan.features.unit(target.dictionary.name, target.latent)["largest"])


def _contrast(model: Model, steering: Steering) -> tuple[Direction, float]:
    assert steering.contrast is not None
    assert steering.site is not None
    site = Site.parse(steering.site)
    pairs = read_pairs(steering.contrast, model)
    contrast = contrasts(model, pairs, [site])[site]
    direction = WAYS[steering.way](contrast)
    gap = (contrast.positive.mean(0) - contrast.negative.mean(0)) @ direction.vector
    return direction, float(gap)


def read_pairs(path: Path, model: Model) -> Pairs:
    """Contrast pairs from a JSON file, {"positive": [TEXT, ...], "negative": [TEXT, ...]}.

    Raises TomogramError where the file cannot be read or holds anything else.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        sides = [list(content[side]) for side in ("positive", "negative")]
    except OSError as error:
        raise TomogramError(f"{path} could not be read: {error.strerror}.") from error
    except (ValueError, TypeError, KeyError) as error:
        raise TomogramError(
            f'{path} holds no contrast pairs: {{"positive": [...], "negative": [...]}}.'
        ) from error
    if not all(isinstance(text, str) for side in sides for text in side):
        raise TomogramError(f"A prompt in {path} is no text.")
    ids = [tuple(tuple(model.tokenizer(text)["input_ids"]) for text in side) for side in sides]
    return Pairs(ids[0], ids[1])


def _strengths(
    steering: Steering, targets: Sequence[Target], natural: Sequence[float | None]
) -> tuple[float, ...]:
    if steering.rule in ("ablate", "swap"):
        return ()
    if steering.strengths:
        given = steering.strengths
        return given if len(given) == len(targets) else given * len(targets)
    if steering.rule == "scale":
        raise TomogramError("Scaling needs a strength: the factor.")
    known = tuple(each for each in natural if each is not None)
    if len(known) < len(targets):
        raise TomogramError("Without a scan nothing says how strong is strong; give a strength.")
    return known


def _edits(steering: Steering, targets: Sequence[Target], strengths: Sequence[float]) -> list[Edit]:
    where = place_named(steering.where)
    match steering.rule:
        case "swap":
            return [Edit(tuple(targets), Swap(), where)]
        case "ablate":
            return [ablate(target, where) for target in targets]
    make = {"add": add, "scale": scale, "clamp": clamp}[steering.rule]
    return [
        make(target, strength, where) for target, strength in zip(targets, strengths, strict=True)
    ]


def _continued(
    model: Model, ids: list[int], tokens: int, temperature: float, seed: int
) -> list[int]:
    (written,) = generate(
        model,
        [ids],
        max_new_tokens=tokens,
        temperature=temperature,
        generator=torch.Generator().manual_seed(seed),
        stop=stop_tokens(model),
    )
    return written


def _judged(model: Model, ids: list[int], written: list[int]) -> Continuation:
    loss = float(losses(model, [ids], [written])[0]) if written else None
    return Continuation(model.tokenizer.decode(written), loss, distinct([written]))


def _ordinary(place: _Place, text: str | Path | PackedText | None) -> PackedText | None:
    if text is not None:
        packed = given_text(text, place.model, context=_CONTEXT, tokens=_ROWS * _CONTEXT)
    elif place.scan is not None:
        packed = load_packed(place.scan.folder / "text" / "held_out.safetensors")
    else:
        return None
    inside = (packed.documents[:, 1:] == packed.documents[:, :-1]).any(1)
    return packed.take([int(row) for row in inside.nonzero()[0][:_ROWS]])
