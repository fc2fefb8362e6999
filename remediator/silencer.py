"""The door to Alertmanager's silences: what an action may make there, found again by its mark, and ended.

It asks the policy itself. Elsewhere the Alertmanagers are only read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from remediator.client import Client
from remediator.errors import OutcomeUnknown, SourceUnavailable
from remediator.model import Json
from remediator.policy import Door, Policy
from selfheal.common.clock import Clock, to_rfc3339

CREATED_BY = "selfheal"
NEEDED = frozenset({"alertname", "instance"})
"""Labels without which a silence would be about more than this alert."""
_SILENCES = "/api/v2/silences"
_IN_FORCE = ("active", "pending")


class AlertmanagerSilencer:
    """Makes and ends silences in Alertmanagers of one cluster: they tell each other, so one that answers is enough."""

    def __init__(self, clients: Sequence[Client], clock: Clock, ignored: Iterable[str] = ()) -> None:
        self._clients = tuple(clients)
        self._clock = clock
        self._ignored = frozenset(ignored)

    def matchers(self, alert: Mapping[str, Any]) -> tuple[Json, ...]:
        """Given an alert, return what fits it and its like in every replica; empty where its labels cannot say that."""
        labels: Mapping[str, str] = alert.get("labels") or {}
        named = {name: value for name, value in labels.items() if value and name not in self._ignored}
        if not set(named) >= NEEDED:
            return ()
        return tuple(
            {"name": name, "value": value, "isRegex": False, "isEqual": True} for name, value in sorted(named.items())
        )

    def create(self, policy: Policy, wanted: Mapping[str, Any]) -> Json:
        """Given `matchers`, `seconds`, `comment` and `mark`, return id and end of the silence; one in force is kept.

        Raise Refused if the policy does not permit it, OutcomeUnknown if no Alertmanager says that it made it.
        """
        seconds, mark = float(wanted["seconds"]), str(wanted["mark"])
        refusal = policy.may_silence(seconds)
        if refusal is not None:
            raise policy.refused(Door.HTTP, refusal)
        now = self._clock.now()
        document = {
            "matchers": list(wanted["matchers"]),
            "startsAt": to_rfc3339(now),
            "endsAt": to_rfc3339(now + seconds),
            "createdBy": CREATED_BY,
            "comment": f"{wanted['comment']} {_marked(mark)}",
        }

        def make(client: Client) -> Json:
            for silence in _in_force(_marked_with(client, mark)):
                return {"id": str(silence["id"]), "until": str(silence.get("endsAt"))}
            answer = client.read_json(client.tell("POST", _SILENCES, document))
            if not isinstance(answer, dict) or not isinstance(answer.get("silenceID"), str):
                raise client.unavailable("the answer is not Alertmanager's")
            return {"id": answer["silenceID"], "until": document["endsAt"]}

        failure: SourceUnavailable | None = None
        for client in self._clients:
            try:
                return make(client)
            except SourceUnavailable as error:
                failure = error
        raise _unknown(failure)

    def expire(self, policy: Policy, mark: str) -> tuple[str, ...]:
        """Given a mark, end the silence that bears it; return the ids of those that were in force.

        What our own silence hid is heard again: no policy keeps that back but one that anybody could have written.
        Raise Refused then, OutcomeUnknown if no Alertmanager knows it and one that may does not answer.
        """
        if policy.problem is not None:
            raise policy.refused(Door.HTTP, str(policy.problem))

        ended: list[str] = []

        def end(client: Client) -> bool:
            known = list(_marked_with(client, mark))
            for each in _in_force(known):
                client.tell("DELETE", f"/api/v2/silence/{each['id']}")
                ended.append(str(each["id"]))
            return bool(known)

        # each of them: one that was cut off may know of a silence that the others do not
        known, failure = False, None
        for client in self._clients:
            try:
                known |= end(client)
            except SourceUnavailable as error:
                failure = error
        if not known and (failure is not None or not self._clients):
            raise _unknown(failure)
        return tuple(dict.fromkeys(ended))


def _marked_with(client: Client, mark: str) -> Iterator[Mapping[str, Any]]:
    """Yield the silences that we made with this mark, ended ones too. Raise SourceUnavailable."""
    found = client.get_json(_SILENCES)
    for silence in found if isinstance(found, list) else ():
        if not isinstance(silence, dict) or silence.get("createdBy") != CREATED_BY:
            continue
        if str(silence.get("comment", "")).endswith(_marked(mark)):
            yield silence


def _in_force(silences: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    return (each for each in silences if (each.get("status") or {}).get("state") in _IN_FORCE)


def _unknown(failure: SourceUnavailable | None) -> OutcomeUnknown:
    return OutcomeUnknown(f"no Alertmanager says what became of the silence: {failure or 'none is configured'}")


def _marked(mark: str) -> str:
    return f"[{CREATED_BY} {mark}]"
