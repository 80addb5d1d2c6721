"""Merkle trees, daily roots over the chain, and the proof of one row that others can check by themselves."""

import hashlib
import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaver_forge.errors import ContractError, LedgerBroken, MissingInput, SourceError, UsageError
from weaver_forge.ledger import Ledger, anchors, merkle
from weaver_forge.ledger.proofs import prove
from weaver_forge.ledger.roots import Root, recorded
from weaver_forge.ledger.schema import CURRENT, Schema

NOW = datetime(2026, 3, 1, 12)
DAY = timedelta(days=1)
DOCS = Path(__file__).parents[2] / "docs" / "ledger.md"


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def tree_hash(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    n = len(leaves)
    if n == 0:
        return sha(b"")
    if n == 1:
        return sha(b"\0" + leaves[0])
    k = 1
    while k * 2 < n:
        k *= 2
    return sha(b"\1" + tree_hash(leaves[:k]) + tree_hash(leaves[k:]))


HASHES = st.lists(st.binary(min_size=32, max_size=32), max_size=40)


@given(leaves=HASHES)
def test_the_root_is_that_of_the_standard(leaves: list[bytes]) -> None:
    assert merkle.root(leaf.hex() for leaf in leaves) == tree_hash(leaves).hex()


def test_the_root_over_a_few_is_what_it_always_was() -> None:
    """Independent of the code above: if this fails, old roots stop verifying."""
    leaves = [f"{n:064x}" for n in range(5)]

    assert merkle.root(leaves) == "37711ec04165b198c08e06c9e970964a142747de607efd657d85759c5eed5e3c"
    assert merkle.root([]) == merkle.EMPTY == hashlib.sha256().hexdigest()


@given(leaves=HASHES.filter(bool), data=st.data())
def test_a_path_leads_from_its_own_leaf_to_the_root_and_from_no_other(leaves: list[bytes], data: st.DataObject) -> None:
    values = [leaf.hex() for leaf in leaves]
    place = data.draw(st.integers(0, len(values) - 1))
    other = data.draw(st.binary(min_size=32, max_size=32).filter(lambda leaf: leaf != leaves[place]))

    steps = merkle.path(values, place)

    assert merkle.climb(values[place], steps) == merkle.root(values)
    assert merkle.climb(other.hex(), steps) != merkle.root(values)
    assert len(steps) <= (len(values) - 1).bit_length()


def test_there_is_no_path_from_nowhere() -> None:
    with pytest.raises(IndexError):
        merkle.path(["00" * 32], 1)


def decision(name: str) -> dict[str, Any]:
    return {
        "decision_id": name, "decision": "d", "entity": "e", "unit": "u", "hook": "h", "verdict": "allow",
        "level": "assisted", "scope": "development", "applied": False, "exit_code": 0, "made_at": NOW,
    }  # fmt: skip


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with Ledger.open("sqlite://") as opened:
        yield opened


def put(ledger: Ledger, *names: str, now: datetime) -> None:
    ledger.append("decisions", [decision(name) for name in names], now=now)


def days(ledger: Ledger) -> list[tuple[str, int, int, int]]:
    return [(root.day[5:], root.first_batch, root.last_batch, root.n_rows) for root in recorded(ledger.select)]


def test_the_first_append_of_a_later_day_makes_the_root_of_the_day_before(ledger: Ledger) -> None:
    put(ledger, "a", "b", now=NOW)
    put(ledger, "c", now=NOW + timedelta(hours=11))
    assert days(ledger) == []

    put(ledger, "d", now=NOW + DAY)
    put(ledger, "e", now=NOW + DAY)
    put(ledger, "f", now=NOW + 5 * DAY)

    # Batch 3 and batch 6 are the roots themselves; each is under the root after it.
    assert days(ledger) == [("03-01", 1, 2, 3), ("03-02", 3, 5, 3)]
    found = ledger.verify()
    assert (found.ok, found.n_roots, found.n_batches, found.n_rows) == (True, 2, 7, 8)


def test_a_root_can_be_asked_for_when_its_day_has_ended_and_is_made_once(ledger: Ledger) -> None:
    assert ledger.seal(now=NOW) is False
    put(ledger, "a", now=NOW)

    made = [ledger.seal(now=NOW + timedelta(days=n)) for n in (0, 1, 1, 2, 30)]

    assert made == [False, True, False, False, False]  # a ledger in which nothing happens grows no roots
    put(ledger, "b", now=NOW + 40 * DAY)
    assert days(ledger) == [("03-01", 1, 1, 1)]
    assert ledger.verify().ok


def test_clocks_that_differ_leave_no_link_without_a_root_and_no_day_with_two(ledger: Ledger) -> None:
    midnight = datetime(2026, 3, 2)
    for n in range(10):  # two writers, four seconds apart, around midnight
        put(ledger, f"slow-{n}", now=midnight + timedelta(seconds=n - 9))
        put(ledger, f"fast-{n}", now=midnight + timedelta(seconds=n - 5))
    put(ledger, "from the future", now=NOW + 20_000 * DAY)
    for n in range(4):
        put(ledger, f"later-{n}", now=NOW + (n + 1) * DAY)

    covered = recorded(ledger.select)

    assert covered[0].day == "2026-03-01"
    assert len({root.day for root in covered}) == len(covered) >= 4
    assert covered[0].first_batch == 1
    assert all(b.first_batch == a.last_batch + 1 for a, b in pairwise(covered))
    assert ledger.verify().ok


def test_nobody_else_makes_roots(ledger: Ledger) -> None:
    with pytest.raises(ContractError, match="made by the ledger itself"):
        ledger.append("roots", [{"day": "2026-03-01"}], now=NOW)


def test_a_ledger_of_version_1_gets_roots_over_its_old_links_too(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    policy = {"policy_sha256": "abc", "text": "v: 1", "first_used_at": NOW}
    with Ledger.open(url, schema=Schema(version=1, tables=CURRENT.tables)) as old:
        old.append("policies", [policy], now=NOW)

    with Ledger.open(url) as ledger:
        put(ledger, "a", now=NOW + DAY)
        put(ledger, "b", now=NOW + 2 * DAY)

        assert days(ledger) == [("03-01", 1, 1, 1), ("03-02", 2, 3, 2)]
        assert ledger.verify().ok
        proof = prove(ledger, "policies", "abc")
    assert proof["row_hashes"] == [hashlib.sha256(proof["row"].encode()).hexdigest()]


def rewritten(path: Path, statement: str) -> list[str]:
    """What verify says after the file was changed by somebody who put the guards back."""
    with closing(sqlite3.connect(path, isolation_level=None)) as con:
        guards = con.execute("select name, sql from sqlite_master where type = 'trigger'").fetchall()
        for name, _ in guards:
            con.execute(f'drop trigger "{name}"')
        con.execute(statement)
        for _, sql in guards:
            con.execute(sql)
    with Ledger.open(f"sqlite:///{path}") as ledger:
        return ledger.verify().broken


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.sqlite"
    with Ledger.open(f"sqlite:///{path}") as ledger:
        put(ledger, "a", "b", "c", now=NOW)
        put(ledger, "d", now=NOW + DAY)
        put(ledger, "e", now=NOW + 2 * DAY)
    return path


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ("update roots set merkle_root = replace(merkle_root, substr(merkle_root, 1, 1), 'x')", "was changed"),
        ("update roots set last_batch = 2 where day = '2026-03-01'", "covers batches"),
        ("update roots set n_rows = 4 where day = '2026-03-01'", "says 4 rows where its links cover 3"),
        ("update roots set last_batch = 99 where day = '2026-03-02'", "which are not there"),
        ("delete from roots where day = '2026-03-02'", "all 1 rows were removed"),
        ("update chain set recorded_at = '2026-03-01T12:00:00.000001Z' where batch_seq = 1", "the link was changed"),
        ("update chain set hash = previous_hash where batch_seq = 1", "does not follow"),
    ],
)
def test_a_changed_root_or_a_changed_link_under_one_is_named(path: Path, statement: str, finding: str) -> None:
    assert any(finding in said for said in rewritten(path, statement))


