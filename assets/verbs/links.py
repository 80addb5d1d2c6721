"""links: how much of everything is linked, the same under another rule, and what one entity is linked to."""

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import msgspec
import polars as pl

from assets.core.entities import link_rule
from assets.definitions import open_deployment
from assets.resources import Emit
from weaver_forge.contracts.tables.entities import CORE_ENTITY_LINK_RATES, CORE_ENTITY_LINKS
from weaver_forge.errors import UsageError
from weaver_forge.hooks.wording import link_in_words, methods_in_words, share
from weaver_forge.links.graph import READS, entity_graph
from weaver_forge.links.link_rule import LinkRule
from weaver_forge.settings import Settings

_PAIR = ["from_kind", "to_kind"]


def links(settings: Settings, arguments: Mapping[str, Any], emit: Emit) -> int:
    """Show the link rates; with ``rule`` also under that rule, storing nothing; with ``of`` follow one entity."""
    deployment = open_deployment(settings, emit)
    said = [str(text) for text in arguments.get("rule") or ()]
    rule = link_rule(settings)
    stored = deployment.warehouse.read(CORE_ENTITY_LINK_RATES)
    found = deployment.warehouse.read(CORE_ENTITY_LINKS)
    result: dict[str, Any] = {"rule": rule.digest, "rates": stored.to_dicts()}
    if said:
        other = _changed(rule, said)
        found, rates = entity_graph({table.name: deployment.warehouse.read(table) for table in READS}, other)
        result |= {"other_rule": other.digest, "other_rates": rates.to_dicts()}
        if not arguments.get("of"):
            _compare(stored, rates, emit)
    elif not arguments.get("of"):
        rows = [
            [link_in_words(r), share(r["n_linked"], r["n"]), r["n_ambiguous"] if r["n"] else None,
             methods_in_words(r["methods"])]
            for r in stored.iter_rows(named=True)
        ]  # fmt: skip
        emit({"event": "table", "title": "Links", "columns": ["link", "linked", "to several", "by"], "rows": rows})
    if arguments.get("of"):
        result["chain"] = _follow(found, str(arguments["of"]), emit)
    emit({"event": "result", "data": result})
    return 0


def _changed(rule: LinkRule, said: list[str]) -> LinkRule:
    """The rule with ``name=value`` put in; values as TOML writes them.

    Raises:
        UsageError: If a name or a value is none of a rule.
    """
    known = {field.name: getattr(rule, field.name) for field in fields(rule)}
    try:
        wanted = tomllib.loads("\n".join(said))
        if unknown := wanted.keys() - known.keys():
            raise UsageError(f"no part of a rule: {sorted(unknown)}", where="--rule", do=f"Known: {', '.join(known)}")
        return msgspec.convert(known | wanted, LinkRule)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise UsageError(
            f"cannot be read: {error}", where="--rule", do="Write name=value as TOML does, e.g. incident_within_h=6.0"
        ) from error


def _compare(stored: pl.DataFrame, other: pl.DataFrame, emit: Emit) -> None:
    both = other.join(stored, on=_PAIR, how="left", suffix="_now", maintain_order="left")
    columns = ["link", "linked now", "under the other rule"]
    rows = [
        [link_in_words(r), share(r["n_linked_now"] or 0, r["n_now"] or 0), share(r["n_linked"], r["n"])]
        for r in both.iter_rows(named=True)
    ]
    emit({"event": "table", "title": "Links under another rule", "columns": columns, "rows": rows})


def _follow(found: pl.DataFrame, entity: str, emit: Emit) -> list[dict[str, Any]]:
    """What leads to an entity and what comes of it, link by link.

    Raises:
        UsageError: If nothing is linked to it.
    """
    ids = pl.concat([found["from_id"], found["to_id"]]).unique()
    start = ids.filter(ids == entity)
    if start.is_empty():
        start = ids.filter(ids.str.contains(entity, literal=True))
    if start.is_empty():
        raise UsageError(
            f"nothing is linked to {entity!r}",
            do="Give an id or a part of one: a revision, a run, a deployment, an incident",
        )
    earlier, later = _reach(found, start, "to_id", "from_id"), _reach(found, start, "from_id", "to_id")
    chain = pl.concat([earlier, later]).unique(maintain_order=True).sort("known_at")
    columns = ["from_kind", "from_id", "to_kind", "to_id", "method", "confidence"]
    emit({"event": "table", "title": f"Linked to {entity}", "columns": columns, "rows": chain.select(columns).rows()})
    return chain.select(columns).to_dicts()


def _reach(found: pl.DataFrame, start: pl.Series, near: str, far: str) -> pl.DataFrame:
    seen, frontier = found.clear(), start
    while True:
        step = found.filter(pl.col(near).is_in(frontier.implode())).join(seen, on=[*CORE_ENTITY_LINKS.key], how="anti")
        if step.is_empty():
            return seen
        seen, frontier = pl.concat([seen, step]), step[far].unique()
