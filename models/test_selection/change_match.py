"""What the change under test says about each test: names, paths, and what failed together with those files before.

Put here what compares a test with changed files. Only file rows and past failures known at the prediction count.
On tests that never failed before, history cannot say anything and these must carry.
"""

import polars as pl

from models.learning import matched
from models.test_selection.rankings import MOMENT, numbered, tests_of

MOST_FILES = 100
"""Files of a change that are compared, the largest first; beyond, a change touches everything anyway."""

_STOP = (
    "test", "tests", "testing", "spec", "src", "main", "java", "py", "js", "ts", "go", "rs", "c", "cc", "cpp", "h",
    "org", "com", "net", "io", "apache", "lib", "it", "unit", "kt", "scala", "rb", "php", "cs", "init",
)  # fmt: skip


def tokens(text: pl.Expr) -> pl.Expr:
    """Lower-case words of a path or dotted name, camelCase split, without words that every test has."""
    words = text.str.replace_all(r"([a-z0-9])([A-Z])", "$1 $2").str.to_lowercase().str.extract_all(r"[a-z0-9]+")
    return words.list.set_difference(pl.lit(pl.Series([list(_STOP)])))


def stem(path: pl.Expr) -> pl.Expr:
    """Name of a file without folder, extension and test affixes, lower case."""
    name = path.str.extract(r"([^/]+)$").str.replace(r"\.[^.]*$", "")
    return name.str.replace_all(r"(?i)^tests?_?|_?tests?$|IT$|_?spec$", "").str.to_lowercase().str.replace_all("_", "")


