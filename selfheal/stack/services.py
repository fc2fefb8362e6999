"""The services that a person has watched: a file of theirs that Prometheus reads, and what of it is this machine's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

NAME = "services.yml"

JOB = "services"


def scrape(file: Path) -> dict[str, Any]:
    """Given the person's file, return the job that scrapes what it lists."""
    return {"job_name": JOB, "file_sd_configs": [{"files": [str(file)]}]}


def instances(file: Path) -> list[str]:
    """Return the `instance` label of every target that the file lists; none of what cannot be read.

    Prometheus itself logs what is wrong with the file.
    """
    try:
        groups = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return []
    found: dict[str, None] = {}
    for group in groups if isinstance(groups, list) else []:
        targets, labels = (group.get(key) for key in ("targets", "labels")) if isinstance(group, dict) else (None, None)
        named = labels.get("instance") if isinstance(labels, dict) else None
        for target in targets if isinstance(targets, list) else []:
            instance = named or target
            if isinstance(instance, str):
                found[instance] = None
    return list(found)
