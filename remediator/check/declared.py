"""What a playbook declares in place of a rule: it must be an expression that can be judged, and both sides of it."""

from __future__ import annotations

from collections.abc import Iterator

from remediator.check.proof import sample
from remediator.check.world import World
from remediator.judge import Refusal, prepare_expression
from remediator.model import Playbook
from selfheal.common.problems import Problem

name = "declared"


def check(world: World) -> Iterator[Problem]:
    """Yield every `when:` that could not be asked, or that alerts from elsewhere could not run under."""
    for playbook in world.playbooks:
        if playbook.when is None:
            continue
        case = prepare_expression(sample(playbook.when), world.recorded)
        if isinstance(case, Refusal):
            what, _, remedy = str(case).rpartition("; ")
            yield Problem(playbook.source, "when", what, remedy)
        if playbook.trigger.alert and not _proves_it(playbook):
            what = "says that it is needed and nothing says that it is healthy: no alert from elsewhere runs under it"
            yield Problem(playbook.source, "when", what, "add verify.healthy")


def _proves_it(playbook: Playbook) -> bool:
    return playbook.verify is not None and playbook.verify.healthy is not None
