"""What the change under test says about each test: names, paths, and what failed together with those files before.

Put here what compares a test with changed files. Only file rows and past failures known at the prediction count.
On tests that never failed before, history cannot say anything and these must carry.
"""

import polars as pl

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
    touched = _touched(subjects, files)
    if meaningful is not None and meaningful.height < files.height:
        key = ("repo_id", "revision", "path")
        compared = touched.join(meaningful.select(key), on=key, how="semi")
    else:
        compared = touched
    pairs = subjects.select("subject", "repo_id", "revision", "test_id", "file", "predicted_at").join(
        compared, on=("repo_id", "revision", "predicted_at")
    )
    names = _name_match(pairs)
    past = _failed_together(pairs, files, verdicts)
    sizes = touched.group_by("repo_id", "revision", "predicted_at").agg(
        n_files=pl.len().cast(pl.Float64), n_lines=pl.col("lines").sum().cast(pl.Float64)
    )
    return (
        subjects.select("subject", "repo_id", "revision", "predicted_at")
        .join(sizes, on=("repo_id", "revision", "predicted_at"), how="left")
        .join(names, on="subject", how="left")
        .join(past, on="subject", how="left")
        .join(_authors(subjects, changes, verdicts), on="subject", how="left")
        .drop("repo_id", "revision", "predicted_at")
    )


def _touched(subjects: pl.DataFrame, files: pl.DataFrame) -> pl.DataFrame:
    """Files of each (repo, revision, predicted_at) that were known then, the largest first, cut."""
    moments = subjects.select("repo_id", "revision", "predicted_at").unique()
    return (
        moments.join(files, on=("repo_id", "revision"))
        .filter(pl.col("known_at") <= pl.col("predicted_at"))
        .select("repo_id", "revision", "predicted_at", "path", lines=pl.col("n_added") + pl.col("n_deleted"))
        .sort("lines", "path", descending=[True, False])
        .group_by("repo_id", "revision", "predicted_at", maintain_order=True)
        .head(MOST_FILES)
    )


def _name_match(pairs: pl.DataFrame) -> pl.DataFrame:
    """Best likeness of the test's name with a changed file, and whether its own or its namesake file changed."""
    where = pl.coalesce("file", pl.col("test_id").str.replace(r"::[^:]*$", "").str.replace_all(r"[.:]", "/"))
    distinct = pairs.select("test_id", "file", "path").unique()
    tests = distinct.select("test_id", "file").unique().with_columns(where=where)
    tests = tests.with_columns(test_words=tokens(pl.col("where")), test_stem=stem(pl.col("where")))
    paths = (
        distinct.select("path").unique().with_columns(path_words=tokens(pl.col("path")), path_stem=stem(pl.col("path")))
    )
    both = distinct.join(tests, on=("test_id", "file"), nulls_equal=True).join(paths, on="path")
    shared = pl.col("test_words").list.set_intersection("path_words").list.len()
    size = (pl.col("test_words").list.len() * pl.col("path_words").list.len()).cast(pl.Float64).sqrt()
    same_stem = (pl.col("test_stem") == pl.col("path_stem")) & (pl.col("test_stem").str.len_chars() > 2)
    is_test = pl.col("path").str.contains(r"(?i)test|spec")
    own = (pl.col("path") == pl.col("file")) | (same_stem & is_test)
    matched = both.select(
        "test_id",
        "file",
        "path",
        similarity=pl.when(size > 0).then(shared / size).otherwise(0.0),
        is_own=own.fill_null(False).cast(pl.Float64),
        is_namesake=(same_stem & ~is_test).fill_null(False).cast(pl.Float64),
    )
    return (
        pairs.select("subject", "test_id", "file", "path")
        .join(matched, on=("test_id", "file", "path"), nulls_equal=True)
        .sort("similarity", "path", descending=[True, False])
        .group_by("subject", maintain_order=True)
        .agg(
            path_similarity=pl.col("similarity").max(),
            touches_test=pl.col("is_own").max(),
            touches_namesake=pl.col("is_namesake").max(),
            matched_path=pl.col("path").first(),
        )
    )


def _failed_together(pairs: pl.DataFrame, files: pl.DataFrame, verdicts: pl.DataFrame) -> pl.DataFrame:
    """How many known failures of the test came with a change to the same file, or the same folder."""
    failures = verdicts.filter(pl.col("verdict") == "failed").select("repo_id", "revision", "test_id", "known_at")
    changed = files.select("repo_id", "revision", "path", file_known_at="known_at")
    past = failures.join(changed, on=("repo_id", "revision")).with_columns(
        folder=_folder(pl.col("path")), known_at=pl.max_horizontal("known_at", "file_known_at")
    )
    here = pairs.select("subject", "repo_id", "test_id", "path", "predicted_at").with_columns(
        folder=_folder(pl.col("path"))
    )
    return _count(here, past, "path", "n_failed_with_file").join(
        _count(here, past, "folder", "n_failed_with_folder"), on="subject", how="full", coalesce=True
    )


def _count(here: pl.DataFrame, past: pl.DataFrame, by: str, name: str) -> pl.DataFrame:
    """Most failing revisions of the test, known by then, with one ``by`` (file, folder) of the change."""
    keys = ("repo_id", "test_id", by)
    states = (
        past.group_by(*keys, "revision")
        .agg(pl.col("known_at").min())
        .sort("known_at", "revision")
        .select(*keys, "known_at", pl.col("known_at").cum_count().over(keys).cast(pl.Float64).alias(name))
    )
    match = (
        here.select("subject", *keys, "predicted_at").unique().join(states.select(keys).unique(), on=keys, how="semi")
    )
    return (
        match.sort("predicted_at")
        .join_asof(states, left_on="predicted_at", right_on="known_at", by=list(keys), check_sortedness=False)
        .group_by("subject")
        .agg(pl.col(name).max())
    )


def _folder(path: pl.Expr) -> pl.Expr:
    return path.str.replace(r"/?[^/]*$", "")


def _authors(subjects: pl.DataFrame, changes: pl.DataFrame, verdicts: pl.DataFrame) -> pl.DataFrame:
    """Share of the author's earlier revisions on which something failed, smoothed by two of ten."""
    moments = subjects.select("repo_id", "revision", "predicted_at").unique()
    author = moments.join(
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
    rates = (
        author.drop("known_at")
        .sort("predicted_at")
        .join_asof(states, left_on="predicted_at", right_on="known_at", by=list(by), check_sortedness=False)
    )
    return (
        subjects.select("subject", "repo_id", "revision", "predicted_at")
        .join(
            rates.select("repo_id", "revision", "predicted_at", "author_failure_rate"),
            on=("repo_id", "revision", "predicted_at"),
        )
        .select("subject", "author_failure_rate")
    )
