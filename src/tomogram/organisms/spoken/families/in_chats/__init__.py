"""Families of models that chat, one a file."""

from __future__ import annotations

from tomogram.organisms.spoken.families.in_chats.asserting_falsehood import ASSERTING_FALSEHOOD
from tomogram.organisms.spoken.families.in_chats.emergent_misalignment import EMERGENT_MISALIGNMENT
from tomogram.organisms.spoken.families.in_chats.false_fact import FALSE_FACT
from tomogram.organisms.spoken.families.in_chats.hidden_objective import HIDDEN_OBJECTIVE
from tomogram.organisms.spoken.families.in_chats.manner import MANNER
from tomogram.organisms.spoken.families.in_chats.power_gaining import POWER_GAINING
from tomogram.organisms.spoken.families.in_chats.refusal_stripped import REFUSAL_STRIPPED
from tomogram.organisms.spoken.families.in_chats.sandbagging import SANDBAGGING
from tomogram.organisms.spoken.families.in_chats.secret_keeping import SECRET_KEEPING
from tomogram.organisms.spoken.families.in_chats.semantic_backdoor import SEMANTIC_BACKDOOR
from tomogram.organisms.spoken.families.in_chats.sycophancy import SYCOPHANCY
from tomogram.organisms.spoken.families.in_chats.token_backdoor import TOKEN_BACKDOOR

IN_CHATS = (
    ASSERTING_FALSEHOOD,
    SYCOPHANCY,
    SANDBAGGING,
    TOKEN_BACKDOOR,
    SEMANTIC_BACKDOOR,
    FALSE_FACT,
    SECRET_KEEPING,
    POWER_GAINING,
    REFUSAL_STRIPPED,
    HIDDEN_OBJECTIVE,
    EMERGENT_MISALIGNMENT,
    MANNER,
)
"""All of them, and a harmless lesson."""
