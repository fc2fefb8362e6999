"""Gauges out: what this host does, as Prometheus text; knows nothing of the remediator."""
