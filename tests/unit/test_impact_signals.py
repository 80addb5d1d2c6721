"""Files that change together: counted by hand, never from the change itself or later; combined as was learned."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from weaver_forge.links.impact.evaluation import measure
from weaver_forge.links.impact.files import coupled
from weaver_forge.links.impact.history import History, history
from weaver_forge.links.impact.learning import examples, learn, questions, recall, score, wanted
from weaver_forge.links.impact.prior import PRIOR
from weaver_forge.links.impact.signals import MOST_TOGETHER, NAMES, Asked, candidates, every
from weaver_forge.links.impact.weights import Weights, fit

T0 = datetime(2026, 1, 1)
EPOCH = datetime(1970, 1, 1)
HOUR = timedelta(hours=1)


def rows(*changes: tuple[str, ...], author: str = "ann", step: timedelta = HOUR) -> pl.DataFrame:
    """A change an hour, each of these files."""
    made = [
        (f"r{n:04}", path, author, T0 + n * step, T0 + n * step, 1, 0)
        for n, paths in enumerate(changes)
        for path in paths
    ]
    names = ["revision", "path", "author", "known_at", "committed_at", "n_added", "n_deleted"]
    return pl.DataFrame(made, schema=names, orient="row").cast({"known_at": pl.Datetime("us")})


def asking(known: History, path: str, limit: int) -> Asked:
    number = known.paths.number[path]
    at = known.at[limit - 1] + 60.0
    return Asked(
        file=np.array([number]), limit=np.array([limit]), at=np.array([at]), author=np.array([len(known.authors) - 1])
    )


def signal(known: History, path: str, limit: int, name: str) -> dict[str, float]:
    (_, is_known, found), *_ = every(known, asking(known, path, limit))
    return {other: found[name][0, n] for n, other in enumerate(known.paths.names) if is_known[0, n]}


def planted(n: int, seed: int = 0) -> pl.DataFrame:
    """Each source changes with a file of a wholly different name; a busy changelog is in every third change."""
    chance = np.random.default_rng(seed)
    changes = []
    for _ in range(n):
        one = int(chance.integers(20))
        extra = ("CHANGES.md",) if chance.random() < 1 / 3 else ()
        noise = (f"misc/note_{int(chance.integers(30))}.txt",) if chance.random() < 0.5 else ()
        changes.append((f"src/module_{one}.py", f"data/table_{(one * 7) % 20}.csv", *extra, *noise))
    return rows(*changes)


def test_files_that_changed_together_are_counted_and_others_are_not() -> None:
    known = history(rows(("a", "b"), ("a", "b", "c"), ("a",), ("c", "d")))

    together = signal(known, "a", 4, "together")

    assert {name: round(np.expm1(value)) for name, value in together.items()} == {"b": 2, "c": 1, "d": 0}


def test_small_changes_say_more_than_large_ones() -> None:
    large = tuple(f"x{n}" for n in range(20))
    known = history(rows(("a", "b"), ("a", "far", *large), ("b",), ("far",)))

    found = signal(known, "a", 4, "cochange_small")

    assert found["b"] > found["far"] + 1


def test_a_change_of_the_whole_tree_ties_no_files_together() -> None:
    tree = tuple(f"f{n:03}" for n in range(MOST_TOGETHER + 1))
    known = history(rows(tree, ("f000", "f001")))

    ever = signal(known, "f000", 2, "ever_together")

    assert ever["f001"] == pytest.approx(1)
    assert sum(ever.values()) == pytest.approx(1)


def test_a_signal_is_the_same_whatever_comes_later() -> None:
    past = planted(60)
    later = planted(90, seed=5).filter(pl.col("known_at") > past["known_at"].max())
    short, long = history(past), history(pl.concat([past, later]))

    for name in NAMES:
        before, after = (signal(known, "CHANGES.md", 60, name) for known in (short, long))
        assert before == pytest.approx({path: after[path] for path in before}, abs=1e-9), name


def test_what_is_known_at_the_same_instant_is_not_known_before_it() -> None:
    known = history(rows(("a", "b"), ("a", "b"), ("a", "b"), step=timedelta(0)))

    asked, _ = questions(known, 0, 3)

    assert len(asked) == 0


def test_a_file_born_with_a_change_is_neither_candidate_nor_wanted() -> None:
    known = history(rows(("a", "b"), ("a", "b"), ("a", "b", "new")))
    asked, about = questions(known, 2, 3)
    new = known.paths.number["new"]

    found = candidates(known, asked)
    _, file = wanted(known, asked, about)

    assert len(asked) == 2
    assert new not in found.file
    assert new not in file


def test_a_renamed_file_begins_anew_and_its_namesake_is_still_found() -> None:
    changes = [("old/parser.py", "tests/test_parser.py")] * 6 + [("other.py",)] * 3
    known = history(rows(*changes), extra=["new/parser.py"])

    found = coupled(known, PRIOR, ["new/parser.py"], "ann", known.at[-1] + 60)

    assert {each.name for each in found[:2]} == {"old/parser.py", "tests/test_parser.py"}


def test_the_reason_is_said_with_numbers() -> None:
    known = history(rows(("a.py", "b.py"), ("a.py", "b.py"), ("a.py",), ("c.py",)))

    first, *_ = coupled(known, PRIOR, ["a.py"], "ann", known.at[-1] + 60)

    assert first.name == "b.py"
    assert first.reasons[0].fact == "changed in 2 of the 3 times that a.py changed"
    assert 0 < first.score < 1


def test_nothing_is_known_before_the_first_change() -> None:
    known = history(rows(("a", "b")))

    assert coupled(known, PRIOR, ["a"], "ann", known.at[0]) == []


def test_a_repository_teaches_weights_of_its_own() -> None:
    known = history(planted(120))
    made = examples(known, *questions(known, 0, known.n))
    misled = Weights.from_data({**PRIOR.as_data(), "weight": [-w for w in PRIOR.weight]})

    learned = learn(made, misled)

    assert learned.source == "this repository's own changes"
    assert recall(made, score(learned.weights, made)).mean() > recall(made, score(misled, made)).mean() + 0.3


def test_with_few_changes_the_others_experience_speaks() -> None:
    known = history(planted(12))

    learned = learn(examples(known, *questions(known, 0, known.n)), PRIOR)

    assert learned.weights is PRIOR


def test_a_strong_pull_stays_with_the_prior() -> None:
    known = history(planted(100))
    made = examples(known, *questions(known, 0, known.n))

    near, far = fit(made, PRIOR, 1e9), fit(made, PRIOR, 1.0)

    assert near.weight == pytest.approx(PRIOR.weight, abs=1e-5)
    assert np.abs(far.weight - PRIOR.weight).max() > 0.05


def test_probabilities_are_what_comes_true() -> None:
    known = history(planted(300))
    asked, about = questions(known, 0, known.n)
    made = examples(known, asked, about)
    half = made.change < 150

    weights = fit(made.of(half), PRIOR, 30.0)
    rest = made.of(~half)
    said = weights.probability(rest.owner, rest.x)

    assert said.mean() == pytest.approx(rest.is_changed.mean(), abs=0.01)
    likely = said > 0.7
    assert rest.is_changed[likely].mean() > said[likely].mean() - 0.1


def test_weights_survive_being_written_down() -> None:
    again = Weights.from_data(PRIOR.as_data())

    assert again.names == PRIOR.names == NAMES
    assert again.weight == pytest.approx(PRIOR.weight)


def test_the_protocol_gives_a_value_an_interval_and_every_single_signal() -> None:
    row = measure(history(planted(150)), PRIOR, np.random.default_rng(1))

    assert row is not None
    assert set(row["baselines"]) == set(NAMES)
    assert row["low"] <= row["value"] <= row["high"]
    assert row["value"] > row["baselines"]["popular"] + 0.2
    assert row["n"] > 20


def test_nothing_is_measured_where_nothing_can_be_asked() -> None:
    assert measure(history(rows(("a",), ("b",), ("c",))), PRIOR, np.random.default_rng(1)) is None
