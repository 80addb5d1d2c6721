"""models: what is registered, what is published and why."""

from collections.abc import Mapping
from typing import Any

from assets.registry import load_specs
from assets.resources import Emit
from assets.tracking import published, registered_name
from weaver_forge.settings import Settings


def models(settings: Settings, _arguments: Mapping[str, Any], emit: Emit) -> int:
    """List every subject kind with the method that speaks for it, its version and the reason."""
    rows = []
    for spec in load_specs(settings):
        for kind in spec.kinds:
            document = published(settings, spec, kind)
            if document is None:
                rows.append([registered_name(spec, kind), "none", "", "not trained yet: `weaver-forge run`"])
                continue
            speaks = document["baseline" if document["is_baseline"] else "model"]["name"]
            rows.append([registered_name(spec, kind), speaks, document["version"], document["reason"]])
    columns = ["model", "published method", "version", "why"]
    emit({"event": "table", "title": "Models", "columns": columns, "rows": rows})
    emit({"event": "result", "data": [dict(zip(columns, row, strict=True)) for row in rows]})
    return 0
