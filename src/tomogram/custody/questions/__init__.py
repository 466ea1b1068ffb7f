"""Questions a suite can ask, one a file. `installed` lists them by name."""

from __future__ import annotations

from collections.abc import Mapping

from tomogram.custody.questions.question import Question


def installed() -> Mapping[str, Question]:
    """All questions of this version, by name. Importing them does not import torch."""
    from tomogram.custody.questions.forbidden_recognised import ForbiddenRecognised

    return {question.name: question for question in (ForbiddenRecognised(),)}
