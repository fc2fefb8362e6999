"""The literal table of everything that the API answers."""

from __future__ import annotations

from remediator.web.api import (
    alerts,
    approvals,
    audit,
    breakers,
    control,
    describe,
    events,
    pauses,
    playbooks,
    policy,
    remediations,
    status,
    trust,
)
from remediator.web.api.call import Route

PREFIX = "/api/v1"

ROUTES: tuple[Route, ...] = (
    *status.ROUTES,
    *remediations.ROUTES,
    *alerts.ROUTES,
    *playbooks.ROUTES,
    *trust.ROUTES,
    *approvals.ROUTES,
    *pauses.ROUTES,
    *breakers.ROUTES,
    *policy.ROUTES,
    *audit.ROUTES,
    *events.ROUTES,
    *control.ROUTES,
    *describe.ROUTES,
)
