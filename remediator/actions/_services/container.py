"""Containers: judged by what the engine says of them, before and after; bound to its full id and its start."""

from __future__ import annotations

from threading import Event

from remediator.actions._services.contract import Verb
from remediator.container_engine import Container, look, tell, told
from remediator.errors import ActionFailed, OutcomeUnknown, Refused
from remediator.local_http import Answer
from remediator.model import ArgumentType, Context, Json, Outcome, Plan
from remediator.policy import Door

argument = "container"
type = ArgumentType.CONTAINER
verbs = frozenset({Verb.RESTART, Verb.START})

LOOK_SECONDS = 0.2
"""Between two looks at a container that is not well yet."""
SETTLED_SECONDS = 1.0
"""For which a container must have run on before it counts as started."""
LEAST_SECONDS = 5.0
"""What looking is given even when the time is over."""
_DONE = (200, 204)
_ALREADY = 304
_UNTOUCHED = (304, 400, 404, 405)
"""Answers by which an engine says that it did nothing."""


def plan(verb: Verb, name: str, context: Context) -> Plan:
    """Given a container, return what the engine would be told, bound to the run of it that is there now.

    Raise Refused if the policy does not permit it, it is our own, or somebody paused it; ActionFailed if there is none.
    """
    seen = look(name, verb.value, context)
    _refuse_state(verb, seen, context)
    detail: Json = {argument: name, **_run_of(seen)}
    if verb is Verb.START and seen.runs:
        return Plan((), {**detail, "why": f"container {name!r} runs already"})
    return Plan(({"kind": argument, "container": name, "id": seen.id, "verb": verb.value},), detail)


def run(verb: Verb, plan: Plan, context: Context) -> Outcome:
    """Given a stored plan, have the engine do that and wait until the container is well or has ended.

    Raise Refused if it is another container, or another run of it, than was planned; ActionFailed if the engine did
    nothing; OutcomeUnknown if it did not answer in time.
    """
    name = str(plan.detail.get(argument, ""))
    seen = look(name, verb.value, context)
    _refuse_state(verb, seen, context)
    if any(plan.detail.get(key) != value for key, value in _run_of(seen).items()):
        raise Refused(f"container {name!r} is not in the run that was planned")
    if not plan.items:
        return Outcome(True, (), {"why": str(plan.detail.get("why", ""))})
    context.reached("effect_begun")
    answer = tell(seen, verb.value, context)
    if answer.status not in _DONE:
        return _failed(seen, verb, answer, context, plan)
    after = _become_well(seen, verb, context)
    context.reached("effect_done")
    detail: Json = {**_run_of(after), "health": after.health, "answer": answer.status}
    if (after.id, after.started_at) == (seen.id, seen.started_at):
        detail["why"] = f"container {name!r} is in the run that it was in before"
    well = _is_well(after) and after.id == seen.id and "why" not in detail
    return Outcome(well, plan.items, detail)


def undo(verb: Verb, plan: Plan, outcome: Outcome, context: Context) -> Outcome:
    """Given what `run` started, stop that; the policy must permit `stop`.

    Raise Refused if it is another container or run by now, OutcomeUnknown if the engine did not answer in time.
    """
    name = str(plan.detail.get(argument, ""))
    if verb is not Verb.START:
        raise Refused(f"service.{verb.value} cannot be taken back")
    seen = look(name, "stop", context)
    if not seen.runs:
        return Outcome(True, (), {"why": f"container {name!r} does not run any more"})
    if any(outcome.detail.get(key) != value for key, value in _run_of(seen).items()):
        raise Refused(f"container {name!r} is not in the run that we started; whoever started it may want it")
    context.reached("effect_begun")
    answer = tell(seen, "stop", context)
    context.reached("effect_done")
    ok = answer.status in (*_DONE, _ALREADY)
    effect = {"kind": argument, "container": name, "id": seen.id, "verb": "stop"}
    return Outcome(ok, (effect,) if ok else (), {"answer": answer.status} if ok else {"why": told(answer)})


def _refuse_state(verb: Verb, seen: Container, context: Context) -> None:
    """Raise Refused or ActionFailed for a container that is in nobody's way to be started or restarted."""
    what = f"container {seen.name!r}"
    refusal = None
    if seen.state == "paused":
        refusal = f"{what} is paused: somebody wants it to stand still"
    elif verb is Verb.RESTART and seen.removed_at_end and seen.runs:
        refusal = f"{what} is removed once it stops, so it cannot be restarted"
    if refusal is not None:
        raise context.policy.refused(Door.HTTP, refusal)
    if seen.state in ("removing", "dead", "stopping"):
        raise ActionFailed(f"{what} is {seen.state}")


def _run_of(seen: Container) -> Json:
    """Return what tells one run of a container from another."""
    return {"id": seen.id, "started_at": seen.started_at, "state": seen.state}


def _failed(seen: Container, verb: Verb, answer: Answer, context: Context, plan: Plan) -> Outcome:
    """Tell a failure: whether the engine did nothing, or something that is not what was wanted."""
    why = f"the engine would not {verb.value} container {seen.name!r}: {told(answer)}"
    after = None if answer.status in _UNTOUCHED else _look_again(seen.name, verb, context)
    if answer.status in _UNTOUCHED or (after is not None and _run_of(after) == _run_of(seen)):
        raise ActionFailed(why)
    if after is None:
        raise OutcomeUnknown(f"{why}; how it stands now cannot be seen")
    context.reached("effect_done")
    return Outcome(False, plan.items, {**_run_of(after), "why": why})


def _look_again(name: str, verb: Verb, context: Context) -> Container | None:
    try:
        return look(name, verb.value, context, least=LEAST_SECONDS)
    except (ActionFailed, Refused):
        # whatever it is, how the container stands is not known
        return None


def _become_well(seen: Container, verb: Verb, context: Context) -> Container:
    """Wait until it runs on, and is healthy where it says so, or the time is over. Raise OutcomeUnknown if unseen."""
    pause = Event()
    since: float | None = None
    while True:
        after = _look_again(seen.name, verb, context)
        if after is None:
            raise OutcomeUnknown(f"{verb.value} of container {seen.name!r} was begun; how it stands cannot be seen")
        now = context.monotonic()
        since = None if not after.runs else now if since is None else since
        settled = since is not None and now - since >= SETTLED_SECONDS
        over = now + LOOK_SECONDS >= context.deadline
        if over or (settled and after.health != "starting") or after.state in ("exited", "dead", "removing"):
            return after
        pause.wait(LOOK_SECONDS)


def _is_well(after: Container) -> bool:
    return after.runs and after.health in ("", "none", "healthy")
