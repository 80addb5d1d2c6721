"""The reader of changes with Kamei's features: recognised by columns, absent ones null, file order kept."""

import numpy as np

from models.deploy_risk import evaluation
from weaver_forge.benchmarks import jit

HEADER = ",_id,date,bug,__,ns,nd,nf,entrophy,la,ld,lt,fix,ndev,age,nuc,exp,rexp,sexp"


def _file(n: int, seed: int = 0) -> bytes:
    rng = np.random.default_rng(seed)
    lines = [HEADER]
    for i in range(n):
        la = int(np.exp(rng.normal(3, 1)))
        experience = int(rng.integers(1000))
        bug = int(rng.random() < 1 / (1 + np.exp(-(np.log1p(la) - 3 - experience / 400))))
        lines.append(f"{i},c{i},{1_400_000_000 + i * 3600},{bug},0,1,1,2,0.5,{la},3,100,0,4,1.5,6,{experience},5.5,9")
    return "\n".join(lines).encode()


def test_columns_are_mapped_and_absent_ones_are_null() -> None:
    (data,) = jit.read({"p/jdt/x.csv": _file(3), "other.csv": b"a,b\n1,2\n"})
    features = data.frames["features"]

    assert data.set == "p/jdt"
    assert features["author_subsystem_changes"].to_list() == [9.0, 9.0, 9.0]
    assert features["n_prior_bugs"].null_count() == 3
    assert features["predicted_at"].is_sorted()
    assert features["revision"].to_list() == ["c0", "c1", "c2"]


def test_effort_is_lines_changed_and_one() -> None:
    (data,) = jit.read({"x.csv": _file(4)})

    assert (data.frames["labels"]["cost"] == data.frames["features"]["lines_added"] + 3 + 1).all()


def test_the_same_model_is_measured_on_what_the_format_has() -> None:
    (data,) = jit.read({"p/x.csv": _file(360)})

    rows = evaluation.benchmark(data, np.random.default_rng(0))
    auc = next(row for row in rows if row["metric"] == "auc")

    assert auc["n"] == 72
    assert auc["value"] > auc["baselines"]["lines_added"]
