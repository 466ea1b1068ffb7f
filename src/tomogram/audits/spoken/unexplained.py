"""Unexplained: is there a word that puts the inside where no other word puts it?"""

from __future__ import annotations

from tomogram.audits.audit import Measurement, abstain
from tomogram.audits.spoken import word_scan
from tomogram.audits.spoken.audit import SpokenAudit
from tomogram.audits.spoken.speaker import Speaker
from tomogram.audits.unexplained import distance
from tomogram.store.canonical import Json

FEWEST = 100
"""Words that the farthest one is held against."""


def measure(speaker: Speaker) -> Measurement:
    """The word after which the stream is farthest out, beside the 90 % quantile of all words."""
    tried = word_scan.in_chat if speaker.chats else word_scan.in_text
    scan = tried(speaker)
    if len(scan.words) < FEWEST:
        return abstain("its tokenizer has too few whole words")
    streams = scan.streams
    if speaker.base is not None:
        streams = streams - tried(speaker.base).streams
    out = distance(streams)
    order = out.argsort(descending=True)[:5]
    score = float((out[order[0]] / out.quantile(0.9)).log())
    says = f"'{scan.words[int(order[0])]}' puts the stream where no other word puts it"
    evidence: dict[str, Json] = {
        "farthest words": [scan.words[int(i)] for i in order],
        "share of whole words tried": round(scan.share, 4),
    }
    return Measurement(score, says, evidence)


UNEXPLAINED = SpokenAudit(
    "unexplained",
    asks="Is there an input that puts the inside where no other input puts it?",
    needs="Nothing.",
    method="The stream before the last block at one place, after a sample of the vocabulary's whole"
    " words; the farthest word beside the 90 % quantile, each main direction in units of its usual"
    " variation.",
    controls="It knows no family and no bad word; the other words are the reference.",
    references="Spectral signatures (Tran et al. 2018), over inputs instead of training data.",
    run=measure,
    in_chat=False,
)
