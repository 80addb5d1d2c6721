"""The semantic layer: OpenTelemetry's conventions as data, and what telemetry makes of them. Pure."""
