"""benchmark ledger: how fast the record is written, looked into, verified and scored, every figure beside its bar."""

from assets.measuring.grouped import GroupedBenchmark
from assets.measuring.ledger_rows import GROUPS

ledger_benchmark = GroupedBenchmark(groups=GROUPS, title="The ledger", noun="rows", least=1_000, size_key="rows_there")
