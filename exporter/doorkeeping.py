"""Chooses the door: the one without questions, or, if a file is named, the one that asks what the file asks."""

from __future__ import annotations

from exporter.config import Web
from exporter.door import Door, OpenDoor
from selfheal.common.clock import Clock


def make_door(web: Web, clock: Clock, exposed: bool) -> Door:
    """Given who is served and whether others can reach us, return the door. Raise ConfigError if the file is wrong."""
    if web.file is None:
        return OpenDoor()
    # only here: TLS, bcrypt and the reader of files cost more memory than all the rest of a small exporter
    from exporter.guarded import GuardedDoor

    return GuardedDoor(web.file, clock, allows_anyone=web.allows_anyone or not exposed)