def change_features(
    subjects: pl.DataFrame,
    changes: pl.DataFrame,
    files: pl.DataFrame,
    verdicts: pl.DataFrame,
    meaningful: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """One row a subject (column ``subject``): how its change touches it.

    Args:
        subjects: ``subject`` (row number), key, predicted_at and ``file`` (the test's file, null when unknown).
        changes: ``core_changes__changes``.
        files: ``core_changes__files``.
        verdicts: ``core_ci__test_verdicts``.
        meaningful: Of the files, those whose change means something: only these are compared. None: all.
    """
    rankings, rows = numbered(subjects.select("subject", *MOMENT, "test_id", "file"))
    touched = _touched(rankings, files)
    compared = touched
    if meaningful is not None and meaningful.height < files.height:
        key = ("repo_id", "revision", "path")
        compared = touched.join(meaningful.select(key), on=key, how="semi")
    sizes = touched.group_by("ranking").agg(
        n_files=pl.len().cast(pl.Float64), n_lines=pl.col("lines").sum().cast(pl.Float64)
    )
    of_change = sizes.join(_authors(rankings, changes, verdicts), on="ranking", how="full", coalesce=True)
    return (
        _name_match(rows, compared)
        .join(of_change, on="ranking", how="left")
        .join(_failed_together(rows, compared, files, verdicts), on="subject", how="left")
        .drop("ranking")
    )


def _touched(rankings: pl.DataFrame, files: pl.DataFrame) -> pl.DataFrame:
    """Files of each ranking's change that were known then, the largest first, cut."""
    return (
        rankings.join(files, on=("repo_id", "revision"))
        .filter(pl.col("known_at") <= pl.col("predicted_at"))
        .select("ranking", *MOMENT, "path", lines=pl.col("n_added") + pl.col("n_deleted"))
        .sort("lines", "path", descending=[True, False])
        .group_by("ranking", maintain_order=True)
        .head(MOST_FILES)
    )


def _name_match(rows: pl.DataFrame, touched: pl.DataFrame) -> pl.DataFrame:
    """Best likeness of the test's name with a changed file, and whether its own or its namesake file changed.

    Compared are places, the files or classes of the tests, by the words that they share with a path: few share any.

    Returns:
        A row a subject, in the order of the rows: subject, ranking, numbers and path; null where no file is known.
    """
    tests, where = tests_of(rows, "test_id", "file"), pl.col("file")
    if tests["file"].null_count():
        where = where.fill_null(pl.col("test_id").str.replace(r"::[^:]*$", "").str.replace_all(r"[.:]", "/"))
    tests = tests.with_columns(where=where)
    places = _described(tests.select("where").unique().with_row_index("place"), "where")
    paths = _described(touched.select("path").unique().with_row_index("changed"), "path")
    of_test = tests.join(places.select("where", "place"), on="where", how="left", maintain_order="left").drop("where")
    placed = matched(rows, of_test, ("test_id", "file")).select("subject", "ranking", "place")
    of_ranking = touched.join(paths.select("path", "changed"), on="path").select("ranking", "changed", "path")
    by_place = (
        of_ranking.join(_alike(places, paths), on="changed")
        .join(placed, on=("ranking", "place"), how="semi")
        .sort("similarity", "path", descending=[True, False])
        .group_by("ranking", "place", maintain_order=True)
        .agg(
            path_similarity=pl.col("similarity").first(),
            touches_test=pl.col("is_own").max(),
            touches_namesake=pl.col("is_namesake").max(),
            matched_path=pl.col("path").first(),
        )
    )
    known = pl.col("ranking").is_in(of_ranking["ranking"].unique().implode())
    numbers = ("path_similarity", "touches_test", "touches_namesake")
    return placed.join(by_place, on=("ranking", "place"), how="left", maintain_order="left").select(
        "subject",
        "ranking",
        *(pl.when(known).then(pl.col(name).fill_null(0.0)).alias(name) for name in numbers),
        "matched_path",
    )


def _described(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """Words and stem of a path."""
    return frame.with_columns(words=tokens(pl.col(name)), stem=stem(pl.col(name)))


def _alike(places: pl.DataFrame, paths: pl.DataFrame) -> pl.DataFrame:
    """Pairs with a word or a stem in common: place, changed, similarity, is_own, is_namesake."""
    here, there = (
        frame.select(key, pl.col("words").list.len().alias(f"n_{key}"), word="words").explode("word").drop_nulls("word")
        for frame, key in ((places, "place"), (paths, "changed"))
    )
    words = (pl.col("n_place").first() * pl.col("n_changed").first()).cast(pl.Float64)
    shared = here.join(there, on="word").group_by("place", "changed").agg(similarity=pl.len() / words.sqrt())
    is_test = pl.col("path").str.contains(r"(?i)test|spec")
    long = places.filter(pl.col("stem").str.len_chars() > 2).select("place", "stem", "where")
    namesakes = (
        long.join(paths.select("changed", "path", "stem"), on="stem")
        .with_columns(is_test=is_test)
        .select("place", "changed", is_own="is_test", is_namesake=~pl.col("is_test"))
    )
    own = places.select("place", path="where").join(paths.select("changed", "path"), on="path")
    marks = (
        pl.concat(
            [
                namesakes,
                own.select("place", "changed", is_own=pl.lit(value=True), is_namesake=pl.lit(value=False)),
            ]
        )
        .group_by("place", "changed")
        .agg(pl.col("is_own", "is_namesake").max().cast(pl.Float64))
    )
    return shared.join(marks, on=("place", "changed"), how="full", coalesce=True).with_columns(
        pl.col("similarity", "is_own", "is_namesake").fill_null(0.0)
    )


def _failed_together(
    rows: pl.DataFrame, touched: pl.DataFrame, files: pl.DataFrame, verdicts: pl.DataFrame
) -> pl.DataFrame:
    """How many known failures of the test came with a change to the same file, or the same folder."""
    failures = verdicts.filter(pl.col("verdict") == "failed").select("repo_id", "revision", "test_id", "known_at")
    changed = files.select("repo_id", "revision", "path", file_known_at="known_at")
    past = _and_folders(failures.join(changed, on=("repo_id", "revision")))
    asked = _and_folders(touched.select("ranking", "repo_id", "predicted_at", "path")).unique()
    place = ("repo_id", "path", "is_folder")
    keys = ("test_id", *place)
    states = (
        past.join(asked, on=place, how="semi")
        .group_by(*keys, "revision")
        .agg(known_at=pl.max_horizontal("known_at", "file_known_at").min())
        .sort("known_at", "revision")
        .select(*keys, "known_at", n=pl.col("known_at").cum_count().over(keys).cast(pl.Float64))
    )
    tests = rows.select("subject", "ranking", "test_id")
    known = asked.join(states.select(keys).unique(), on=place).join(tests, on=("ranking", "test_id"))
    return (
        known.sort("predicted_at")
        .join_asof(states, left_on="predicted_at", right_on="known_at", by=list(keys), check_sortedness=False)
        .group_by("subject")
        .agg(
            n_failed_with_file=pl.col("n").filter(~pl.col("is_folder")).max(),
            n_failed_with_folder=pl.col("n").filter("is_folder").max(),
        )
    )


def _and_folders(frame: pl.DataFrame) -> pl.DataFrame:
    """Each row twice: with the path of the file, and with that of its folder."""
    folder = pl.col("path").str.replace(r"/?[^/]*$", "")
    return pl.concat([frame.with_columns(is_folder=False), frame.with_columns(folder, is_folder=True)])


def _authors(rankings: pl.DataFrame, changes: pl.DataFrame, verdicts: pl.DataFrame) -> pl.DataFrame:
    """How many changes the author made before, and the share on which something failed, smoothed by two of ten."""
    author = rankings.join(
        changes.select("repo_id", "revision", "author", "known_at"), on=("repo_id", "revision")
    ).filter(pl.col("known_at") <= pl.col("predicted_at"))
    broken = verdicts.group_by("repo_id", "revision", "known_at").agg(
        broken=(pl.col("verdict") == "failed").any().cast(pl.Float64)
    )
    tested = (
        changes.select("repo_id", "revision", "author", change_known_at="known_at")
        .join(broken, on=("repo_id", "revision"))
        .with_columns(known_at=pl.max_horizontal("known_at", "change_known_at"))
        .sort("known_at", "revision")
    )
    by = ("repo_id", "author")
    states = tested.select(
        *by,
        "known_at",
        author_failure_rate=(pl.col("broken").cum_sum().over(by) + 2) / (pl.col("broken").cum_count().over(by) + 10),
    )
    made = changes.sort("known_at").select(*by, "known_at", n_made=pl.int_range(1, pl.len() + 1).over(by))
    found = author.drop("known_at").sort("predicted_at")
    for known in (states, made):
        found = found.join_asof(
            known, left_on="predicted_at", right_on="known_at", by=list(by), check_sortedness=False
        ).drop("known_at", strict=False)
    before = (pl.col("n_made") - 1).cast(pl.Float64)  # all but this one
    return found.select("ranking", "author_failure_rate", author_changes=before)
