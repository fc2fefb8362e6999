"""Linux reading and parsing: files below procfs to values; no metric names."""
