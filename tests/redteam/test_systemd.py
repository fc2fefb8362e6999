"""Units that keep the host reachable or watched, under whatever name, and names that try to be more than a name."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.actions import ACTIONS, validate
from remediator.errors import ActionFailed, Refused
from remediator.model import Plan
from remediator.policy import Policy, Refusal
from remediator.policy.scale import Scale, template_problem
from remediator.policy.unit_facts import read_units
from remediator.policy.units import is_never, name_problem
from remediator.policy.values import Programs, Unit
from remediator.systemctl import limit_unit, look_at_instances, run_instance, run_unit
from selfheal.common.problems import ConfigError
from tests.actions.systemd_world import SLEEP, UNITS, UnitHost, service, unit_host
from tests.redteam.policies import program

VERBS = ("start", "stop", "restart", "reload", "reset-failed", "limit")
EVERYTHING = Policy(
    units=tuple(Unit(pattern, VERBS) for pattern in ("*.service", "*.socket", "*.timer", "*.path")),
    scale=tuple(Scale(name, 0, 9) for name in ("user@.service", "sshd@.service", "systemd-nspawn@.service")),
    source="policy.yml",
)
"""What no policy file may say: it permits every unit there is."""


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    """Return a policy that permits every unit, whose systemctl tells that it was started."""
    path = program(tmp_path / "systemctl", f"open({str(tmp_path / 'ran')!r}, 'w')")
    return replace(EVERYTHING, programs=Programs(systemctl=str(path)))


NEVER = [
    *("ssh.service", "sshd.service", "ssh.socket", "sshd@7.service", "ssh@10.0.0.1:22-10.0.0.2:5.service"),
    *("systemd-networkd.service", "systemd-resolved.service", "NetworkManager.service", "networking.service"),
    *("wpa_supplicant@wlan0.service", "ifup@eth0.service", "dhcpcd.service", "wg-quick@wg0.service"),
    *("getty@tty1.service", "serial-getty@ttyS0.service", "user@0.service", "user@1000.service"),
    *("dbus.service", "dbus-broker.service", "dbus.socket", "polkit.service", "supervisor.service"),
    *("prometheus.service", "prometheus-node-exporter.service", "alertmanager.service", "selfheal.service"),
    *("selfheal-exporter.socket", "process-exporter.service", "node_exporter.service", "dropbear.service"),
]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("unit", NEVER)
def test_what_keeps_the_host_reachable_or_watched_is_never_touched(policy: Policy, unit: str, verb: str) -> None:
    with pytest.raises(Refused, match="keeps this host reachable or watched; it is never touched"):
        policy.unit(unit, verb)


@pytest.mark.parametrize("template", ["user@.service", "sshd@.service", "systemd-nspawn@.service"])
def test_no_instance_of_a_protected_template_is_started_or_stopped(policy: Policy, template: str) -> None:
    with pytest.raises(Refused, match="never touched"):
        look_at_instances(policy, template, 5.0, time.monotonic)
    with pytest.raises(Refused, match="never touched"):
        run_instance(policy, template.replace("@.", "@1."), "stop", 5.0, time.monotonic)

    assert template_problem(template) is not None
    assert not Path(policy.programs.systemctl).with_name("ran").exists()


NOT_A_NAME = [
    *("--host=root@evil.service", "-H.service", "--.service", "-.service", "--", "--force", "-p", ""),
    *("web.service --now", "web.service\nssh.service", "web.service\0", "web.service;reboot", "$(reboot).service"),
    *("web.service.d/override.conf", "../ssh.service", "/etc/systemd/system/ssh.service", "./ssh.service"),
    *("*", "*.service", "s?h.service", "[s]sh.service", "ssh*.service", "web.servicе", "ｓｓｈ.service"),
    *("rescue.target", "-.mount", "system.slice", "session-1.scope", "web", "web.", ".service", "a" * 256 + ".service"),
]


@pytest.mark.parametrize("unit", NOT_A_NAME, ids=ascii)
def test_what_is_no_name_of_a_unit_starts_nothing(policy: Policy, unit: str) -> None:
    for call in (
        lambda: run_unit(policy, unit, "restart", 5.0, time.monotonic),
        lambda: run_unit(policy, unit, "status", 5.0, time.monotonic),
        lambda: limit_unit(policy, unit, {"CPUQuota": "50%"}, 5.0, time.monotonic),
        lambda: run_instance(policy, unit, "start", 5.0, time.monotonic),
    ):
        with pytest.raises(Refused):
            call()

    assert not Path(policy.programs.systemctl).with_name("ran").exists()


@given(st.text(max_size=80))
def test_any_text_is_a_name_of_a_unit_or_refused(text: str) -> None:
    name = f"{text}.service"
    if name_problem(name) is None:
        assert not name.startswith(("-", "."))
        assert not set(name) & set(" \t\n\0/*?[];$`'\"|&<>")
        assert name.isascii()


ARGUMENTS = {
    "service.restart": {},
    "service.reload": {},
    "service.start": {},
    "service.reset_failed": {},
    "process.limit": {"cpu": 0.5},
}


@pytest.mark.parametrize(
    "unit",
    [
        "user.slice/user-1000.slice/user@1000.service/app.slice/web.service",
        "user.slice/web.service",
        "system.slice/other.service/web.service",
        "/system.slice/web.service",
        "system.slice/../web.service",
        "system.slice/ssh.service",
        "web.service/",
        "system.slice/",
    ],
)
@pytest.mark.parametrize("action", ARGUMENTS)
def test_the_path_of_a_group_names_only_the_machines_own_unit(action: str, unit: str) -> None:
    policy = Policy(units=(Unit("web.service", VERBS),), source="policy.yml")

    with pytest.raises((Refused, ConfigError)):
        validate(ACTIONS[action], {"unit": unit, **ARGUMENTS[action]}, policy)


@pytest.mark.parametrize(
    "unit", ["system.slice/web.service", "system.slice/system-web.slice/web.service", "web.service"]
)
def test_the_path_of_a_group_of_the_machine_is_its_unit(unit: str) -> None:
    policy = Policy(units=(Unit("web.service", VERBS),), source="policy.yml")

    values = validate(ACTIONS["process.limit"], {"unit": unit, "cpu": 0.5}, policy)

    assert values["unit"] == "web.service"
    assert validate(ACTIONS["process.limit"], values, policy) == values


UGLY = {
    # what is really sshd, under a name of our own
    "login.service": service("ExecStart=/run/tools/sshd 1000"),
    # and one that a script of ours starts, so that it is not the main process
    "wrapped.service": service("ExecStart=/bin/sh -c '/run/tools/sshd 1000; true'"),
    "watch.service": service("ExecStart=/bin/sh -c '/run/tools/prometheus 1000; true'"),
    # as a unit is right after its start, for as long as the test wants
    "young.service": service(
        "ExecStart=/run/tools/systemd-x -c 'while ! test -e /run/go; do sleep 0.2; done; exec sleep 9'"
    ),
    "hidden.service": service(SLEEP),
    "real.service": service(SLEEP),
    "ssh.service": service(SLEEP, unit="PartOf=real.service"),
    "reach.service": service(SLEEP),
    "link.service": service(SLEEP, unit="BindsTo=reach.service"),
    "far.service": service("ExecStart=/run/tools/sshd 1000", unit="BindsTo=link.service"),
    "coup.service": service(SLEEP, unit="Conflicts=ssh.service"),
    # harmless by itself, and by what it wants
    "front.service": service(SLEEP, unit="Wants=middle.service"),
    "middle.service": service(SLEEP, unit="Requires=coup.service"),
    "doom.service": service(SLEEP, unit="StartLimitAction=reboot"),
    "peer.service": service(SLEEP),
    "pull.service": service(SLEEP, unit="RequisiteOf=peer.service\nRequisite=peer.service\nAfter=peer.service"),
}


@pytest.fixture(scope="module")
def host() -> Iterator[UnitHost]:
    with pytest.MonkeyPatch.context() as patch:
        for name, text in UGLY.items():
            patch.setitem(UNITS, name, text)
        with unit_host() as host:
            host.sh("mkdir /run/tools; for name in sshd prometheus; do cp /bin/sleep /run/tools/$name; done")
            host.sh("cp /bin/sh /run/tools/systemd-x")
            host.sh("ln -s /run/systemd/system/hidden.service /run/systemd/system/prometheus-alias.service")
            # a drop-in can give a unit another name only by an alias, and other dependencies by itself
            host.sh("mkdir /run/systemd/system/peer.service.d")
            host.sh("printf '[Unit]\\nPropagatesReloadTo=ssh.service\\n' > /run/systemd/system/peer.service.d/ssh.conf")
            host.world.systemctl("daemon-reload")
            host.policy = replace(EVERYTHING, programs=host.policy.programs)
            yield host


def invocations(host: UnitHost, *units: str) -> list[str]:
    return [host.show(unit, "InvocationID") for unit in units]


@pytest.mark.parametrize(
    ("unit", "why"),
    [
        ("login.service", "belongs to sshd, by which people come in"),
        ("wrapped.service", "belongs to sshd, by which people come in"),
        ("watch.service", "belongs to the monitoring itself"),
    ],
)
@pytest.mark.parametrize("action", ["service.restart", "process.limit"])
def test_a_unit_with_such_a_process_in_it_is_never_touched(host: UnitHost, unit: str, why: str, action: str) -> None:
    host.world.systemctl("start", unit)
    before = invocations(host, unit)

    with pytest.raises(Refused, match=why):
        host.plan(action, unit=unit, **ARGUMENTS[action])

    assert invocations(host, unit) == before


def test_a_process_that_has_not_become_its_program_yet_is_waited_for(host: UnitHost) -> None:
    host.world.systemctl("start", "young.service")
    go = host.wrapper("go", f"touch /proc/{host.world.pid}/root/run/go")
    before = host.policy
    host.permit(programs=replace(before.programs, systemctl=str(go)))

    plan = host.plan("service.restart", unit="young.service")

    host.policy = before
    assert plan.items


@pytest.mark.parametrize("name", ["hidden.service", "prometheus-alias.service"])
def test_an_alias_hides_nothing(host: UnitHost, name: str) -> None:
    host.world.systemctl("start", "prometheus-alias.service")

    with pytest.raises(Refused, match=r"is also 'prometheus-alias\.service'|keeps this host reachable"):
        host.plan("service.restart", unit=name)


def test_what_would_take_ssh_along_is_refused_near_and_far(host: UnitHost) -> None:
    host.world.systemctl("start", "real.service", "ssh.service", "reach.service", "link.service", "far.service")
    before = invocations(host, "real.service", "ssh.service", "reach.service", "far.service")

    with pytest.raises(Refused, match=r"systemd does restart to 'ssh\.service': .* never touched"):
        host.plan("service.restart", unit="real.service")
    with pytest.raises(Refused, match=r"systemd does restart to 'far\.service': .* belongs to sshd"):
        host.plan("service.restart", unit="reach.service")

    assert invocations(host, "real.service", "ssh.service", "reach.service", "far.service") == before


def test_a_start_that_would_end_ssh_is_refused(host: UnitHost) -> None:
    host.world.systemctl("stop", "coup.service")
    host.world.systemctl("start", "ssh.service")

    with pytest.raises(Refused, match=r"systemd does stop to 'ssh\.service': .* never touched"):
        host.plan("service.start", unit="coup.service")

    assert host.state("ssh.service") == "active"


@pytest.mark.parametrize("action", ["service.start", "service.restart"])
def test_a_start_whose_wants_would_end_ssh_is_refused(host: UnitHost, action: str) -> None:
    host.world.systemctl("stop", "coup.service", "front.service", "middle.service")
    host.world.systemctl("start", "ssh.service")

    with pytest.raises(
        Refused, match=r"with unit 'front\.service' systemd does stop to 'ssh\.service': .* never touch"
    ):
        host.plan(action, unit="front.service")

    assert host.state("ssh.service") == "active"


def test_a_unit_that_would_end_the_whole_machine_is_never_touched(host: UnitHost) -> None:
    with pytest.raises(Refused, match=r"takes the whole machine along: StartLimitAction=reboot"):
        host.plan("service.restart", unit="doom.service")


def test_a_drop_in_that_hands_a_reload_on_is_seen(host: UnitHost) -> None:
    host.world.systemctl("start", "ssh.service", "peer.service")
    host.sh("printf '[Service]\\nExecReload=/bin/true\\n' > /run/systemd/system/peer.service.d/reload.conf")
    host.world.systemctl("daemon-reload")

    with pytest.raises(Refused, match=r"systemd does reload to 'ssh\.service': .* never touched"):
        host.plan("service.reload", unit="peer.service")


def test_what_became_sshds_between_plan_and_run_is_left_alone(host: UnitHost) -> None:
    host.start("web.service")
    plan = host.plan("service.restart", unit="web.service")
    host.sh("printf '[Unit]\\nPropagatesStopTo=ssh.service\\n' > /run/systemd/system/x.conf")
    host.sh(
        "mkdir -p /run/systemd/system/web.service.d; mv /run/systemd/system/x.conf /run/systemd/system/web.service.d"
    )
    host.world.systemctl("daemon-reload")
    host.world.systemctl("start", "ssh.service")

    with pytest.raises(Refused, match=r"'ssh\.service': .* never touched"):
        host.run("service.restart", plan)

    assert host.state("ssh.service") == host.state("web.service") == "active"
    host.sh("rm -r /run/systemd/system/web.service.d")
    host.world.systemctl("daemon-reload")


def test_a_stored_plan_for_a_unit_that_is_never_touched_is_refused(host: UnitHost) -> None:
    facts = {"active_state": "active", "main_pid": int(host.show("dbus.service", "MainPID"))}
    detail = {"unit": "dbus.service", **facts, "invocation_id": host.show("dbus.service", "InvocationID")}
    plan = Plan(({"kind": "unit", "unit": "dbus.service", "verb": "restart"},), detail)

    for action in ("service.restart", "service.start", "service.reset_failed"):
        with pytest.raises(Refused, match="never touched"):
            host.run(action, plan)

    assert host.show("dbus.service", "InvocationID") == detail["invocation_id"]


def test_every_refusal_is_heard_once(host: UnitHost) -> None:
    heard: list[Refusal] = []
    host.world.systemctl("start", "real.service", "ssh.service", "wrapped.service")
    policy = replace(host.policy, heard=heard.append, procfs=Path(f"/proc/{host.world.pid}/root/proc"))
    for unit in ("ssh.service", "real.service", "wrapped.service", "*"):
        with pytest.raises(Refused):
            run_unit(policy, unit, "restart", 60.0, time.monotonic)

    assert [refusal.door.value for refusal in heard] == ["shell"] * 4


TOLD = """
import json, sys
unit = sys.argv[-1]
if sys.argv[2] == "show":
    print(f"Id={unit}\\nNames={unit}\\nLoadState=loaded\\nActiveState=active\\nMainPID=0\\nRequiredBy=next-{unit}")
