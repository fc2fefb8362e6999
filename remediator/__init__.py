"""Alerts in, healing out: receive, decide, run, verify, announce. `pipeline.py` is the first file to read."""
