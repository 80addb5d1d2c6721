"""Tables, batches, decisions and vocabularies as data. No disk, no network, no clock, no polars at import."""
