"""The description of the API: it is OpenAPI, says what the table says, and holds when it is tried."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from benchmarks.rig import LIFTED
from remediator.web.api.openapi import document
from remediator.web.api.routes import PREFIX, ROUTES
from remediator.web.api.schemas import SCHEMAS
from selfheal.common.clock import SystemClock
from selfheal.common.keys import Role
from tests.pipeline.sources import Sources
from tests.web.program import running

EXAMPLES = 5
"""Generated requests for each operation; a number and not a time, which a busy machine would use up."""
SETTINGS = """
[checks.positive_data_acceptance]
# 422: the same idempotency key with another body, which the generator cannot know
expected-statuses = ["2xx", "3xx", 401, 403, 404, 409, 422, 429, "5xx"]
"""


@pytest.fixture
def sources() -> Iterator[Sources]:
    found = Sources(SystemClock())
    yield found
    found.close()


def test_it_is_a_valid_document() -> None:
    validate(document(ROUTES))


def test_it_holds_every_route_with_its_role_and_nothing_more() -> None:
    paths = document(ROUTES)["paths"]
    found = {
        (method.upper(), re.sub(r"\{(\w+)\}", r"<\1>", path)): operation["description"]
        for path, operations in paths.items()
        for method, operation in operations.items()
    }

    assert found == {(r.method, PREFIX + r.path): f"Least role: {r.role.value}." for r in ROUTES}


def test_every_schema_is_used_and_every_used_one_is_there() -> None:
    text = str(document(ROUTES))
    used = set(re.findall(r"#/components/schemas/(\w+)", text))

    assert used == set(SCHEMAS)


def test_no_two_operations_have_one_name() -> None:
    names = [op["operationId"] for path in document(ROUTES)["paths"].values() for op in path.values()]

    assert len(set(names)) == len(names)


@pytest.mark.timeout(480)
def test_a_real_remediator_keeps_every_promise_of_it_whatever_it_is_asked(tmp_path: Path, sources: Sources) -> None:
    with running(tmp_path, LIFTED, sources=sources.url) as program:
        for item in "abc":
            program.alert(item)
        (tmp_path / "schemathesis.toml").write_text(SETTINGS)
        done = subprocess.run(
            [
                Path(sys.executable).with_name("st"),
                "run",
                f"{program.app.server.url}{PREFIX}/openapi.json",
                "--header",
                f"X-API-Key: {program.keys[Role.ADMIN]}",
                "--phases=examples,coverage,fuzzing",
                "--checks=all",
                "--continue-on-failure",
                f"--max-examples={EXAMPLES}",
                "--no-color",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        generated = re.search(r"(\d+) generated", done.stdout)

        assert done.returncode == 0, done.stdout
        assert generated is not None
        assert int(generated[1]) > 300
        assert program.ask("GET", "/audit/verify").json()["ok"] is True
        assert program.app.metrics.registry.get_sample_value("selfheal_store_errors_total") == 0.0