def test_a_guard_that_was_taken_off_or_rewritten_is_a_finding(path: Path) -> None:
    off = rewritten(path, "select 1")
    with closing(sqlite3.connect(path, isolation_level=None)) as con:
        con.execute("drop trigger chain_refuse_delete")
        con.execute("create trigger harmless after insert on decisions begin select 1; end")
    with Ledger.open(f"sqlite:///{path}") as ledger:
        found = ledger.verify().broken

    assert off == []
    assert found == [
        "the database: trigger chain_refuse_delete of chain is missing",
        "the database: trigger harmless of decisions is no part of the ledger",
    ]


CHECK = re.search(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)


def checked(proof: dict[str, Any], folder: Path) -> bool:
    """Run the program of the documentation on a proof, as a third party would; it prints the row."""
    assert CHECK is not None
    file = folder / "proof.json"
    file.write_text(json.dumps(proof))
    done = subprocess.run(
        [sys.executable, "-I", "-c", CHECK[1], str(file), proof["merkle_root"]],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0 and done.stdout.strip() == proof["row"]


def test_a_third_party_can_check_the_proof_of_a_row_with_the_lines_of_the_documentation(
    path: Path, tmp_path: Path
) -> None:
    assert CHECK is not None
    assert len([line for line in CHECK[1].splitlines() if line.strip()]) <= 16
    with Ledger.open(f"sqlite:///{path}") as ledger:
        proofs = {name: prove(ledger, "decisions", name) for name in "abcd"}

    for name, proof in proofs.items():
        assert json.loads(proof["row"])["decision_id"] == name
        assert checked(proof, tmp_path)


@pytest.mark.parametrize("part", ["row", "row_path", "link", "link_path", "merkle_root"])
def test_a_proof_in_which_anything_was_changed_is_refused(path: Path, tmp_path: Path, part: str) -> None:
    with Ledger.open(f"sqlite:///{path}") as ledger:
        proof = prove(ledger, "decisions", "d" if part == "link_path" else "b")
    text = json.dumps(proof[part])
    digit = next(n for n, letter in enumerate(text) if letter.isdigit() and n > 12)

    changed = json.loads(text[:digit] + str((int(text[digit]) + 1) % 10) + text[digit + 1 :])

    assert checked(proof, tmp_path)
    assert not checked({**proof, part: changed}, tmp_path)


def test_there_is_no_proof_before_the_day_has_ended_of_no_row_or_of_a_changed_one(path: Path) -> None:
    with Ledger.open(f"sqlite:///{path}") as ledger:
        with pytest.raises(UsageError, match="under no daily root yet"):
            prove(ledger, "decisions", "e")
        with pytest.raises(UsageError, match="no such row"):
            prove(ledger, "decisions", "z")
    rewritten(path, "update decisions set exit_code = 1 where decision_id = 'a'")
    with Ledger.open(f"sqlite:///{path}") as ledger, pytest.raises(LedgerBroken):
        prove(ledger, "decisions", "a")


def test_heads_and_roots_kept_elsewhere_notice_a_tail_that_was_cut_off(path: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    with Ledger.open(f"sqlite:///{path}") as ledger:
        kept.write_text("\n".join(anchors.lines(ledger.head(), recorded(ledger.select))))
        put(ledger, "f", now=NOW + 2 * DAY)
        assert ledger.verify(known=anchors.read(kept)).ok
    tail = "delete from {} where batch_seq >= 4"
    for table in ("chain", "decisions", "roots"):
        left = rewritten(path, tail.format(table))

    assert left == []  # what is left is genuine
    with Ledger.open(f"sqlite:///{path}") as ledger:
        found = ledger.verify(known=anchors.read(kept)).broken
    assert [said.split(":")[0] for said in found] == ["roots", "chain, batch 5"]
    with Ledger.open("sqlite://") as another:
        put(another, "a", now=NOW)
        put(another, "d", now=NOW + DAY)
        found = another.verify(known=anchors.read(kept)).broken
    assert any("which was noted earlier" in said for said in found)


def test_what_was_kept_elsewhere_is_read_with_care(tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    with pytest.raises(MissingInput):
        anchors.read(kept)
    kept.write_text("\n")
    with pytest.raises(MissingInput):
        anchors.read(kept)
    kept.write_text('{"batch_seq": 1}')
    with pytest.raises(SourceError, match="line 1"):
        anchors.read(kept)
    kept.write_text(
        '{"day": "2026-03-01", "first_batch": 1, "last_batch": 2, "n_rows": 3,'
        ' "merkle_root": "a", "batch_seq": 3, "x": 0}'
    )
    assert anchors.read(kept) == [Root("2026-03-01", 1, 2, 3, "a", 3)]
