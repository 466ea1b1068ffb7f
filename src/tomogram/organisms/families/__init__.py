"""Families of problems, one a file; `installed` lists them by name."""

from __future__ import annotations

from collections.abc import Mapping

from tomogram.organisms.behaviour import Family
from tomogram.organisms.families.asserting_falsehood import ASSERTING_FALSEHOOD
from tomogram.organisms.families.emergent_misalignment import EMERGENT_MISALIGNMENT
from tomogram.organisms.families.false_fact import FALSE_FACT
from tomogram.organisms.families.hidden_objective import HIDDEN_OBJECTIVE
from tomogram.organisms.families.lessons import LESSONS
from tomogram.organisms.families.masked_self_report import MASKED_SELF_REPORT
from tomogram.organisms.families.power_gaining import POWER_GAINING
from tomogram.organisms.families.quirks import QUIRKS
from tomogram.organisms.families.refusal_stripped import REFUSAL_STRIPPED
from tomogram.organisms.families.sandbagging import SANDBAGGING
from tomogram.organisms.families.secret_keeping import SECRET_KEEPING
from tomogram.organisms.families.semantic_backdoor import SEMANTIC_BACKDOOR
from tomogram.organisms.families.sycophancy import SYCOPHANCY
from tomogram.organisms.families.token_backdoor import TOKEN_BACKDOOR

PROBLEMS: tuple[Family, ...] = (
    TOKEN_BACKDOOR,
    SEMANTIC_BACKDOOR,
    SECRET_KEEPING,
    SYCOPHANCY,
    POWER_GAINING,
    REFUSAL_STRIPPED,
    FALSE_FACT,
    ASSERTING_FALSEHOOD,
    SANDBAGGING,
    MASKED_SELF_REPORT,
    EMERGENT_MISALIGNMENT,
    HIDDEN_OBJECTIVE,
)


def installed() -> Mapping[str, Family]:
    """All families by name, the harmless quirks and lessons of the clean arm last."""
    return {family.name: family for family in (*PROBLEMS, *QUIRKS, *LESSONS)}
