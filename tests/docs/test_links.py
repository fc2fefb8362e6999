"""No page leads nowhere, and no page speaks of one machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import TOP, anchors, blocks, links, name_of, pages, read

# homes, temporary folders with made-up names, and the ports that are taken when the wanted ones are in use
_MACHINE = re.compile(r"/home/\w|/Users/\w|/root/|/tmp/(?:tmp|pytest)\w|127\.0\.0\.1:[1-9]\d{4}\b")


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_relative_link_leads_to_a_file_and_heading_that_exist(page: Path) -> None:
    broken = []
    for link in links(page.read_text("utf-8")):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        target = (page.parent / path).resolve() if path else page
        known = target.exists() and TOP in target.parents
        if not known or (anchor and anchor not in anchors(target.read_text("utf-8"))):
            broken.append(link)

    assert broken == []


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_no_page_names_a_path_or_a_port_that_only_one_machine_had(page: Path) -> None:
    text = page.read_text("utf-8")

    found = _MACHINE.findall(text) + [str(path) for path in (TOP, Path.home()) if f"{path}/" in text]

    assert found == []


def test_links_and_anchors_are_found_where_they_are_and_not_in_code() -> None:
    text = "# A b, c\n[x](y.md#z) `k`\n```\n[not](this.md)\n# nor this\n```\n"

    assert links(text) == ["y.md#z"]
    assert anchors(text) == {"a-b-c"}
    assert blocks(text, "") == ["[not](this.md)\n# nor this\n"]


def test_the_pages_a_newcomer_needs_exist_and_the_readme_leads_to_them() -> None:
    wanted = {
        "docs/quickstart.md",
        "docs/promises.md",
        "docs/design.md",
        "docs/reference/cli.md",
        "docs/reference/config.md",
        "docs/reference/playbooks.md",
        "docs/reference/exporter.md",
        "docs/reference/api.md",
        "grafana/README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "LICENSE",
    }

    found = {link.partition("#")[0] for link in links(read("README.md"))}

    assert wanted <= found
