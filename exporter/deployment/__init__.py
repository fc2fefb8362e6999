"""Asks the parts of what is deployed here how they are, and judges the whole; knows no metric names."""
