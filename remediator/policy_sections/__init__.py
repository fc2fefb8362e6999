"""Shapes of the sections of a policy file, one file each; `policy_written` puts them together."""
