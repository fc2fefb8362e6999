"""Forgetting what ended long ago, in batches small enough not to hold up the writer."""

from __future__ import annotations

from remediator.store.steps import StepWrites

_BELONGING = ("delete_approvals", "delete_steps", "delete_decisions", "delete_evidence", "delete_remediation")


class RetentionWrites(StepWrites):
    """Deleting what is old."""

    def delete_older(self, before: float, limit: int) -> int:
        """Delete up to `limit` remediations and occurrences that ended before `before`, with their rows but events.

        Events go in the order of their ids, by `prune_events`. Return how many went; as many as `limit` means that
        there may be more. What is open or live never goes.
        """
        remediations = [row["id"] for row in self._all("old_remediations", before=before, limit=limit)]
        for id in remediations:
            for query in _BELONGING:
                self._run(query, id=id)
        left = limit - len(remediations)
        occurrences = [row["id"] for row in self._all("old_occurrences", before=before, limit=left)]
        for id in occurrences:
            self._run("delete_occurrence", id=id)
        deliveries = self._run("delete_deliveries", before=before, limit=limit)
        deleted = len(remediations) + len(occurrences)
        if remediations:
            self._starts.forget()
        if deleted or deliveries:
            self._all("give_back_pages")
        return max(deleted, deliveries)
