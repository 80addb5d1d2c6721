"""From the ledger to the clusters that trials are: read whole once, afterwards only what something new touches.

What is kept between assessments (``kept``) is derived from the ledger and can be thrown away at any time: with it or
without it the same clusters come out, to the last digit. That holds because nothing of a cluster depends on the rows
of another one: whatever is new (a prediction, an outcome that is late or supersedes one, a decision, a yes, a mean
duration that moved) names the clusters that it touches, and those are made anew from all of their rows. Put here what
touches what; the queries are ``queries_trials``', what makes a cluster is ``autonomy.trials``'.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from weaver_forge import __version__
from weaver_forge.autonomy.trials import Trials, clusters_of, counted, of_clusters
from weaver_forge.contracts.decision import Action, SubjectKind
from weaver_forge.ledger import members
from weaver_forge.ledger import queries_trials as queries
from weaver_forge.ledger.canonical import instant_of, instant_text
from weaver_forge.ledger.kept import Kept, load, save
from weaver_forge.ledger.queries_trials import PLACE, Which

if TYPE_CHECKING:
    from weaver_forge.ledger.reading import Reading

_FORM = 1
"""Of what is kept; a change of it, or of the program, has everything made anew."""

_FEW, _MOST_TOUCHED = 1000, 0.3
"""Touched predictions, and their share, above which reading all of them in one go is cheaper than seeking these."""

_FAR = 1000
"""Batches after which the file is written although it says nothing new, so that the next look begins later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Of what the trials are wanted.

    Args:
        action: The action class.
        threshold: As :func:`~weaver_forge.autonomy.trials.clusters_of` takes it.
        weights: Of a trial by its origin.
    """

    action: Action
    threshold: float | pl.Expr | None
    weights: Mapping[str, float]

    @property
    def is_lasting(self) -> bool:
        """Whether the threshold depends on how long something takes."""
        return isinstance(self.threshold, pl.Expr)

    def name(self, one_sided_for: timedelta) -> str:
        """The same for whatever makes the same clusters of the same rows."""
        above = self.threshold.meta.serialize().hex() if isinstance(self.threshold, pl.Expr) else self.threshold
        action = (self.action.name, self.action.on, self.action.hides_outcome)
        text = json.dumps([*action, above, *counted(self.weights), one_sided_for.total_seconds()])
        return f"clusters-{sha256(text.encode()).hexdigest()[:32]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What is known of a kind, from the whole ledger or by adding to what was kept."""

    members: pl.DataFrame
    clusters: Mapping[str, pl.DataFrame]
    data_as_of: datetime | None


