"""Old attribute names get their current one beside them; what a rename would falsify stays as it is."""

import polars as pl
import pytest

from weaver_forge.semconv.aliases import task_result
from weaver_forge.semconv.registry import shipped
from weaver_forge.semconv.renaming import VALUES, Renaming
from weaver_forge.semconv.upgrade import PROMOTED, upgraded

RENAMING = Renaming(shipped())
MAP = pl.List(pl.Struct({"key": pl.String, "value": pl.String}))


def _after(kind: int | None = None, metric: str | None = None, **attributes: str) -> dict[str, str]:
    """The attributes of one row after the upgrade; ``__`` in a name is a dot."""
    pairs = [{"key": key.replace("__", "."), "value": value} for key, value in attributes.items()]
    frame = pl.DataFrame(
        {"kind": [kind], "metric": [metric], "attributes": [pairs]},
        schema={"kind": pl.Int32, "metric": pl.String, "attributes": MAP},
    )
    said = {"kind": "kind"} if kind is not None else {"metric": "metric"} if metric else {}
    return {pair["key"]: pair["value"] for pair in upgraded(frame, RENAMING, **said)["attributes"][0]}


def test_every_rename_of_the_registry_is_usable() -> None:
    renamed = [a.name for a in shipped().attributes.values() if a.deprecated and a.deprecated.renamed_to]

    usable = [
        name
        for name in renamed
        if any(
            RENAMING.target(name, kind=kind, metric=metric)
            for kind in (None, 2, 3)
            for metric in (None, "db.client.connections.usage")
        )
    ]

    assert len(renamed) == 97
    assert usable == renamed


def test_a_current_name_stands_beside_the_old_one_and_nothing_is_lost() -> None:
    assert _after(http__status_code="200", cart__size="3") == {
        "http.status_code": "200",
        "cart.size": "3",
        "http.response.status_code": "200",
    }


def test_a_current_name_that_is_there_holds() -> None:
    after = _after(http__method="GET", http__request__method="POST")

    assert after == {"http.method": "GET", "http.request.method": "POST"}


def test_values_that_changed_with_the_name_are_translated() -> None:
    assert _after(db__system="mssql")["db.system.name"] == "microsoft.sql_server"
    assert _after(db__system="mysql")["db.system.name"] == "mysql"
    assert _after(db__system="my-own-db")["db.system.name"] == "my-own-db"
    assert _after(net__transport="ip_tcp")["network.transport"] == "tcp"
    assert _after(messaging__operation="publish")["messaging.operation.type"] == "send"
    assert _after(rpc__grpc__status_code="14")["rpc.response.status_code"] == "UNAVAILABLE"
    assert _after(net__protocol__version="2.0")["network.protocol.version"] == "2"
    assert _after(net__protocol__version="1.1")["network.protocol.version"] == "1.1"


def test_a_value_without_a_certain_successor_is_not_carried_over() -> None:
    assert _after(net__transport="inproc") == {"net.transport": "inproc"}


def test_a_value_that_the_new_enum_dropped_but_leaves_open_is_carried_as_it_is() -> None:
    assert _after(db__system="vertica")["db.system.name"] == "vertica"
    assert _after(rpc__system="java_rmi")["rpc.system.name"] == "java_rmi"


@pytest.mark.parametrize("old", sorted(name for name in VALUES if (a := shipped().find(name)) and a.members))
def test_translations_lead_from_defined_values_to_defined_ones(old: str) -> None:
    target = RENAMING.target(old)
    assert target is not None
    before, after = shipped().find(old), shipped().find(target.key)
    assert before is not None
    assert after is not None

    defined = {str(member.value) for member in after.members}

    assert set(VALUES[old]) <= {str(member.value) for member in before.members}
    assert after.type != "enum" or {value for value in VALUES[old].values() if value not in defined} <= {"other_sql"}


@pytest.mark.parametrize(
    ("kind", "current"), [(3, "server.address"), (4, "server.address"), (2, "client.address"), (5, "client.address")]
)
def test_the_peer_is_the_other_side_of_the_span(kind: int, current: str) -> None:
    assert _after(kind, net__peer__name="x") == {"net.peer.name": "x", current: "x"}


def test_without_a_side_the_peer_stays_the_peer() -> None:
    assert _after(net__peer__name="x", net__host__name="y") == {"net.peer.name": "x", "net.host.name": "y"}
    assert _after(3, net__host__name="me") == {"net.host.name": "me"}


def test_short_names_are_meant_for_their_metrics_alone() -> None:
    assert _after(state="idle") == {"state": "idle"}
    assert _after(metric="my.queue.length", state="idle") == {"state": "idle"}
    assert _after(metric="process.cpu.time", state="idle")["cpu.mode"] == "idle"
    assert _after(metric="db.client.connections.usage", state="idle")["db.client.connection.state"] == "idle"


def test_templates_are_renamed_with_what_follows() -> None:
    assert _after(k8s__pod__labels__app="x")["k8s.pod.label.app"] == "x"


def test_of_two_old_names_the_better_one_gives_the_value() -> None:
    after = _after(2, net__host__name="right", http__server_name="older")

    assert after["server.address"] == "right"


def test_deprecations_without_one_successor_stay() -> None:
    assert _after(http__flavor="1.1", rpc__service="S") == {"http.flavor": "1.1", "rpc.service": "S"}


def test_names_of_the_old_github_receiver_are_known() -> None:
    after = _after(cicd__pipeline__run__task__status="cancelled", vcs__ref__head="main", vcs__vendor__name="github")

    assert after["cicd.pipeline.task.run.result"] == "cancellation"
    assert after["vcs.ref.head.name"] == "main"
    assert after["vcs.provider.name"] == "github"
    assert "cicd.pipeline.task.run.result" not in _after(cicd__pipeline__run__task__status="failure")


def test_a_skipped_task_is_told_from_a_failed_one_by_the_spans_status() -> None:
    assert task_result("failure", 0) == "skip"
    assert task_result("failure", 2) == "failure"
    assert task_result("timed_out", 2) == "timeout"


def test_empty_and_absent_maps_and_a_promoted_column() -> None:
    frame = pl.DataFrame(
        {
            "attributes": [None, [], [{"key": "http.method", "value": "GET"}]],
            "http_request_method": [None, None, "POST"],
        },
        schema={"attributes": MAP, "http_request_method": pl.String},
    )

    after = upgraded(frame, RENAMING, promoted=PROMOTED)

    assert after.equals(frame)
