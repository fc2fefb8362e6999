"""Playbooks: read strictly (`loader`), filled in once (`templates`, `arguments`), chosen and frozen (`match`)."""