class Gathering:
    """A kind's record as trials are made of it, as of the moment at which it was opened.

    Args:
        ledger: Open.
        decision: Its name.
        kind: Of its subjects.
        folder: Where to keep what was worked out; None to keep nothing and read everything.
    """

    def __init__(self, ledger: "Reading", decision: str, kind: SubjectKind, folder: Path | None = None) -> None:
        until, self._link = queries.newest_link(ledger)
        self._ledger, self._kind = ledger, kind
        self._which = Which(decision=decision, entity=kind.entity, until=until)
        self._file = folder / f"{decision}.{kind.entity}.trials" if folder is not None and _is_apart(kind) else None
        self._before = self._kept()
        self._decide()

    @property
    def is_from_kept(self) -> bool:
        """Whether what it gives rests on what an earlier assessment kept."""
        return self._before is not None

    @property
    def scopes(self) -> list[str]:
        """Scopes in which hooks have asked for the decision."""
        return self._scopes

    def forget(self) -> None:
        """Go by the ledger alone from here on."""
        if self._before is not None:
            self._before = None
            self._decide()

    def trials(self, asked: Sequence[Asked]) -> list[Trials]:
        """The trials of each; what the next assessment needs is kept."""
        by_name = {each.name(self._kind.one_sided_for): each for each in asked}
        state = self._continued(by_name)
        if state is None:
            self.forget()
            state = self._whole(by_name)
        self._keep(state)
        return [
            of_clusters(clusters, weights=each.weights, data_as_of=state.data_as_of)
            for each in asked
            for clusters in (state.clusters[each.name(self._kind.one_sided_for)],)
        ]

    def _kept(self) -> Kept | None:
        """What an earlier assessment kept, if that was of this very ledger."""
        found = load(self._file, _made_for(self._kind)) if self._file is not None else None
        if found is None or queries.newest_link(self._ledger, found.until) != (found.until, found.link):
            return None
        return found

    def _decide(self) -> None:
        """Decisions first: they say in which scopes trials are wanted."""
        after = -1 if self._before is None else self._before.until
        rows = queries.decided(self._ledger, self._which, after)
        yes = queries.approved(self._ledger, self._which, after)
        self._scopes = sorted({*(self._before.said["scopes"] if self._before else ()), *rows["scope"].unique()})
        self._news = pl.concat([rows["unit"], yes["unit"]]).unique()
        decided, approved = queries.newest_decided(rows.drop("scope", *PLACE)), yes
        if self._before is not None:
            decided = _replaced(self._before.frames["decided"], decided, ("unit", "hook"))
            approved = _replaced(self._before.frames["approved"], approved, ("unit", "hook"))
        self._decided, self._approved = decided, approved

    def _whole(self, asked: Mapping[str, Asked]) -> _State:
        """Everything, from the ledger alone."""
        said = queries.whole(self._ledger, self._which)
        rows = members.members_of(said, self._kind, is_lasting=_is_lasting(asked.values()))
        judged = queries.as_rows(
            members.with_durations(said, rows), self._kind, queries.acted(self._decided, self._approved)
        )
        clusters = {name: self._clusters(each, judged) for name, each in asked.items()}
        return _State(members=rows, clusters=clusters, data_as_of=_newest(said))

    def _continued(self, asked: Mapping[str, Asked]) -> _State | None:
        """What was kept, with the clusters that something new touches made anew; None where that is no help."""
        before, is_lasting = self._before, _is_lasting(asked.values())
        if before is None or not asked.keys() <= before.frames.keys() or before.said["is_lasting"] != is_lasting:
            return None
        added = queries.added(self._ledger, self._which, before.until)
        seen = queries.seen(self._ledger, self._which, before.until)
        rows, moved = members.grown(before.frames["members"], added, seen, self._kind, is_lasting=is_lasting)
        new = pl.concat([added, seen, queries.of_units(self._ledger, self._which, self._turned(before))])
        touched = pl.concat([moved, new.select(queries.cluster(self._kind))["cluster"]]).unique()
        mine = members.of_clusters(rows, touched)
        if mine.height > max(_FEW, _MOST_TOUCHED * rows.height):
            return None
        clusters = {name: before.frames[name] for name in asked}
        if mine.height:
            clusters = self._renewed(clusters, asked, mine, touched)
        as_of = _newest(added) if added.height else _instant(before.said["data_as_of"])
        return _State(members=rows, clusters=clusters, data_as_of=as_of)

    def _renewed(
        self, clusters: Mapping[str, pl.DataFrame], asked: Mapping[str, Asked], mine: pl.DataFrame, touched: pl.Series
    ) -> dict[str, pl.DataFrame]:
        """The clusters, those that are touched from all of their rows."""
        said = members.with_durations(queries.at_places(self._ledger, self._which, mine), mine)
        judged = queries.as_rows(said, self._kind, _flags(self._decided, self._approved, said["unit"]))
        without = touched.to_frame("unit")
        return {
            name: pl.concat([clusters[name].join(without, on="unit", how="anti"), self._clusters(each, judged)])
            for name, each in asked.items()
        }

    def _turned(self, before: Kept) -> list[str]:
        """Units of which a decision or a yes changed whether they count as enforced or held back."""
        was = _flags(before.frames["decided"], before.frames["approved"], self._news)
        now = _flags(self._decided, self._approved, self._news)
        found = now.join(was, on="unit", how="left", suffix="_before").fill_null(value=False)
        changed = [pl.col(name) != pl.col(f"{name}_before") for name in ("is_enforced", "is_stopped")]
        return found.filter(pl.any_horizontal(changed))["unit"].to_list()

    def _clusters(self, asked: Asked, judged: pl.DataFrame) -> pl.DataFrame:
        return clusters_of(
            judged,
            asked.action,
            threshold=asked.threshold,
            origins=counted(asked.weights),
            one_sided_for=self._kind.one_sided_for,
        )

    def _keep(self, state: _State) -> None:
        if self._file is None or not self._is_news(state):
            return
        said = {
            "scopes": self._scopes,
            "is_lasting": "duration_ms" in state.members.columns,
            "data_as_of": None if state.data_as_of is None else instant_text(state.data_as_of),
        }
        frames = {
            "members": state.members, "decided": self._decided, "approved": self._approved, **state.clusters
        }  # fmt: skip
        made_for, until = _made_for(self._kind), self._which.until
        save(self._file, Kept(made_for=made_for, until=until, link=self._link, said=said, frames=frames))

    def _is_news(self, state: _State) -> bool:
        """Whether the file would say something else than it does, or begins too far back."""
        before = self._before
        if before is None or self._which.until - before.until >= _FAR or self._news.len():
            return True
        return any(state.clusters[name] is not before.frames[name] for name in state.clusters)


def _made_for(kind: SubjectKind) -> str:
    keys = [(column.name, column.type) for column in kind.key]
    return json.dumps([_FORM, __version__, pl.__version__, keys, kind.decided_per, kind.judged_per])


def _is_apart(kind: SubjectKind) -> bool:
    """Whether each unit of each action lies in one cluster, so that clusters can be made one by one."""
    return set(kind.judged_per) <= set(kind.decided_per) or all(action.on == "upper" for action in kind.actions)


def _is_lasting(asked: Iterable[Asked]) -> bool:
    return any(each.is_lasting for each in asked)


def _flags(decided: pl.DataFrame, approved: pl.DataFrame, units: pl.Series) -> pl.DataFrame:
    """Of some units, whether they count as enforced or held back."""
    names = units.unique().to_frame("unit")
    mine = decided.join(names, on="unit", how="semi", maintain_order="left")
    return queries.acted(mine, approved.join(names, on="unit", how="semi"))


def _replaced(before: pl.DataFrame, new: pl.DataFrame, on: Sequence[str]) -> pl.DataFrame:
    return pl.concat([before.join(new, on=on, how="anti"), new]) if new.height else before


def _newest(said: pl.DataFrame) -> datetime | None:
    newest = said["data_as_of"].item(-1) if said.height else None
    return newest if isinstance(newest, datetime) else None


def _instant(text: str | None) -> datetime | None:
    return None if text is None else instant_of(text)
