"""`policy.yml`, read strictly into a `Policy`: every fault at once. Its shape stands in `policy_written.py`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from remediator.policy import Policy, place_of
from remediator.policy.addresses import DEFAULT_PORTS, read_address
from remediator.policy.owned import read_own
from remediator.policy.values import Ansible, Command, NamedCommand, Parameter, ParameterType, Programs, Root, Unit, Url
from remediator.policy_written import PolicyFile, WrittenCommand, WrittenParameter
from selfheal.common.documents import parse_yaml, read_as
from selfheal.common.processes import Grouping


def load_policy(
    path: Path,
    protected: Iterable[Path] = (),
    *,
    grouping: Grouping | None = None,
    procfs: Path = Path("/proc"),
    monitoring: Iterable[str] = (),
) -> Policy:
    """Given a policy file, the paths never to touch and the known process groups, return the policy.

    `monitoring` are the URLs of Prometheus, the Alertmanagers and ourselves: nothing is changed there.
    A file that somebody else owns, may write or may replace gives a policy that denies everything, with its `problem`.
    Raise ConfigError with every fault of its content, each with its remedy.
    """
    text, problem = read_own(path)
    written = parse_yaml(text, str(path))
    policy = read_as(PolicyFile, {} if written is None else written, str(path))
    identities = None if policy.identities is None else path.parent / policy.identities
    guarded = [path, *protected, *([identities] if identities else [])]
    return Policy(
        process_groups=policy.process_groups,
        roots=tuple(Root(root, rule.older_than, rule.keep) for root, rule in policy.roots.items()),
        commands=tuple(_service(name, entry) for name, entry in policy.commands.items() if not entry.run),
        named=tuple(_named(name, entry) for name, entry in policy.commands.items() if entry.run),
        ansible=tuple(
            Ansible(name, entry.playbook, entry.inventory, entry.limit, _parameters(entry.parameters), entry.timeout)
            for name, entry in policy.ansible.items()
        ),
        units=tuple(Unit(pattern, tuple(rule.verbs)) for pattern, rule in policy.units.items()),
        urls=tuple(Url(read_address(url), tuple(rule.methods)) for url, rule in policy.urls.items()),
        users=policy.users,
        identities=identities,
        protected=tuple(dict.fromkeys(guarded)),
        protected_addresses=frozenset(_places(monitoring)),
        programs=Programs(policy.programs.systemctl, policy.programs.ansible_playbook),
        grouping=grouping or Grouping(),
        procfs=procfs,
        source=str(path),
        problem=problem,
    )


def _service(name: str, entry: WrittenCommand) -> Command:
    return Command(name, entry.start or (), entry.stop or (), entry.status or (), entry.timeout)


def _named(name: str, entry: WrittenCommand) -> NamedCommand:
    parameters = _parameters(entry.parameters)
    return NamedCommand(name, entry.run or (), parameters, entry.timeout, entry.stdin, entry.read_only)


def _parameters(written: dict[str, WrittenParameter]) -> tuple[Parameter, ...]:
    return tuple(
        Parameter(
            name, ParameterType(each.type), tuple(each.of), each.pattern, each.at_least, each.at_most, each.default
        )
        for name, each in written.items()
    )


def _places(urls: Iterable[str]) -> Iterable[tuple[str, int]]:
    """Yield host and port of each; a URL of the configuration may be spelt more freely than one of a policy."""
    for url in urls:
        parts = urlsplit(url)
        # port 0 is one that the system chooses
        port = DEFAULT_PORTS.get(parts.scheme) if parts.port is None else parts.port
        if port:
            yield place_of(parts.hostname or "localhost", port)
