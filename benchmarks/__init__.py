"""Measurements against named peers and limits; each prints its figures and, as the last line, one JSON object."""
