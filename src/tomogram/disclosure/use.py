"""How interpretability was used: the block that every format carries.

A test that training can see, or that is asked too often, stops measuring. So a disclosure tells of
each consultation of a sealed suite, what changed after it, whether a training signal touched an
instrument, and what remains sealed. Consultations come out of the ledger; the other two are the
developer's word, and "not stated" where there is none.
"""

from __future__ import annotations

from tomogram.custody.consultations import Consultation, ShardUse, SuiteUse
from tomogram.disclosure.facts import Facts
from tomogram.store.canonical import Json

NOT_STATED = "not stated"
ABSENT = "–"
"""Nothing here, beside something elsewhere."""
TITLE = "How interpretability was used"
NO_SUITE = (
    "No ledger of a sealed suite was given. Whether and how often hidden tests were consulted"
    " while this model was made is not known."
)


def use_block(facts: Facts) -> dict[str, Json]:
    """The whole block as JSON, for formats that machines read."""
    return {
        "suites": [_suite(facts, suite) for suite in facts.suites],
        "consultations_known": bool(facts.suites),
        "training_signal_touched_an_instrument": training_signal(facts),
        "remains_sealed": sealed(facts),
    }


def training_signal(facts: Facts) -> str:
    """Whether a training signal touched an instrument, as declared."""
    declared = facts.statement.training_signal
    if declared is None:
        return NOT_STATED
    word = "yes" if declared.touched else "no"
    return f"{word} (declared)" + (f": {declared.how}" if declared.how else "")


def changed_after(facts: Facts, suite: str, asked: Consultation) -> str:
    """What changed after one consultation, as declared."""
    declared = facts.statement.changed_after(suite, asked.row)
    return f"{declared} (declared)" if declared else NOT_STATED


def about(facts: Facts, asked: Consultation) -> str:
    """Which model was asked about."""
    return "this model" if asked.model == facts.model.digest else f"model {asked.model[:12]}"


def answered(asked: Consultation) -> str:
    """What came back. A run without an answer was aborted and is charged like any other."""
    return asked.answer or "aborted, no answer"


def worth(use: SuiteUse, shard: ShardUse) -> list[str]:
    """What the two answers say of the true number, one sentence a question.

    docs/custody.md, section "The bound": the threshold, give or take the width and the noise.
    """
    slack = shard.width + use.noise
    return [
        f"On {shard.name}, PASS says that the number of {question.name} is at most"
        f" {min(1.0, question.threshold + slack):.3f}; ALARM, that it is above"
        f" {max(0.0, question.threshold - slack):.3f} (1 is worst)."
        for question in use.questions
    ]


def sealed(facts: Facts) -> list[str]:
    """What nobody has seen yet, one sentence a shard."""
    return [_sealed(use, shard) for use in facts.suites for shard in use.shards if not shard.burnt]


def _sealed(use: SuiteUse, shard: ShardUse) -> str:
    kept = ", kept for the release" if shard.reserved else ""
    asked = (
        "never asked" if shard.asks == 0 else f"asked {shard.asks} of {shard.asks_allowed} times"
    )
    return (
        f"{use.suite}, shard {shard.name}{kept}: {shard.draws} draws; {asked}; no score was shown."
    )


def _suite(facts: Facts, use: SuiteUse) -> dict[str, Json]:
    body: dict[str, Json] = use.model_dump(mode="json")
    body["consultations"] = [
        {
            **asked.model_dump(mode="json"),
            "answer": answered(asked),
            "about": about(facts, asked),
            "changed_after": changed_after(facts, use.suite, asked),
        }
        for asked in use.consultations
    ]
    return body
