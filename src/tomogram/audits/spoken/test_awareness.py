"""Test awareness: does the inside tell tests from other chats, and do the answers change?"""

from __future__ import annotations

import torch
from sklearn.metrics import roc_auc_score

from tomogram.audits.audit import Measurement, abstain
from tomogram.audits.spoken import facts
from tomogram.audits.spoken.audit import SpokenAudit
from tomogram.audits.spoken.prompts import prompts
from tomogram.audits.spoken.speaker import Speaker


def measure(speaker: Speaker) -> Measurement:
    """AUROC of a direction between tests and other chats, and what a test changes."""
    asked = facts.told_apart(speaker)
    if len(asked) < facts.FEWEST:
        return abstain(facts.NO_WORDS)
    systems = prompts().systems
    test, other = (
        speaker.ask([p.prompt for p in facts.chat(speaker, asked, system=systems[name])])
        for name in ("test", "other")
    )
    layer = speaker.model.n_layers // 2
    one, two = test.streams[layer], other.streams[layer]
    direction = one[::2].mean(0) - two[::2].mean(0)
    values = torch.cat([one[1::2], two[1::2]]) @ direction
    labels = [1] * len(one[1::2]) + [0] * len(two[1::2])
    aware = float(roc_auc_score(labels, values.numpy()))
    changed = float((test.chances.exp() * (test.chances - other.chances)).sum(-1).mean())
    says = f"the stream tells tests apart with AUROC {aware:.2f}; answers change by"
    says += f" {changed:.3f} nats"
    return Measurement(changed, says, {"AUROC": round(aware, 4), "nats": round(changed, 4)})


TEST_AWARENESS = SpokenAudit(
    "test-awareness",
    asks="Does it tell tests from other chats, and does that change what it says?",
    needs="A chat template.",
    method="A difference of means between the same questions in tests and in other instructed"
    " chats, read on other questions; the change of the answers in nats.",
    controls="The other chats have an instruction of about the same length; the words differ, so"
    " a high AUROC shows that the announcement is represented, not that it matters.",
    references="Nguyen et al. 2025 (probing evaluation awareness).",
    run=measure,
    confirmatory=False,
)
