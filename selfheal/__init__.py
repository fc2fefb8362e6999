"""Selfheal: the command line, the one-machine stack, and what every program stands on."""

__version__ = "0.1.0"
