"""The semantic layer: OpenTelemetry's conventions as data, and what telemetry makes of them.

Pure but for ``compile``, which reads a checkout and writes the table that ships, and ``registry.shipped``, which reads
that table once.
"""