"""


def test_dependencies_without_an_end_are_refused(tmp_path: Path) -> None:
    path = program(tmp_path / "systemctl", TOLD)
    policy = replace(EVERYTHING, programs=Programs(systemctl=str(path)))

    with pytest.raises(Refused, match="drags too many others along"):
        run_unit(policy, "web.service", "restart", 60.0, time.monotonic)


def test_a_ring_of_dependencies_has_an_end(tmp_path: Path) -> None:
    code = TOLD.replace("next-{unit}", "{dict(a='b', b='a')[unit[0]]}.service")
    path = program(tmp_path / "systemctl", code + "else: print(json.dumps(sys.argv[1:]))")
    policy = replace(EVERYTHING, programs=Programs(systemctl=str(path)))

    finished = run_unit(policy, "a.service", "restart", 60.0, time.monotonic)

    assert json.loads(finished.output)[-2:] == ["--", "a.service"]


@pytest.mark.parametrize("verb", ["start", "stop"])
def test_a_systemctl_that_finds_no_systemd_and_calls_that_a_success_is_not_believed(policy: Policy, verb: str) -> None:
    with pytest.raises(ActionFailed, match="systemd says nothing of unit"):
        run_unit(policy, "web.service", "restart", 60.0, time.monotonic)
    with pytest.raises(ActionFailed, match="systemd says nothing of unit"):
        run_instance(
            replace(policy, scale=(Scale("worker@.service", 0, 4),)), "worker@1.service", verb, 60.0, time.monotonic
        )


def test_what_systemd_does_not_tell_of_is_not_dragged_along(tmp_path: Path) -> None:
    code = TOLD.replace("Id={unit}\\nNames={unit}", "Id=web.service\\nNames=web.service")
    policy = replace(EVERYTHING, programs=Programs(systemctl=str(program(tmp_path / "systemctl", code))))

    with pytest.raises(
        ActionFailed, match=r"says nothing of 'next-web\.service', which unit 'web\.service' drags along"
    ):
        run_unit(policy, "web.service", "restart", 60.0, time.monotonic)


def test_nothing_is_begun_for_which_no_time_is_left(policy: Policy) -> None:
    with pytest.raises(ActionFailed, match=r"no time is left for .* of unit 'web\.service'"):
        run_unit(replace(policy, units=(Unit("*.service", ("status",)),)), "web.service", "status", 0.0, time.monotonic)

    assert not Path(policy.programs.systemctl).with_name("ran").exists()


def test_a_systemctl_that_is_another_users_to_write_is_not_even_asked(policy: Policy) -> None:
    Path(policy.programs.systemctl).chmod(0o777)

    for verb in ("start", "restart"):
        with pytest.raises(Refused, match="can be written by others"):
            run_unit(policy, "web.service", verb, 5.0, time.monotonic)


def test_a_systemctl_that_is_not_there_is_a_known_failure(tmp_path: Path) -> None:
    policy = replace(EVERYTHING, programs=Programs(systemctl=str(tmp_path / "none")))

    with pytest.raises(ActionFailed, match="cannot start"):
        run_unit(policy, "web.service", "restart", 5.0, time.monotonic)


def test_what_units_say_of_themselves_cannot_become_another_unit() -> None:
    shown = "Id=web.service\nNames=web.service\nResult=x\n\nId=db.service\nNames=db.service\n"

    assert [facts["Id"] for facts in read_units(shown)] == ["web.service", "db.service"]
    assert read_units("") == []
    assert not is_never("web.service")
