"""The store of everything but the ledger: one DuckDB file, and a lake of Delta tables beside it.

Put what touches that file here: connections, contracts on writing, migrations, the lake, publishing. SQL that
derives one table from another stands in ``marts``. What a hook or a page reads is a published snapshot, and
that reader is ``weaver_forge.snapshot``: it must not load polars.
"""

from weaver_forge.warehouse.checks import check
from weaver_forge.warehouse.conform import conform, polars_schema
from weaver_forge.warehouse.lake import Lake
from weaver_forge.warehouse.store import Warehouse

__all__ = ["Lake", "Warehouse", "check", "conform", "polars_schema"]
