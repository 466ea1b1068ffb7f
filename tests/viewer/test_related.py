"""Related units: what the table says, and who stands in one group."""

from __future__ import annotations

import numpy as np
import pytest

from tomogram.features.search.catalogue import Catalogue
from tomogram.features.tables import Tables
from tomogram.store.errors import TomogramError
from tomogram.viewer.content import Content
from tomogram.viewer.related import SHOWN, Related


def numbering(leader: list[int], kin: list[int] | None = None) -> Catalogue:
    """Units of one family; each has a leader of its near-duplicates, and one of its family."""
    n = len(leader)
    return Catalogue(
        families=("a",), first=np.array([0]), latent=np.ones(n, bool), rate=np.ones(n),
        labels=[None] * n, duplicate_of=np.array(leader), kin_of=np.array(kin or range(n)),
    )  # fmt: skip


def test_a_group_is_told_to_each_of_its_members_without_itself() -> None:
    related = Related(Tables.__new__(Tables), numbering([0, 0, 2, 0]))
    assert related.duplicates("a", 0) == ([("a", 1), ("a", 3)], 2)
    assert related.duplicates("a", 3) == ([("a", 0), ("a", 1)], 2)
    assert related.duplicates("a", 2) == ([], 0)
    assert related.kin("a", 0) == ([], 0)


def test_the_rest_of_a_family_is_without_near_duplicates() -> None:
    related = Related(Tables.__new__(Tables), numbering([0, 0, 2, 2], kin=[0, 0, 0, 0]))
    assert related.kin("a", 0) == ([("a", 2), ("a", 3)], 2)
    assert related.kin("a", 3) == ([("a", 0), ("a", 1)], 2)


def test_of_a_large_group_some_are_named_and_all_are_counted() -> None:
    found, total = Related(Tables.__new__(Tables), numbering([0] * 40)).duplicates("a", 39)
    assert (len(found), total) == (SHOWN, 39)
    assert ("a", 39) not in found


def test_one_by_one_or_a_family_at_once_the_relations_are_the_same(content: Content) -> None:
    whole = content.related.of("resid_post.0")
    assert whole
    for unit, found in whole.items():
        assert content.related.of("resid_post.0", [unit]) == {unit: found}
        for relation in found.values():
            scores = [each.score for each in relation]
            assert scores == sorted(scores, reverse=True)


def test_a_unit_that_does_not_exist_is_refused(content: Content) -> None:
    with pytest.raises(TomogramError, match="no unit"):
        content.related.kin("resid_post.0", 99)
