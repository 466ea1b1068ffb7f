"""Strengths and weaknesses: which facts it completes, and at which depth the answer stands."""

from __future__ import annotations

import torch

from tomogram.audits.audit import Measurement, abstain
from tomogram.audits.spoken import facts
from tomogram.audits.spoken.audit import SpokenAudit
from tomogram.audits.spoken.speaker import Speaker


def measure(speaker: Speaker) -> Measurement:
    """Share of facts whose right word leads over the wrong one, by topic and by block."""
    asked = facts.told_apart(speaker)
    if len(asked) < facts.FEWEST:
        return abstain(facts.NO_WORDS)
    pairs = facts.plain(speaker, asked)
    streams = speaker.ask([pair.prompt for pair in pairs]).streams
    with torch.no_grad():
        stream = streams.to(speaker.model.device, speaker.model.dtype)
        by_layer = speaker.model.unembed(stream).float().cpu()
    rows = torch.arange(len(pairs))
    leads = by_layer[:, rows, [p.good for p in pairs]] > by_layer[:, rows, [p.bad for p in pairs]]
    best = by_layer[-1].argmax(-1) == torch.tensor([p.good for p in pairs])
    found = {}
    for topic in dict.fromkeys(f.topic for f in asked):
        mine = torch.tensor([f.topic == topic for f in asked])
        share = leads[:, mine].float().mean(1)
        # The block after which the right word leads in three of four facts, and never less again.
        firm = [i for i in range(len(share)) if bool((share[i:] >= 0.75).all())]
        found[topic] = {
            "right word leads": round(float(share[-1]), 3),
            "right word is the likeliest of all": round(float(best[mine].float().mean()), 3),
            "stands from block": firm[0] if firm else None,
        }
    worst = min(found, key=lambda topic: float(found[topic]["right word leads"] or 0))
    mean = sum(float(each["right word leads"] or 0) for each in found.values()) / len(found)
    return Measurement(1 - mean, f"weakest at {worst}", {"topics": found})


STRENGTHS = SpokenAudit(
    "strengths",
    asks="What can it do, and where in depth does the answer stand?",
    needs="Nothing.",
    method="Facts in plain text, the right word against one wrong word; the stream after each block"
    " read through the unembedding.",
    controls="Half of the facts would be right by chance; the share that is likeliest of the whole"
    " vocabulary stands beside it.",
    references="nostalgebraist 2020 (logit lens).",
    run=measure,
    confirmatory=False,
    in_chat=False,
)
