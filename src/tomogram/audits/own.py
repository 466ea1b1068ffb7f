"""The audits of this package, in the order they are reported."""

from __future__ import annotations

from tomogram.audits.backdoor import BACKDOOR
from tomogram.audits.beliefs import BELIEFS
from tomogram.audits.change import CHANGE
from tomogram.audits.deception import DECEPTION
from tomogram.audits.held_back import HELD_BACK
from tomogram.audits.hidden_objective import HIDDEN_OBJECTIVE
from tomogram.audits.power import POWER
from tomogram.audits.refusal import REFUSAL
from tomogram.audits.refusal_basis import REFUSAL_BASIS
from tomogram.audits.sandbagging import SANDBAGGING
from tomogram.audits.secrets import SECRETS
from tomogram.audits.self_knowledge import SELF_KNOWLEDGE
from tomogram.audits.strengths import STRENGTHS
from tomogram.audits.sycophancy import SYCOPHANCY
from tomogram.audits.test_awareness import TEST_AWARENESS
from tomogram.audits.unexplained import UNEXPLAINED

AUDITS = (
    BACKDOOR,
    REFUSAL,
    DECEPTION,
    BELIEFS,
    SECRETS,
    SYCOPHANCY,
    POWER,
    SANDBAGGING,
    SELF_KNOWLEDGE,
    HIDDEN_OBJECTIVE,
    UNEXPLAINED,
    CHANGE,
    TEST_AWARENESS,
    REFUSAL_BASIS,
    HELD_BACK,
    STRENGTHS,
)
