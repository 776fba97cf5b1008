"""Many machines: the files in docker/ and what of them runs here without an engine."""
