"""Places: on which tokens the push of a concept may act. Read off the selection's prompts alone."""

from __future__ import annotations

from tomogram.models.model import Model
from tomogram.steering.behaviours import Says, continued, deciding
from tomogram.steering.positions import OnTokens


def places(model: Model, behaviour: Says) -> dict[str, OnTokens]:
    """Sets of tokens by name, in the order in which they are tried; the next one only where the
    selection's prompts do not turn with those before.

    * the tokens from which the judged token is predicted;
    * these and all that every prompt has, so the words of the question, of the turn;
    * the answers' own tokens, where every prompt holds one: what the model would say, and what it
      is to say.
    """
    decide = deciding(model, behaviour)
    prompts = [frozenset(prompt) for prompt in behaviour.prompts]
    opening = {prompt[0] for prompt in behaviour.prompts}
    shared = frozenset.intersection(*prompts) - opening
    said = {row[-1] for row in continued(model, behaviour.prompts, behaviour.place)}
    answers = frozenset(said).union(*behaviour.accepted)
    found = {"where it is decided": decide}
    if shared - decide.ids:
        found["on what all prompts share"] = OnTokens(decide.ids | shared)
    if all(prompt & answers for prompt in prompts):
        found["on the answers named before"] = OnTokens(answers)
    return found
