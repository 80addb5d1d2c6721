"""Log templates: lines of one statement come together, others stay apart, and growth changes no id."""

import string

import numpy as np
import polars as pl
import pytest

from weaver_forge.decode.log_templates import Miner, Template, masked
from weaver_forge.settings import test_data as outside_data

NAMES = ("alice", "bob", "carol", "dave", "erin", "frank")
HOSTS = ("db-7f9c4d-x2v1", "db-5b6c77-abc9", "cache-1")


def statements(rng: np.random.Generator) -> list[tuple[str, str]]:
    """One line of every statement with other values, as (statement, line)."""
    name, host = str(rng.choice(NAMES)), str(rng.choice(HOSTS))
    n, ms = int(rng.integers(1, 100_000)), float(rng.random() * 1000)
    ip, long_hex = ".".join(map(str, rng.integers(0, 256, 4))), rng.bytes(16).hex()
    uuid = f"{rng.bytes(4).hex()}-{rng.bytes(2).hex()}-{rng.bytes(2).hex()}-{rng.bytes(2).hex()}-{rng.bytes(6).hex()}"
    return [
        ("login", f"user {name} logged in from {ip}"),
        ("logout", f"user {name} logged out after {n}s"),
        ("paid", f"2026-01-02T03:04:05.{n}Z order {uuid} paid in {ms:.2f}ms by customer {n}"),
        ("refused", f"order {uuid} refused: card of customer {n} expired"),
        ("slow", f"slow query ({ms:.1f} ms) on {host}: select * from orders where id = {n}"),
        ("gc", f"GC pause {ms:.3f}ms heap {n}K->{n // 2}K"),
        ("timeout", f"timeout after {n} ms calling http://cart:{n % 9999}/v1/items/{n}"),
        ("retry", f"retry {n % 5} of 5 calling http://cart:{n % 9999}/v1/items/{n}"),
        ("trace", f"TraceID: {long_hex} begin checkout"),
        ("connect", f"connection to {host}:{n % 65535} refused (errno {n % 130})"),
        ("memory", f"segfault at 0x{rng.bytes(6).hex()} ip 0x{rng.bytes(6).hex()} error {n % 16}"),
        ("started", f"listening on {ip}:{n % 65535}"),
    ]


def grouping_accuracy(labels: pl.Series, ids: pl.Series) -> float:
    """Share of lines whose group is exactly the lines of their statement (the measure of the logparser benchmark)."""
    frame = pl.DataFrame({"label": labels, "id": ids})
    both, by_label, by_id = (frame.group_by(by).len() for by in (["label", "id"], "label", "id"))
    whole = both.join(by_label, on=["label", "len"]).join(by_id, on=["id", "len"])
    return float(whole["len"].sum()) / frame.height


def test_lines_of_a_statement_come_together_and_of_others_do_not() -> None:
    """Twelve statements with a hundred lines each, shuffled."""
    rng = np.random.default_rng(1)
    pairs = [pair for _ in range(100) for pair in statements(rng)]
    rng.shuffle(pairs)
    labels, lines = (pl.Series(side) for side in zip(*pairs, strict=True))
    miner = Miner()

    ids = miner.assign(lines)

    assert grouping_accuracy(labels, ids) == pytest.approx(1.0)
    assert len(miner.templates) == 12
    assert sum(template.n for template in miner.templates) == len(lines)


def test_a_template_keeps_its_id_when_it_grows() -> None:
    """Counts of yesterday and today belong to the same row."""
    miner = Miner()
    (first,) = miner.assign(pl.Series(["user alice logged in from 10.0.0.1"]))

    (second,) = miner.assign(pl.Series(["user bob logged in from 10.0.0.2"]))

    (template,) = miner.templates
    assert first == second == template.template_id
    assert template.text == "user <*> logged in from <*>"


def test_a_miner_made_from_stored_templates_goes_on_as_if_it_had_not_stopped() -> None:
    """The templates are the whole state."""
    rng = np.random.default_rng(2)
    batches = [pl.Series([line for _ in range(5) for _, line in statements(rng)]) for _ in range(4)]
    without_stop = Miner()
    stored: list[Template] = []

    stopped_ids, ids = [], []
    for batch in batches:
        ids += without_stop.assign(batch).to_list()
        fresh = Miner(Template(t.template_id, t.text.split(" "), t.n, t.leaf) for t in stored)
        stopped_ids += fresh.assign(batch).to_list()
        stored = fresh.templates

    assert stopped_ids == ids


def test_a_template_stays_in_its_place_when_its_first_word_was_a_value() -> None:
    """Its text alone would put it elsewhere after a stop, and the next line would make another template."""
    lines = [f"worker-{name}{n} took the next job" for n, name in enumerate(NAMES)]
    miner = Miner()
    first = set(miner.assign(pl.Series(lines[:3])))
    again = Miner(Template(t.template_id, t.text.split(" "), t.n, t.leaf) for t in miner.templates)

    found = again.assign(pl.Series(lines[3:]))

    assert len(first) == 1
    assert set(found) == first


