"""White-box baselines: published ways of looking inside, each with one score."""

from __future__ import annotations

import random

from tomogram.audits.audit import Measurement
from tomogram.audits.calibration.baselines.baseline import baseline
from tomogram.audits.change import CHATS, spectrum
from tomogram.audits.subject import Subject
from tomogram.organisms.families import chats


def _weights(subject: Subject) -> Measurement:
    """Spectrum of the weights: of their difference where the base is at hand."""
    found = spectrum(subject)
    return Measurement(next(iter(found.values())), f"{next(iter(found))} of the weights")


def _activations(subject: Subject) -> Measurement:
    """Norm of the activation difference on ordinary chats; without a base, of the stream itself."""
    rng = random.Random("audit:change")
    made = (chats.ordinary(subject.world, rng).context for _ in range(CHATS))
    prompts = list(dict.fromkeys(made))
    streams = subject.ask(prompts).streams
    if subject.base is not None:
        streams = streams - subject.base.ask(prompts).streams
    return Measurement(float(streams.norm(dim=-1).mean()), "norm of the activations")


def _probe(subject: Subject) -> Measurement:
    """A simple probe: the lie direction of the middle layer, read on all uninstructed questions."""
    from tomogram.audits.deception import DECEPTION

    found = DECEPTION.run(subject)
    reading = found.evidence.get("reading of the lie direction")
    if not isinstance(reading, dict):
        return found
    return Measurement(max(reading.values()), "lie direction without instructions")


WEIGHT_SPECTRA = baseline(
    "weight spectra", "How large is the change?", _weights, "Zhong and Raghunathan 2025"
)
ACTIVATIONS = baseline(
    "activations", "How far are activations?", _activations, "Minder et al. 2025"
)
SIMPLE_PROBE = baseline(
    "simple probe", "Does a lie probe fire?", _probe, "Goldowsky-Dill et al. 2025"
)
