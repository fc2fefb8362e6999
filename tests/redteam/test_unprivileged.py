"""The shipped polkit rule in a real polkitd: an unprivileged systemctl may do what it and the policy both list."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from remediator.errors import ActionFailed
from remediator.policy import Policy
from selfheal.common.shipped import shipped
from tests.actions.systemd_world import UnitHost, unit_host
from tests.tools import do_without

RULE = shipped("deploy", "polkit", "50-selfheal.rules")
NOBODY, SOMEBODY = 65534, 2
"""The rule's user is `nobody` here, for every machine has that one; `bin` is one that it does not know."""


@pytest.fixture(scope="module")
def booted_host() -> Iterator[UnitHost]:
    if not Path("/usr/lib/polkit-1/polkitd").exists():
        do_without("polkitd not found")
    rule = RULE.read_text("utf-8").replace('SELFHEAL_USER = "selfheal"', 'SELFHEAL_USER = "nobody"')
    with unit_host() as host:
        host.sh("mount -t tmpfs -o mode=755 tmpfs /etc/polkit-1/rules.d")
        tee = host.world.inside("tee", "/etc/polkit-1/rules.d/50-selfheal.rules")
        subprocess.run(tee, input=rule, text=True, stdout=subprocess.DEVNULL, check=True, timeout=30)
        host.world.systemctl("start", "polkit.service")
        yield host


@pytest.fixture
def host(booted_host: UnitHost) -> Iterator[UnitHost]:
    before: Policy = booted_host.policy
    become(booted_host, NOBODY)
    booted_host.start("web.service", "plain.service")
    yield booted_host
    booted_host.policy = before


def become(host: UnitHost, uid: int) -> None:
    """Have systemctl run as another user."""
    enter = f"nsenter --mount --pid --target={host.world.pid} -- setpriv --reuid={uid} --regid={uid} --clear-groups"
    path = host.folder / f"systemctl-{uid}"
    path.write_text(f'#!/bin/sh\nexec {enter} systemctl "$@"\n')
    path.chmod(0o755)
    host.permit(programs=replace(host.policy.programs, systemctl=str(path)))


def asked(host: UnitHost, *arguments: str) -> str:
    """Run that user's systemctl, which must fail, and return why."""
    command = [host.policy.programs.systemctl, "--no-ask-password", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode != 0
    return done.stderr


def test_what_both_list_is_done(host: UnitHost) -> None:
    before = host.show("web.service", "InvocationID")

    restarted = host.do("service.restart", unit="web.service")
    reloaded = host.do("service.reload", unit="web.service")

    assert restarted.ok
    assert reloaded.ok
    assert host.show("web.service", "InvocationID") != before


def test_a_unit_that_only_the_policy_lists_is_left_alone(host: UnitHost) -> None:
    before = host.show("plain.service", "InvocationID")

    with pytest.raises(ActionFailed, match=r"systemd would not restart unit 'plain\.service': .*Access denied"):
        host.do("service.restart", unit="plain.service")

    assert host.show("plain.service", "InvocationID") == before


def test_a_verb_that_only_the_policy_lists_is_not_done(host: UnitHost) -> None:
    told = asked(host, "--runtime", "set-property", "--", "web.service", "CPUQuota=50%")

    assert "Access denied" in told
    assert host.show("web.service", "CPUQuotaPerSecUSec") == "infinity"


def test_numbered_instances_of_a_listed_template_start_and_stop(host: UnitHost) -> None:
    host.world.systemctl("stop", "worker@*.service")

    outcome = host.do("scale.set", template="worker@.service", to=2)
    fragile = host.do("scale.set", template="fragile@.service", to=1)

    assert outcome.ok
    assert not fragile.ok
    assert "Access denied" in fragile.detail["failed"]["fragile@1.service"]
    assert host.do("scale.set", template="worker@.service", to=1).ok


@pytest.mark.parametrize("unit", ["worker@blue.service", "worker@0.service", "worker@1.timer", "xworker@1.service"])
def test_what_merely_looks_like_an_instance_is_not_started(host: UnitHost, unit: str) -> None:
    told = asked(host, "start", "--", unit)

    assert "Access denied" in told or "not found" in told


def test_another_user_gets_nothing_by_the_rule(host: UnitHost) -> None:
    become(host, SOMEBODY)

    with pytest.raises(ActionFailed, match=r"systemd would not restart unit 'web\.service'"):
        host.do("service.restart", unit="web.service")
