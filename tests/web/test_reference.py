"""The reference cannot drift: every route and every metric is in it, and nothing more."""

from __future__ import annotations

import re

from remediator.web import Access, Metrics, make_app
from remediator.web.api.routes import PREFIX, ROUTES
from remediator.web.health import PATHS
from remediator.web.hooks import PATH
from selfheal.common.shipped import shipped
from tests.web.site import FakeService, Site

PAGE = shipped("docs", "reference", "api.md")
SECTION = r"^### `([A-Z]+ [^`]+)`$(.*?)(?=^##|\Z)"


def test_every_route_has_a_heading_and_every_heading_a_route() -> None:
    app = make_app(FakeService(), Access(), Metrics("1"))
    routes = {
        f"{method} {rule.rule}"
        for rule in (*app.flask.url_map.iter_rules(), *app.api.url_map.iter_rules())
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }

    headings = set(re.findall(r"^### `([A-Z]+ [^`]+)`$", PAGE.read_text("utf-8"), re.M))

    assert headings == routes | {f"POST {PATH}"} | {f"GET {path}" for path in PATHS}


def test_every_route_of_the_api_tells_its_role_and_how_long_its_answer_may_be_used() -> None:
    text = PAGE.read_text("utf-8")
    sections = {found[1]: " ".join(found[2].split()) for found in re.finditer(SECTION, text, re.M | re.S)}

    for route in ROUTES:
        section = sections[f"{route.method} {PREFIX}{route.path}"]
        assert f"Least role {route.role.value}" in section
        assert re.findall(r"used unasked for (\d+) s", section) == ([str(route.cache)] if route.cache else [])


def test_every_metric_is_in_the_table_with_its_labels(site: Site) -> None:
    site.metrics.show_playbooks({})
    described = dict(re.findall(r"^\| `(selfheal_\w+)(\{[\w,]+\})?` \|", PAGE.read_text("utf-8"), re.M))
    page = site.ask("GET", "/metrics").text
    served = set(re.findall(r"^# TYPE (selfheal_\w+) ", page, re.M))
    moment = {"selfheal_remediations", "selfheal_queue_depth", "selfheal_queue_oldest_seconds", "selfheal_paused"}
    moment |= {
        "selfheal_remediator_under_way_oldest_seconds",
        "selfheal_remediator_last_verified_heal_timestamp_seconds",
        "selfheal_remediator_unhealed_in_a_row",
        "selfheal_remediator_selftest_age_seconds",
        "selfheal_remediator_root_cause_candidates",
        "selfheal_annotation_timestamp_seconds",
    }

    assert {name for name in served if not name.endswith("_created")} == set(described) - moment
