"""Playbooks against the policy: what a step or a probe names and this host does not permit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from remediator.actions import ACTIONS
from remediator.check.world import World
from remediator.config import Config
from remediator.errors import Refused
from remediator.model import Argument, ArgumentType, Effect, Mode, Playbook, Step
from remediator.playbooks.templates import has_template
from remediator.policy import Policy, journal, memory
from remediator.policy.look_ups import look_up
from remediator.policy.parameters import value_problem
from remediator.policy.values import Ansible, NamedCommand, ParameterType
from remediator.probes import PROBES
from selfheal.common.durations import parse_duration
from selfheal.common.problems import Problem

name = "permits"
SECTIONS: Mapping[ArgumentType, str] = {
    ArgumentType.GROUP: "process_groups",
    ArgumentType.ROOT: "roots",
    ArgumentType.SERVICE: "commands",
    ArgumentType.UNIT: "units",
    ArgumentType.TEMPLATE: "scale",
    ArgumentType.COMMAND: "commands",
    ArgumentType.URL: "urls",
    ArgumentType.WORK_TREE: "work_trees",
    ArgumentType.CONTAINER: "containers",
    ArgumentType.PROGRAM: "supervisor",
    ArgumentType.PLAY: "ansible",
}
"""Arguments that the policy must list, and where."""


def _unit(verb: str) -> tuple[str, Callable[[Policy, Mapping[str, Any]], object]]:
    """Return how the policy is asked for what an action does to the unit that it names."""

    def ask(policy: Policy, given: Mapping[str, Any]) -> None:
        unit = given.get("unit")
        if not isinstance(unit, str) or has_template(unit):
            return
        try:
            policy.unit(unit)
        except Refused:
            # told as the look-up that it is
            return
        policy.unit(unit, verb)

    return "unit", ask


ASKING: Mapping[str, tuple[str, Callable[[Policy, Mapping[str, Any]], object]]] = {
    "memory.reclaim": ("unit", lambda policy, given: policy.unit(str(given.get("unit")), memory.RECLAIM)),
    "service.restart": _unit("restart"),
    "service.reload": _unit("reload"),
    "service.start": _unit("start"),
    "service.reset_failed": _unit("reset-failed"),
    "process.limit": _unit("limit"),
    "memory.drop_caches": ("", lambda policy, _: memory.permitted(policy)),
    "disk.vacuum_journal": ("", lambda policy, _: journal.rule_of(policy)),
}
"""Actions that ask the policy for more than their look-ups: about which argument, and how."""
PROBE_METHOD = "GET"
PROBE_VERB = "status"


def check(world: World) -> Iterator[Problem]:
    """Yield everything that playbooks promise and the policy denies."""
    config, policy = world.config, world.policy
    if config is None:
        return
    touching = [playbook for playbook in world.playbooks if _acts(playbook, config)]
    if config.policy is None:
        if touching:
            what = f"is missing, so nothing is permitted and {touching[0].name} is always denied"
            yield Problem(str(config.file), "policy", what, "add policy: policy.yml")
        return
    if policy is None or policy.problem is not None:
        # why everything is denied is told where the file itself is looked at
        return
    for playbook in touching:
        for index, step in enumerate(playbook.steps):
            action = ACTIONS[step.action]
            denied = [*_denied(action.arguments, step.arguments, policy), *_step_denied(step, policy)]
            for at, what, remedy in denied:
                yield Problem(playbook.source, f"steps[{index}].with.{at}".removesuffix(".with."), what, remedy)
    for playbook in world.playbooks:
        for index, each in enumerate(playbook.diagnose):
            # a probe looks in every mode, and its refusal keeps nothing back
            for at, what, remedy in _probe_denied(each.probe, each.arguments, policy):
                yield Problem(playbook.source, f"diagnose[{index}].with.{at}", what, remedy, "warning")


def _acts(playbook: Playbook, config: Config) -> bool:
    if Mode.OBSERVE in (config.highest_mode, playbook.mode):
        return False
    return any(ACTIONS[step.action].effect is not Effect.READ_ONLY for step in playbook.steps)


_Denied = Iterator[tuple[str, str, str]]
"""Argument, what is wrong, and the remedy."""


def _denied(known: Mapping[str, Argument], given: Mapping[str, Any], policy: Policy) -> _Denied:
    command: NamedCommand | Ansible | None = None
    for key, value in given.items():
        kind = known[key].type
        if kind not in SECTIONS or not isinstance(value, str):
            continue
        if has_template(value):
            if not _listed(kind, policy):
                section = SECTIONS[kind]
                yield key, f"whatever {value} is, {policy.source} lists no {section}", f"list it there under {section}"
            continue
        try:
            found = look_up(policy, kind, value)
        except Refused as refused:
            what, _, remedy = refused.detail.partition("; ")
            yield key, what, remedy
        else:
            command = found or command
    if command is not None:
        yield from _parameters(command, given.get("parameters") or {}, policy)


def _step_denied(step: Step, policy: Policy) -> _Denied:
    """Yield what an action asks of the policy besides its look-ups."""
    given = step.arguments
    if step.action == "http.request":
        try:
            policy.address(str(given.get("url")))
        except Refused:
            # told as the look-up that it is
            return
        try:
            policy.address(str(given.get("url")), str(given.get("method", "POST")))
        except Refused as refused:
            what, _, remedy = refused.detail.partition("; ")
            yield "method", what, remedy or f"permit it in {policy.source}"
    elif step.action in ASKING:
        at, ask = ASKING[step.action]
        try:
            ask(policy, given)
        except Refused as refused:
            what, _, remedy = refused.detail.partition("; ")
            yield at, what, remedy or f"permit it in {policy.source}"
    elif step.action == "silence.create":
        seconds = given["for"] if isinstance(given["for"], int | float) else parse_duration(given["for"])
        refusal = policy.silences.refusal(seconds, policy.source)
        if refusal is not None:
            what, _, remedy = refusal.partition("; ")
            yield "for", what, remedy or "shorten it"


def _listed(kind: ArgumentType, policy: Policy) -> bool:
    entries: Mapping[ArgumentType, tuple[object, ...]] = {
        ArgumentType.GROUP: policy.process_groups,
        ArgumentType.ROOT: policy.roots,
        ArgumentType.SERVICE: policy.commands,
        ArgumentType.UNIT: policy.units,
        ArgumentType.TEMPLATE: policy.scale,
        ArgumentType.COMMAND: policy.named,
        ArgumentType.URL: policy.urls,
        ArgumentType.WORK_TREE: policy.work_trees,
        ArgumentType.CONTAINER: policy.containers.names,
        ArgumentType.PROGRAM: policy.supervisor.programs,
        ArgumentType.PLAY: policy.ansible,
    }
    return bool(entries[kind])


def _parameters(command: NamedCommand | Ansible, given: Mapping[str, Any], policy: Policy) -> _Denied:
    known = {parameter.name: parameter for parameter in command.parameters}
    for key in given:
        if key not in known:
            remedy = f"it takes {', '.join(known)}" if known else "it takes none"
            yield f"parameters.{key}", f"{command.name} has no parameter {key!r:.80}", remedy
    for key, parameter in known.items():
        value = given.get(key, parameter.default)
        if value is None:
            yield "parameters", f"{command.name} is not given its parameter {key}", "add it, or a default in the policy"
        elif not isinstance(value, str) or not has_template(value):
            problem = value_problem(parameter, value) or _not_listed(parameter.type, str(value), policy)
            if problem is not None:
                yield f"parameters.{key}", problem, f"mend it, or the parameter in {policy.source}"


def _not_listed(kind: ParameterType, value: str, policy: Policy) -> str | None:
    if kind is ParameterType.GROUP and policy.may_group(value) is not None:
        return f"process group {value!r} is not permitted"
    if kind is ParameterType.ROOT and value not in [root.path for root in policy.roots]:
        return f"root {value!r} is not permitted"
    return None


def _probe_denied(probe: str, given: Mapping[str, Any], policy: Policy) -> _Denied:
    told = list(_denied(PROBES[probe].arguments, given, policy))
    yield from told
    if told:
        return
    try:
        if probe == "http":
            policy.address(given["url"], PROBE_METHOD)
        elif isinstance(given.get("unit"), str) and not has_template(given["unit"]):
            policy.unit(given["unit"], PROBE_VERB)
    except Refused as refused:
        what, _, remedy = refused.detail.partition("; ")
        yield "url" if probe == "http" else "unit", what, remedy or f"permit it in {policy.source}"
    command = given.get("command")
    if probe != "command" or not isinstance(command, str) or has_template(command):
        return
    if not policy.named_command(command).read_only:
        what = f"{command} is not marked read_only, and a probe runs nothing else"
        yield "command", what, f"mark it in {policy.source} if it changes nothing, or name another"
