"""The reference cannot drift: every route and every metric is in it, and nothing more."""

from __future__ import annotations

import re

from remediator.web import Access, Metrics, make_app
from remediator.web.health import PATHS
from remediator.web.hooks import PATH
from selfheal.common.shipped import shipped
from tests.web.site import FakeService, Site

PAGE = shipped("docs", "reference", "api.md")


def test_every_route_has_a_heading_and_every_heading_a_route() -> None:
    app = make_app(FakeService(), Access(), Metrics("1"))
    routes = {
        f"{method} {rule.rule}"
        for rule in (*app.flask.url_map.iter_rules(), *app.api.url_map.iter_rules())
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }

    headings = set(re.findall(r"^### `([A-Z]+ [^`]+)`$", PAGE.read_text("utf-8"), re.M))

    assert headings == routes | {f"POST {PATH}"} | {f"GET {path}" for path in PATHS}


def test_every_metric_is_in_the_table_with_its_labels(site: Site) -> None:
    site.metrics.show_playbooks({})
    described = dict(re.findall(r"^\| `(selfheal_\w+)(\{[\w,]+\})?` \|", PAGE.read_text("utf-8"), re.M))
    page = site.ask("GET", "/metrics").text
    served = set(re.findall(r"^# TYPE (selfheal_\w+) ", page, re.M))
    moment = {"selfheal_remediations", "selfheal_queue_depth", "selfheal_queue_oldest_seconds", "selfheal_paused"}

    assert {name for name in served if not name.endswith("_created")} == set(described) - moment
