"""The Dagster code location of a Weaver Forge deployment: wiring only, no arithmetic."""
