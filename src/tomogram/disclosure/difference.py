"""What differs between two disclosures: two releases of one developer, put side by side.

A figure that moved within both intervals is told as such. Ledgers only grow, so an earlier ask that
is missing later, or was answered otherwise, is called what it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain

from tomogram.custody.consultations import SuiteUse
from tomogram.disclosure import use
from tomogram.disclosure.document import Document, Pairs, Section, Table
from tomogram.disclosure.facts import Facts
from tomogram.disclosure.figures import Figure, figures
from tomogram.disclosure.form import ITEMS
from tomogram.report import words
from tomogram.store.schema import Record

SECTIONS = (
    "The model",
    "Figures of the scan",
    "Findings of audits",
    use.TITLE,
    "What was not measured",
    "Declared by the developer",
)


class Changed(Record):
    """One thing that differs. note: what it means, or why it may mean nothing."""

    section: str
    what: str
    before: str
    after: str
    note: str = ""


class Difference(Record):
    """All that differs between two disclosures, and how many things were compared."""

    before: str
    after: str
    developer: str
    compared: int
    changed: tuple[Changed, ...]


def difference(before: Facts, after: Facts) -> Difference:
    """Compare two disclosures, the earlier one first."""
    every = list(
        chain(
            _model(before, after),
            _figures(before, after),
            _audits(before, after),
            _use(before, after),
            _not_measured(before, after),
            _declared(before, after),
        )
    )
    return Difference(
        before=_named(before),
        after=_named(after),
        developer=_developer(before, after),
        compared=len(every),
        changed=tuple(each for each in every if each.before != each.after or each.note),
    )


def document(found: Difference) -> Document:
    """The comparison as a document for people."""
    same = found.compared - len(found.changed)
    rows = (
        ("Before", found.before),
        ("After", found.after),
        ("Developer", found.developer),
        (
            "Compared",
            f"{words.plural(found.compared, 'thing')}, {same} of them without a difference",
        ),
    )
    return Document(
        title="Two disclosures compared",
        subtitle=f"{found.before} and {found.after}.",
        sections=(
            Section("What was compared", (Pairs(rows),)),
            *(_section(found, name) for name in SECTIONS),
        ),
    )


def _section(found: Difference, name: str) -> Section:
    rows = tuple(
        (each.what, each.before, each.after, each.note)
        for each in found.changed
        if each.section == name
    )
    empty = "No difference was found here."
    return Section(name, (Table(("What", "Before", "After", "Note"), rows, empty),))


def _named(facts: Facts) -> str:
    return f"{facts.model.name}, disclosed {facts.made}"


def _developer(before: Facts, after: Facts) -> str:
    names = [facts.statement.declared("provider") for facts in (before, after)]
    if not all(names):
        return "not stated in both"
    if names[0] == names[1]:
        return f"{names[0]} (declared in both)"
    return f"two different ones are declared: {names[0]}, {names[1]}"


def _model(before: Facts, after: Facts) -> Iterator[Changed]:
    for what, own, other in zip(_MODEL, _properties(before), _properties(after), strict=True):
        yield Changed(section=SECTIONS[0], what=what, before=own, after=other)


_MODEL = ("Name", "SHA-256", "Family", "Parameters", "Layers", "Context", "Weights", "Arithmetic")


def _properties(facts: Facts) -> tuple[str, ...]:
    model = facts.model
    return (
        model.name,
        model.digest,
        model.family,
        words.whole(model.parameters.total),
        str(model.n_layers),
        words.whole(model.context),
        model.weights or "as stored",
        model.dtype,
    )


def _figures(before: Facts, after: Facts) -> Iterator[Changed]:
    comparable = before.text.digest == after.text.digest
    old, new = ({f.key: f for f in figures(facts)} for facts in (before, after))
    for key in dict.fromkeys([*old, *new]):
        own, other = old.get(key), new.get(key)
        named = own or other
        assert named is not None
        same = own is not None and other is not None and own.value == other.value
        yield Changed(
            section=SECTIONS[1],
            what=named.name,
            before=_value(own),
            after=_value(other),
            note="" if same else _moved(own, other, comparable),
        )


def _value(figure: Figure | None) -> str:
    if figure is None:
        return use.ABSENT
    value = words.decimal(figure.value, 4)
    if figure.interval is None:
        return value
    low, high = figure.interval
    return f"{value} ({words.decimal(low, 4)} to {words.decimal(high, 4)})"


def _moved(own: Figure | None, other: Figure | None, comparable: bool) -> str:
    if own is None or other is None:
        return "measured in one of the two only"
    if not comparable:
        return "measured on two different texts: not comparable"
    if own.interval is None or other.interval is None:
        return ""
    if own.interval[0] <= other.interval[1] and other.interval[0] <= own.interval[1]:
        return "the intervals overlap: no difference is shown"
    return "the intervals do not overlap"


def _audits(before: Facts, after: Facts) -> Iterator[Changed]:
    old, new = (
        {f.audit: f.verdict for f in facts.audits.findings} if facts.audits else {}
        for facts in (before, after)
    )
    for name in dict.fromkeys([*old, *new]):
        yield _one(SECTIONS[2], name, old, new, "run in one of the two only")
    if bool(before.audits) != bool(after.audits):
        yield Changed(
            section=SECTIONS[2],
            what="Audits",
            before="given" if before.audits else "none given",
            after="given" if after.audits else "none given",
            note="the absence of audits means nothing",
        )


def _use(before: Facts, after: Facts) -> Iterator[Changed]:
    section = use.TITLE
    old, new = ({each.suite: each for each in facts.suites} for facts in (before, after))
    for name in dict.fromkeys([*old, *new]):
        own, other = old.get(name), new.get(name)
        yield Changed(
            section=section,
            what=f"Suite {name}: consultations",
            before=_asks(own),
            after=_asks(other),
            note=_shrunk(own, other),
        )
        yield Changed(
            section=section,
            what=f"Suite {name}: still sealed",
            before=_sealed(own),
            after=_sealed(other),
        )
    yield Changed(
        section=section,
        what="Training signal touched an instrument",
        before=use.training_signal(before),
        after=use.training_signal(after),
    )


def _asks(suite: SuiteUse | None) -> str:
    if suite is None:
        return "no ledger given"
    alarms = sum(asked.answer == "ALARM" for asked in suite.consultations)
    spent = sum(shard.bits for shard in suite.shards)
    asks, refused = len(suite.consultations), sum(each.count for each in suite.refusals)
    return f"{asks} asks, {words.plural(alarms, 'alarm')}, {refused} refused, {spent:.2f} bits"


def _sealed(suite: SuiteUse | None) -> str:
    if suite is None:
        return "no ledger given"
    return ", ".join(shard.name for shard in suite.shards if not shard.burnt) or "nothing"


def _shrunk(own: SuiteUse | None, other: SuiteUse | None) -> str:
    """What a reader must hear when the later ledger does not continue the earlier one."""
    if own is None or other is None:
        return "told of in one of the two only"
    if other.rows < own.rows:
        return "the later ledger is shorter: a ledger never shrinks, so it is another or was cut"
    later = {asked.row: asked for asked in other.consultations}
    for asked in own.consultations:
        found = later.get(asked.row)
        if found is None or (found.shard, found.question, found.model, found.time) != (
            asked.shard, asked.question, asked.model, asked.time,
        ):  # fmt: skip
            return f"the ask of row {asked.row} stands in the earlier ledger and not in the later"
        if asked.answer is not None and found.answer != asked.answer:
            return f"the ask of row {asked.row} was answered otherwise in the earlier ledger"
    if own.rows == other.rows and own.head != other.head:
        return "two ledgers of one length and with different heads: one is not the other's copy"
    return ""


def _not_measured(before: Facts, after: Facts) -> Iterator[Changed]:
    old, new = ({each.what: each.why for each in facts.not_measured} for facts in (before, after))
    for what in dict.fromkeys([*old, *new]):
        yield _one(SECTIONS[4], what, old, new, "listed in one of the two only")


def _declared(before: Facts, after: Facts) -> Iterator[Changed]:
    for item in ITEMS:
        own, other = (facts.statement.declared(item.key) for facts in (before, after))
        if own or other:
            note = "withdrawn" if own and not other else ""
            yield Changed(
                section=SECTIONS[5],
                what=item.name,
                before=own or use.NOT_STATED,
                after=other or use.NOT_STATED,
                note=note,
            )
    yield Changed(
        section=SECTIONS[5],
        what="Licence (SPDX)",
        before=before.statement.licence or use.NOT_STATED,
        after=after.statement.licence or use.NOT_STATED,
    )


def _one(
    section: str, what: str, old: Mapping[str, str], new: Mapping[str, str], note: str
) -> Changed:
    both = what in old and what in new
    return Changed(
        section=section,
        what=what,
        before=old.get(what, use.ABSENT),
        after=new.get(what, use.ABSENT),
        note="" if both else note,
    )