@pytest.mark.parametrize("cuts", [1, 7, 40])
def test_only_the_order_of_lines_counts_and_not_how_they_are_cut(cuts: int) -> None:
    """Templates are stored and read back at each cut; what comes between lines does not show."""
    rng = np.random.default_rng(3)
    lines = [line for _ in range(40) for _, line in statements(rng)]
    rng.shuffle(lines)
    whole = Miner()
    expected = whole.assign(pl.Series(lines)).to_list()
    stored: list[Template] = []

    found = []
    for part in np.array_split(np.array(lines), cuts):
        miner = Miner(Template(t.template_id, t.text.split(" "), t.n, t.leaf) for t in stored)
        found += miner.assign(pl.Series(part.tolist())).to_list()
        stored = miner.templates

    assert found == expected
    assert stored == whole.templates


def test_no_two_templates_have_one_id() -> None:
    """Also when a template has grown away from the line that named it, and the line comes again."""
    line = pl.Series(["hello world"])
    (named,) = Miner().assign(line)
    miner = Miner([Template(named, ["something", "else"])])

    (found,) = miner.assign(line)

    assert found != named
    assert {template.template_id for template in miner.templates} == {named, found}


def test_blank_and_absent_lines_have_no_template() -> None:
    """Nothing was said."""
    assert Miner().assign(pl.Series(["", "  \n ", None], dtype=pl.String)).to_list() == [None, None, None]


def test_only_the_first_line_of_a_text_counts() -> None:
    """A stack trace is one statement, however deep it is."""
    found = Miner().assign(pl.Series(["failed to read\n  at a.b(C.java:1)", "failed to read\r\n  at x.y(Z.java:9)"]))

    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("took 12ms", "took <*>"),
        ("took 1,234.5 ms at 2026-01-02 03:04:05,678", "took <*> ms at <*>"),
        ("id 123e4567-e89b-12d3-a456-426614174000", "id <*>"),
        ("from 10.0.0.1:8080", "from <*>"),
        ("commit 9fceb02d0ae598e95dc970b74767f19372d61af8", "commit <*>"),
        ("sizes 1, 2, 3", "sizes <*>"),
        ("the facade decided", "the facade decided"),
        ("http2 h2c utf8", "http2 h2c utf8"),
    ],
)
def test_values_are_masked_and_words_are_not(line: str, expected: str) -> None:
    """Numbers inside of words are part of the word."""
    assert masked(pl.Series([line]))[0] == expected


def test_memory_is_bounded_and_frequent_templates_stay() -> None:
    """Lines that never repeat push out each other, not what is seen all the time."""
    rng = np.random.default_rng(3)
    letters = np.array(list(string.ascii_lowercase))
    words = ["".join(rng.choice(letters, 8)) for _ in range(600)]
    noise = [f"{word} {''.join(rng.choice(letters, 8))} {''.join(rng.choice(letters, 8))}" for word in words]
    miner = Miner(max_templates=100)
    (kept,) = set(miner.assign(pl.Series([f"user {n} logged in" for n in range(50)])).to_list())

    miner.assign(pl.Series(noise))

    assert len(miner.templates) <= 100
    assert kept in {template.template_id for template in miner.templates}


def test_a_word_with_many_values_becomes_a_wildcard() -> None:
    """A name in a short line looks constant until there are too many of them."""
    rng = np.random.default_rng(4)
    letters = np.array(list(string.ascii_lowercase))
    lines = [f"hello {''.join(rng.choice(letters, 8))}" for _ in range(500)]
    miner = Miner()

    miner.assign(pl.Series(lines))

    assert len(miner.templates) <= 201


@pytest.mark.outside
def test_statements_of_a_real_system_are_told_apart() -> None:
    """Train-ticket's logs name class and line of every statement: the truth, taken out of the text."""
    folder = outside_data()
    if folder is None:
        pytest.skip("WEAVER_FORGE_TEST_DATA does not say where outside data is")
    frame = pl.read_parquet(folder / "rca/nezha/train-ticket/2023-01-29/construct_data_log.parquet").select(
        log=pl.col("Log").str.json_path_match("$.log").str.strip_chars()
    )
    lines = frame.select(
        label=pl.col("log").str.extract(r"^\S+ \w+\s+(\S+#\d+) ", 1),
        text=pl.col("log").str.replace(r"^(\S+ \w+\s+\S+)#\d+ ", "$1 "),
    ).drop_nulls()

    ids = Miner().assign(lines["text"])

    assert lines.height > 1000
    assert grouping_accuracy(lines["label"], ids) > 0.7
