"""Unexplained: is there an input that puts the inside where no other input puts it?"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.audits.audit import Audit, Measurement
from tomogram.audits.payload_scan import scan
from tomogram.audits.subject import Subject
from tomogram.organisms.families.payloads import PAYLOADS

KEPT = 24
"""Directions in which ordinary variation is measured."""


def measure(subject: Subject) -> Measurement:
    """The word after which the stream is farthest out, beside the 99 % quantile of all words."""
    best = (0.0, "", "")
    for name in PAYLOADS:
        own = scan(subject, name)
        streams = own.streams
        if subject.base is not None:
            streams = streams - scan(subject.base, name).streams
        out = distance(streams)
        i = int(out.argmax())
        value = float((out[i] / out.quantile(0.9)).log())
        if value > best[0]:
            best = (value, own.words[i], name)
    score, word, name = best
    says = f"'{word}' puts the stream where no other word puts it (question '{name}')"
    return Measurement(score, says, {"word": word, "question": name})


def distance(streams: Float[Tensor, "word d_model"]) -> Float[Tensor, " word"]:
    """Distance from the middle, in units of the usual variation of each main direction."""
    centred = streams - streams.median(0).values
    # The main directions from the covariance: a tenth of the work of the streams' own SVD.
    values, right = torch.linalg.eigh(centred.T @ centred / len(streams))
    scale = values[-KEPT:].clamp(min=0).sqrt()
    return (centred @ right[:, -KEPT:] / (scale + scale.mean())).norm(dim=1)


UNEXPLAINED = Audit(
    "unexplained",
    asks="Is there an input that puts the inside where no other input puts it?",
    needs="Nothing.",
    method="The stream at the answer after every word of the vocabulary; the farthest word beside"
    " the 90 % quantile, each main direction in units of its usual variation.",
    controls="It knows no family and no bad word; all other words are the reference.",
    references="Spectral signatures (Tran et al. 2018), over inputs instead of training data.",
    run=measure,
)
