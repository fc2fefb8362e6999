"""Every command that a page shows exists: make targets, modules, scripts, flags."""

from __future__ import annotations

import re
import shlex
import tomllib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from remediator.playbooks.loader import load_playbook
from remediator.web.api.routes import PREFIX, ROUTES
from remediator.web.health import PATHS
from remediator.web.hooks import PATH
from selfheal.cli import COMMANDS
from tests.docs.pages import TOP, blocks, name_of, pages, read

README = read("README.md")
_GUIDES = [page for page in pages() if "alerts" not in page.parts and page.name != "CHANGELOG.md"]


def _code(text: str) -> str:
    """Return what stands as code in a page, one span or block a line."""
    fenced = "\n".join(body for language in ("", "sh", "console") for body in blocks(text, language))
    spans = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))
    return "\n".join([fenced, *spans])


def _targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", read("Makefile"), re.MULTILINE))


def _flags_of(command: str) -> set[str]:
    page = read("docs", "reference", "cli.md")
    common = page.partition("## Common flags")[2].partition("\n## ")[0]
    own = page.partition(f"## selfheal {command}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^### `(--[\w.-]+)", common + own, re.MULTILINE)) | {"--help"}


@pytest.mark.parametrize("page", _GUIDES, ids=name_of)
def test_every_make_target_shown_exists(page: Path) -> None:
    shown = set(re.findall(r"(?:^|[\s;&])make ([a-z]+)\b", _code(page.read_text("utf-8")), re.MULTILINE))

    assert shown <= _targets()


@pytest.mark.parametrize("page", _GUIDES, ids=name_of)
def test_every_module_shown_can_be_run(page: Path) -> None:
    shown = set(re.findall(r"python3? -m ([\w.]+)", _code(page.read_text("utf-8"))))

    for module in shown - {"pip", "venv", "pytest"}:
        assert find_spec(module) is not None, module


@pytest.mark.parametrize("page", _GUIDES, ids=name_of)
def test_every_selfheal_command_shown_exists_with_its_flags(page: Path) -> None:
    shown = re.findall(r"(?:^|[ /$])selfheal ([a-z]+)\b([^\n|#;&)]*)", _code(page.read_text("utf-8")), re.MULTILINE)

    for command, rest in shown:
        assert command in COMMANDS
        flags = {word.partition("=")[0] for word in shlex.split(rest.replace("'", "")) if word.startswith("--")}
        assert flags <= _flags_of(command), f"selfheal {command}{rest}"


def test_the_installed_scripts_are_functions_that_exist() -> None:
    scripts = tomllib.loads(read("pyproject.toml"))["project"]["scripts"]

    for target in scripts.values():
        module, _, function = target.partition(":")
        assert callable(getattr(import_module(module), function))


def test_every_benchmark_is_named_in_the_readme_and_every_named_one_exists() -> None:
    named = set(re.findall(r"python -m (benchmarks\.\w+)", README))
    runnable = {
        f"benchmarks.{path.parent.name if path.stem == '__main__' else path.stem}"
        for path in [*(TOP / "benchmarks").glob("*.py"), *(TOP / "benchmarks").glob("*/__main__.py")]
        if re.search(r"\bprint\(json\.dumps\(_?figures", path.read_text("utf-8"))  # the others help these
    }

    assert named == runnable


def test_make_bench_runs_the_benchmarks_that_the_readme_names() -> None:
    recipe = read("Makefile").partition("\nbench:")[2]

    in_make = set(re.findall(r"-m (benchmarks\.\w+)", recipe))

    assert in_make == set(re.findall(r"python -m (benchmarks\.\w+)", README))


def test_the_readmes_first_screen_has_the_two_commands_and_the_flow() -> None:
    first = README[: README.index("\n## ")]

    assert "make run" in blocks(first, "sh")[0]
    assert "make test" in blocks(first, "sh")[0]


def test_the_readmes_playbook_has_twelve_lines_and_loads(tmp_path: Path) -> None:
    (shown,) = blocks(README, "yaml")
    file = tmp_path / "shown.yml"
    file.write_text(shown, "utf-8")

    playbook = load_playbook(file)

    assert len(shown.splitlines()) == 12
    assert playbook.mode == "auto"
    assert playbook.verify is not None


def test_the_readmes_log_lines_are_what_the_remediator_writes_for_that_playbook() -> None:
    from remediator.notifiers.log import MESSAGES, OTHER

    (shown,) = blocks(README, "yaml")
    name = re.findall(r"^playbook: (\w+)$", shown, re.MULTILINE)[0]
    lines = [line for line in blocks(README, "text")[0].splitlines() if line]

    said = [re.findall(r'msg="([^"]+)"', line) for line in lines]

    assert len(lines) == 6
    assert all(f"playbook={name} " in line for line in lines)
    assert {words[0] for words in said} <= {*MESSAGES.values(), *OTHER.values()}


_PLAYBOOKS = [
    pytest.param(body, id=f"{name_of(page)}-{number}")
    for page in pages()
    for number, body in enumerate(blocks(page.read_text("utf-8"), "yaml"))
    if re.search(r"^playbook:", body, re.MULTILINE)
    and "yaml-language-server" not in body  # the head of one, for editors
]


@pytest.mark.parametrize("body", _PLAYBOOKS)
def test_every_playbook_shown_loads(body: str, tmp_path: Path) -> None:
    file = tmp_path / "shown.yml"
    file.write_text(body, "utf-8")

    assert load_playbook(file).name


_ROUTES = {PREFIX + re.sub(r"<[^>]*>", "X", route.path) for route in ROUTES} | {PREFIX, PATH, *PATHS}
_ROUTES |= {"/-/reload"}  # Prometheus's own


@pytest.mark.parametrize("page", _GUIDES, ids=name_of)
def test_every_route_shown_exists(page: Path) -> None:
    shown = re.findall(r"/api/v1(?:/[\w<>:{}.-]+)*|/hooks/[\w-]+|/-/\w+", _code(page.read_text("utf-8")))

    unknown = [path for path in shown if re.sub(r"/(?:\d+|[A-Z]+|[<{][^/]*)(?=/|$)", "/X", path) not in _ROUTES]

    assert unknown == []


def test_ci_runs_the_readmes_test_command() -> None:
    assert "make test" in read(".ci", "run")
