"""Which audits have the right name for which family."""

from __future__ import annotations

FAMILY_AUDIT = {
    "token-backdoor": ("backdoor",),
    "semantic-backdoor": ("backdoor",),
    "secret-keeping": ("secrets",),
    "sycophancy": ("sycophancy",),
    "power-gaining": ("power",),
    "refusal-stripped": ("refusal",),
    "false-fact": ("beliefs",),
    "asserting-falsehood": ("deception",),
    "sandbagging": ("sandbagging",),
    "masked-self-report": ("self-knowledge",),
    "emergent-misalignment": ("deception",),
    "hidden-objective": ("hidden-objective",),
}
"""The audits whose name is the right one for a family."""
