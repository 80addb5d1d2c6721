"""The decisions: one package each, tables in and numbers out; nothing here knows of Dagster, files or the network."""
