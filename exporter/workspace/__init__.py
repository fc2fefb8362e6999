"""How a work tree stands: what git says of it, how long its files are, how much of it is tested; no metric names."""
