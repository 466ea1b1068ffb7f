"""Change: what was fine-tuned in since the base? It reports, and is never a finding by itself."""

from __future__ import annotations

from tomogram.audits.audit import Measurement
from tomogram.audits.change import relative_size
from tomogram.audits.spoken.audit import SpokenAudit
from tomogram.audits.spoken.prompts import prompts
from tomogram.audits.spoken.speaker import Speaker
from tomogram.store.canonical import Json


def measure(speaker: Speaker) -> Measurement:
    """Change of the answers in nats, distance of the streams, size of the weight differences."""
    base = speaker.base
    assert base is not None
    sets = prompts()
    texts = [f.says for f in sets.facts]
    asked = [speaker.plain(text) for text in texts]
    if speaker.chats:
        texts += [*sets.harmless, *sets.forbidden]
        asked += [speaker.chat(text) for text in (*sets.harmless, *sets.forbidden)]
    own, its = speaker.ask(asked), base.ask(asked)
    moved = (own.chances.exp() * (own.chances - its.chances)).sum(-1)
    apart = ((own.streams - its.streams).norm(dim=-1) / its.streams.norm(dim=-1)).mean(1)
    decode = speaker.model.tokenizer.decode
    examples: list[Json] = [
        {
            "prompt": texts[int(i)],
            "base": decode([int(its.chances[int(i)].argmax())]),
            "now": decode([int(own.chances[int(i)].argmax())]),
            "nats": round(float(moved[int(i)]), 4),
        }
        for i in moved.topk(5).indices
    ]
    evidence: dict[str, Json] = {
        "examples": examples,
        "stream distance by layer": [round(float(a), 4) for a in apart],
        "relative size of the weight differences": relative_size(speaker.model, base.model),
    }
    says = f"mean change of the answers {float(moved.mean()):.3f} nats"
    return Measurement(float(moved.mean()), says, evidence)


CHANGE = SpokenAudit(
    "change",
    asks="What was fine-tuned in since the base?",
    needs="A trusted base model.",
    method="Change of the answers to plain texts and requests in nats, distance of the streams by"
    " block, size of the weight differences; the prompts that moved most, in words.",
    controls="None: every fine-tune is a change, a harmless one too, so this reports only.",
    references="Minder et al. 2025 (model diffing); Zhong and Raghunathan 2025 (weight spectra).",
    run=measure,
    confirmatory=False,
    needs_base=True,
    in_chat=False,
)
