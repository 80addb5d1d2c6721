"""benchmark ranking: what learning from test results and ranking tests costs, every figure beside its bar."""

from assets.measuring.grouped import GroupedBenchmark
from assets.measuring.ranking_rows import GROUPS

ranking_benchmark = GroupedBenchmark(
    groups=GROUPS, title="Learning and ranking", noun="results", least=100_000, size_key="results"
)
