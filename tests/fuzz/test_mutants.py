"""200 mutants by a fixed seed: each ends in time and memory with a code that says what was wrong, and one line."""

from collections import Counter

from fuzz.bases import MAKERS
from fuzz.mutants import mutant
from fuzz.mutations import MUTATIONS
from fuzz.survey import survey

_COUNT = 200


def test_mutants_are_many_and_the_same_each_time() -> None:
    made = [mutant(number) for number in range(_COUNT)]
    assert made == [mutant(number) for number in range(_COUNT)]
    assert len({content for content, _ in made}) > 0.9 * _COUNT
    words = {word for _, what in made for word in what.replace(":", "").split()}
    assert MUTATIONS.keys() | {"bytes"} <= words
    assert len(words & MAKERS.keys()) > 0.9 * len(MAKERS)


def test_every_mutant_ends_as_it_may() -> None:
    found = list(survey(0, _COUNT))
    assert [str(verdict) for verdict in found if verdict.bad] == []
    codes = Counter(verdict.code for verdict in found)
    assert len(found) == _COUNT and codes[0] > 20 and codes[3] > 70
