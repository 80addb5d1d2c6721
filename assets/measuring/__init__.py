"""Measuring how fast things come in: each measure in a process of its own, ratios within one run.

``corpora`` writes what is read, ``ingest`` and ``clickhouse`` are what runs in the processes, ``bench`` starts them,
``rows`` has the figures and their bars.
"""
