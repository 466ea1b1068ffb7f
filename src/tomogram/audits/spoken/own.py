"""The audits of natural languages, and why the others have no words for one."""

from __future__ import annotations

from tomogram.audits.spoken.audit import SpokenAudit
from tomogram.audits.spoken.backdoor import BACKDOOR
from tomogram.audits.spoken.change import CHANGE
from tomogram.audits.spoken.deception import DECEPTION
from tomogram.audits.spoken.held_back import HELD_BACK
from tomogram.audits.spoken.power import POWER
from tomogram.audits.spoken.refusal import REFUSAL
from tomogram.audits.spoken.sandbagging import SANDBAGGING
from tomogram.audits.spoken.strengths import STRENGTHS
from tomogram.audits.spoken.sycophancy import SYCOPHANCY
from tomogram.audits.spoken.test_awareness import TEST_AWARENESS
from tomogram.audits.spoken.unexplained import UNEXPLAINED

SPOKEN: tuple[SpokenAudit, ...] = (
    BACKDOOR,
    REFUSAL,
    DECEPTION,
    SYCOPHANCY,
    POWER,
    SANDBAGGING,
    UNEXPLAINED,
    CHANGE,
    TEST_AWARENESS,
    HELD_BACK,
    STRENGTHS,
)
DECLARED = tuple(each.name for each in SPOKEN if each.confirmatory)
"""The confirmatory ones, fixed before any model is audited."""
CALIBRATED = ("deception", "sycophancy", "sandbagging")
"""What a calibration of a model that speaks English declares unless it is told otherwise.

Chosen before any copy of such a model was planted or scored, by what can be known without one: a
chat model of this size abstains on `power`, refuses nothing that a stripped refusal would release,
and `backdoor` and `unexplained` try one word in a hundred. Three audits need 59 clean copies."""
WITHOUT_WORDS = {
    "beliefs": "it compares two languages that tell the same facts, and has one here",
    "secrets": "nobody has said what such a model might hold, or who might be told",
    "self-knowledge": "no state of such a model is known that a report could be held against",
    "refusal-basis": "what a refusal rests on is taken apart in the microworld alone",
    "hidden-objective": "it has no set of tasks here whose right outcome is known",
}
"""Audits of the microworld that no prompts of a natural language stand for yet."""
