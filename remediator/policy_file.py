"""`policy.yml`, read strictly into a `Policy`: every fault at once. Its shape stands in `policy_written.py`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from remediator.policy import Policy, place_of
from remediator.policy.addresses import DEFAULT_PORTS
from remediator.policy.journal import Journal
from remediator.policy.memory import Memory
from remediator.policy.owned import read_own
from remediator.policy.silences import Silences
from remediator.policy.values import Programs, Root, Unit
from remediator.policy_sections.ansible import read_ansible
from remediator.policy_sections.commands import read_named, read_services
from remediator.policy_sections.managed import read_containers, read_supervisor
from remediator.policy_sections.scale import scale
from remediator.policy_sections.urls import read_urls
from remediator.policy_sections.work_trees import read_work_trees
from remediator.policy_written import PolicyFile
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
        roots=tuple(Root(root, rule.older_than, rule.keep, rule.floor) for root, rule in policy.roots.items()),
        commands=read_services(policy.commands),
        named=read_named(policy.commands),
        ansible=read_ansible(policy.ansible),
        units=tuple(Unit(pattern, tuple(rule.verbs)) for pattern, rule in policy.units.items()),
        scale=scale(policy.scale),
        urls=read_urls(policy.urls, path.parent),
        silences=Silences() if policy.silences is None else Silences(policy.silences.longest),
        memory=Memory(policy.memory.drop_caches),
        journal=None if policy.journal is None else Journal(**policy.journal.model_dump()),
        work_trees=read_work_trees(policy.work_trees),
        containers=read_containers(policy.containers),
        supervisor=read_supervisor(policy.supervisor, path.parent),
        users=policy.users,
        identities=identities,
        protected=tuple(dict.fromkeys(guarded)),
        protected_addresses=frozenset(_places(monitoring)),
        programs=Programs(**policy.programs.model_dump()),
        grouping=grouping or Grouping(),
        procfs=procfs,
        source=str(path),
        problem=problem,
    )


def _places(urls: Iterable[str]) -> Iterable[tuple[str, int]]:
    """Yield host and port of each; a URL of the configuration may be spelt more freely than one of a policy."""
    for url in urls:
        parts = urlsplit(url)
        # port 0 is one that the system chooses
        port = DEFAULT_PORTS.get(parts.scheme) if parts.port is None else parts.port
        if port:
            yield place_of(parts.hostname or "localhost", port)
