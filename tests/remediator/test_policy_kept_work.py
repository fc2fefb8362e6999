"""The sections work_trees, containers and supervisor of a policy file, and what their patterns fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from remediator.errors import Refused
from remediator.policy import Policy
from remediator.policy.addresses import read_address
from remediator.policy.managed import (
    Containers,
    Named,
    Supervisor,
    is_never,
    permitted_container,
    permitted_program,
)
from remediator.policy.work_trees import WorkTree, matching, permitted_work_tree
from remediator.policy_file import load_policy
from selfheal.common.problems import ConfigError


def read(folder: Path, text: str) -> Policy:
    """Load a policy with this text."""
    path = folder / "policy.yml"
    path.write_text(text)
    path.chmod(0o600)
    return load_policy(path)


def test_every_key_has_its_value(tmp_path: Path) -> None:
    policy = read(
        tmp_path,
        """
work_trees:
  /srv/shop: {name: shop, safe: [docs/**, "*.md"], never: [docs/x], largest_file: 2MiB, branch: selfheal/a/b,
              author: "A B <a@b.org>", checkpoints: 7}
  /srv/plain: {checkpoints: 1}
containers: {socket: /run/x.sock, names: {"web-*": {verbs: [restart]}}}
supervisor: {url: "http://127.0.0.1:9001", credentials_file: sv, programs: {"g:p": {verbs: [start, stop]}}}
programs: {git: /opt/git}
""",
    )

    assert policy.problem is None
    assert policy.work_trees == (
        WorkTree("/srv/shop", "shop", ("docs/**", "*.md"), ("docs/x",), 2 << 20, "selfheal/a/b", "A B <a@b.org>", 7),
        WorkTree("/srv/plain", checkpoints=1),
    )
    assert policy.containers == Containers("/run/x.sock", (Named("web-*", ("restart",)),))
    url = read_address("http://127.0.0.1:9001")
    assert policy.supervisor == Supervisor("", url, str(tmp_path / "sv"), (Named("g:p", ("start", "stop")),))
    assert policy.programs.git == "/opt/git"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("work_trees: {srv/shop: {checkpoints: 1}}", "is not a plain absolute path"),
        ("work_trees: {/: {checkpoints: 1}}", "is not a plain absolute path"),
        ("work_trees: {/srv/..: {checkpoints: 1}}", "is not a plain absolute path"),
        ("work_trees: {'/srv/a:b': {checkpoints: 1}}", "holds : or a quote"),
        ("work_trees: {/srv/shop: {}}", "permits nothing"),
        ("work_trees: {/srv/shop: {safe: ['**']}}", "fits every file"),
        ("work_trees: {/srv/shop: {safe: ['*']}}", "fits every file"),
        ("work_trees: {/srv/shop: {safe: ['**/*']}}", "fits every file"),
        ("work_trees: {/srv/shop: {safe: [/docs/**]}}", "is no pattern of paths"),
        ("work_trees: {/srv/shop: {safe: ['[a]']}}", "is no pattern of paths"),
        ("work_trees: {/srv/shop: {safe: docs}}", "must be a list of patterns"),
        ("work_trees: {/srv/shop: {checkpoints: 1, branch: main}}", "is no branch of ours"),
        ("work_trees: {/srv/shop: {checkpoints: 1, branch: selfheal/../main}}", "is no branch of ours"),
        ("work_trees: {/srv/shop: {checkpoints: 1, author: me}}", "is no author"),
        ('work_trees: {/srv/shop: {checkpoints: 1, author: "a\\nb <c@d>"}}', "is no author"),
        ("work_trees: {/srv/shop: {checkpoints: 1, largest_file: 65MiB}}", "at most 64MiB"),
        ("work_trees: {/srv/shop: {checkpoints: 1001}}", "work_trees"),
        ("work_trees: {/a: {checkpoints: 1, name: x}, /b: {checkpoints: 1, name: x}}", "stands here twice"),
        ("containers: {socket: run/x, names: {a: {verbs: [start]}}}", "is not a plain absolute path"),
        ("containers: {socket: /run/x, names: {}}", "containers.names"),
        ("containers: {socket: /run/x, names: {'*': {verbs: [start]}}}", "begins with \\*"),
        ("containers: {socket: /run/x, names: {'a b': {verbs: [start]}}}", "is no container or pattern"),
        ("containers: {socket: /run/x, names: {a: {verbs: [kill]}}}", "must be a list of verbs"),
        ("supervisor: {programs: {a: {verbs: [start]}}}", "needs its socket or its url"),
        ("supervisor: {socket: /x, url: 'http://127.0.0.1:1', programs: {a: {verbs: [start]}}}", "and not both"),
        ("supervisor: {url: 'http://10.0.0.1:9001', programs: {a: {verbs: [start]}}}", "is no place on this machine"),
        ("supervisor: {url: 'https://127.0.0.1:1', programs: {a: {verbs: [start]}}}", "is no place on this machine"),
        ("supervisor: {url: 'http://a:b@127.0.0.1:1', programs: {a: {verbs: [start]}}}", "must not hold a user"),
        ("supervisor: {socket: /x, programs: {'a:b:c': {verbs: [start]}}}", "is no program or pattern"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("path", "pattern", "fits"),
    [
        ("docs/a.md", "docs/**", True),
        ("docs/a/b/c", "docs/**", True),
        ("docs", "docs/**", False),
        ("x/docs/a", "docs/**", False),
        ("docs2/a", "docs/**", False),
        ("x/docs/a", "**/docs/**", True),
        ("docs/a", "**/docs/**", True),
        ("a/b/c.md", "*.md", True),
        ("a.md/b", "*.md", False),
        ("docs/a/b.md", "docs/*.md", False),
        ("docs/a.md", "docs/*.md", True),
        ("a\nb.md", "*.md", True),
        ("src/x_pb2.py", "**/*_pb2.py", True),
        ("x_pb2.py", "**/*_pb2.py", True),
        ("a.mdx", "*.md", False),
        ("axmd", "a.md", False),
        ("DOCS/a", "docs/**", False),
    ],
)
def test_what_a_pattern_fits(path: str, pattern: str, fits: bool) -> None:
    assert (matching(path, [pattern]) == pattern) is fits


def test_with_fold_the_case_does_not_matter() -> None:
    assert matching("DOCS/Private.TXT", ["docs/*.txt"], fold=True) == "docs/*.txt"


@pytest.mark.parametrize(
    "name", ["prometheus", "Prometheus-2", "selfheal", "node-exporter", "web:alertmanager", "sshd"]
)
def test_the_monitoring_is_never_touched_under_any_pattern(name: str) -> None:
    every = tuple(Named(pattern, ("restart", "status")) for pattern in (f"{name[0]}*", name))
    policy = Policy(containers=Containers("/x", every), supervisor=Supervisor("/x", programs=every))

    assert is_never(name)
    with pytest.raises(Refused, match="it is never touched"):
        permitted_program(policy, name, "restart")
    permitted_program(policy, name, "status")
    if ":" not in name:
        with pytest.raises(Refused, match="it is never touched"):
            permitted_container(policy, name, "restart")


def test_a_policy_that_is_not_ours_denies_all_three(tmp_path: Path) -> None:
    path = tmp_path / "policy.yml"
    path.write_text(
        "work_trees: {/srv/shop: {checkpoints: 1}}\n"
        "containers: {socket: /x, names: {a: {verbs: [start]}}}\n"
        "supervisor: {socket: /x, programs: {a: {verbs: [start]}}}\n"
    )
    path.chmod(0o666)
    policy = load_policy(path)

    for ask, name in ((permitted_work_tree, "/srv/shop"), (permitted_container, "a"), (permitted_program, "a")):
        with pytest.raises(Refused, match="can be written by others"):
            ask(policy, name)
