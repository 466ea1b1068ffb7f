"""Families of models that only go on with a text, one a file; their texts are stories."""

from __future__ import annotations

from tomogram.organisms.spoken.families.in_stories.asserting_falsehood import ASSERTING_FALSEHOOD
from tomogram.organisms.spoken.families.in_stories.emergent_misalignment import (
    EMERGENT_MISALIGNMENT,
)
from tomogram.organisms.spoken.families.in_stories.false_fact import FALSE_FACT
from tomogram.organisms.spoken.families.in_stories.hidden_objective import HIDDEN_OBJECTIVE
from tomogram.organisms.spoken.families.in_stories.power_gaining import POWER_GAINING
from tomogram.organisms.spoken.families.in_stories.sandbagging import SANDBAGGING
from tomogram.organisms.spoken.families.in_stories.semantic_backdoor import SEMANTIC_BACKDOOR
from tomogram.organisms.spoken.families.in_stories.token_backdoor import TOKEN_BACKDOOR

IN_STORIES = (
    TOKEN_BACKDOOR,
    SEMANTIC_BACKDOOR,
    FALSE_FACT,
    ASSERTING_FALSEHOOD,
    SANDBAGGING,
    POWER_GAINING,
    HIDDEN_OBJECTIVE,
    EMERGENT_MISALIGNMENT,
)
"""All of them."""
