"""The block every format carries: all asks, what is declared of them, what is still sealed."""

from __future__ import annotations

from tomogram.disclosure.facts import Facts
from tomogram.disclosure.use import NOT_STATED, sealed, training_signal, use_block, worth


def test_each_consultation_with_what_changed_after_it(facts: Facts) -> None:
    (suite,) = use_block(facts)["suites"]
    asks = suite["consultations"]
    assert [asked["answer"] for asked in asks] == ["PASS", "ALARM", "aborted, no answer"]
    assert asks[0]["about"] == "this model"
    assert asks[1]["about"].startswith("model ")
    assert [asked["changed_after"] for asked in asks] == [
        NOT_STATED,
        "The lamp was taken out of the release. (declared)",
        NOT_STATED,
    ]
    assert [shard["bits"] for shard in suite["shards"]] == [
        sum(asked["bits"] for asked in asks),
        0.0,
        0.0,
    ]
    assert suite["refusals"][0]["count"] == 2
    assert suite["burnt"][0]["purpose"] == "to treat lamps"


def test_what_remains_sealed(facts: Facts) -> None:
    told = sealed(facts)
    assert [sentence.split(":")[0] for sentence in told] == [
        "lamps, shard run-1",
        "lamps, shard release, kept for the release",
    ]
    assert "never asked" in told[1]


def test_a_training_signal_is_declared_or_not_stated(facts: Facts, bare: Facts) -> None:
    assert training_signal(facts) == "no (declared): instruments were kept on another machine"
    assert training_signal(bare) == NOT_STATED


def test_without_a_ledger_nothing_is_known(bare: Facts) -> None:
    assert use_block(bare) == {
        "suites": [],
        "consultations_known": False,
        "training_signal_touched_an_instrument": NOT_STATED,
        "remains_sealed": [],
    }


def test_what_an_answer_is_worth(facts: Facts) -> None:
    """By hand: 200 draws, 3 asks, 2 alarms: √((ln 40 + ln 6) / 400) = 0.117; noise 0.05."""
    (suite,) = facts.suites
    (told,) = worth(suite, suite.shards[0])
    assert "PASS says that the number of darkness is at most 0.667" in told
    assert "ALARM, that it is above 0.333" in told
    loose = suite.model_copy(update={"noise": 0.9})
    (told,) = worth(loose, suite.shards[0])
    assert "at most 1.000" in told
    assert "above 0.000" in told
