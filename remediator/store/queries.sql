-- Every query of the store. `:name` is a placeholder. No query replaces a row as a whole: that walks around the triggers.

-- name: fill_state
INSERT INTO state (name, live, locked, ended) VALUES (:name, :live, :locked, :ended)
ON CONFLICT (name) DO UPDATE SET live = excluded.live, locked = excluded.locked, ended = excluded.ended;

-- name: clear_moves
DELETE FROM move;

-- name: add_move
INSERT INTO move (a, b) VALUES (:a, :b);

-- name: first_read
SELECT 1 FROM state LIMIT 1;

-- name: highest_generation
SELECT COALESCE(MAX(generation), 0) AS generation FROM work;

-- name: work
SELECT kind, id, due, priority, generation FROM work ORDER BY due, kind, id;

-- name: due_of
SELECT due FROM work WHERE kind = :kind AND id = :id;

-- name: schedule
INSERT INTO work (kind, id, due, priority, generation) VALUES (:kind, :id, :due, COALESCE(:priority, 0), :generation)
ON CONFLICT (kind, id) DO UPDATE
SET due = excluded.due, priority = COALESCE(:priority, work.priority), generation = excluded.generation
RETURNING priority;

-- name: unschedule
DELETE FROM work WHERE kind = :kind AND id = :id;

-- name: finish_work
DELETE FROM work WHERE kind = :kind AND id = :id AND generation = :generation;

-- name: postpone_work
UPDATE work SET due = :due, generation = :later
WHERE kind = :kind AND id = :id AND generation = :generation
RETURNING priority;

-- name: events_after
SELECT * FROM event WHERE id > :id ORDER BY id LIMIT :limit;

-- name: add_event
INSERT INTO event (at, remediation_id, occurrence_id, kind, old, new, reason, detail)
VALUES (:at, :remediation_id, :occurrence_id, :kind, :old, :new, :reason, :detail);

-- name: cursor
SELECT event_id FROM cursor WHERE channel = :channel;

-- name: set_cursor
INSERT INTO cursor (channel, event_id) VALUES (:channel, :id)
ON CONFLICT (channel) DO UPDATE SET event_id = excluded.event_id;

-- name: add_delivery
INSERT INTO delivery (at, receiver, alerts, truncated, version)
VALUES (:at, :receiver, :alerts, :truncated, :version);

-- name: occurrence
SELECT * FROM occurrence WHERE id = :id;

-- name: open_occurrences
SELECT * FROM occurrence WHERE closed_at IS NULL AND id > :after ORDER BY id LIMIT :limit;

-- name: refresh_occurrence
UPDATE occurrence SET last_seen_at = :now, annotations = :annotations
WHERE fingerprint = :fingerprint AND closed_at IS NULL
RETURNING id;

-- name: add_occurrence
INSERT INTO occurrence (
    fingerprint, alertname, status, labels, annotations, generator_url, starts_at, received_at, last_seen_at
) VALUES (:fingerprint, :alertname, 'firing', :labels, :annotations, :generator_url, :starts_at, :now, :now);

-- name: add_malformed
INSERT INTO occurrence (
    fingerprint, alertname, status, labels, annotations, generator_url, starts_at, received_at, last_seen_at,
    closed_at, closed_how, fate, reason
) VALUES ('', '', 'malformed', :labels, '{}', '', :now, :now, :now, :now, 'malformed', 'malformed', 'malformed');

-- name: close_occurrence
UPDATE occurrence SET closed_at = :now, closed_how = :how
WHERE fingerprint = :fingerprint AND closed_at IS NULL
RETURNING id, fate;

-- name: cancel_of_occurrence
UPDATE remediation SET cancel = COALESCE(cancel, :reason)
WHERE occurrence_id = :id AND state IN (SELECT name FROM state WHERE live = 1)
RETURNING id;

-- name: unfinished_of_occurrence
SELECT id FROM remediation WHERE occurrence_id = :id AND ended_at IS NULL LIMIT 1;

-- name: fate
SELECT fate FROM occurrence WHERE id = :id;

-- name: set_fate
UPDATE occurrence SET fate = :fate, reason = :reason, remediation_id = COALESCE(:remediation_id, remediation_id)
WHERE id = :id;

-- name: attempts
SELECT COUNT(*) AS attempts FROM remediation WHERE occurrence_id = :occurrence_id AND started_at IS NOT NULL;

-- name: remediation
SELECT * FROM remediation WHERE id = :id;

-- name: live_remediations
SELECT * FROM remediation WHERE state IN (SELECT name FROM state WHERE live = 1) ORDER BY id;

-- name: unfinished_remediations
SELECT * FROM remediation WHERE state IN (SELECT name FROM state WHERE ended = 0) ORDER BY id;

-- name: counts
SELECT state, COUNT(*) AS count FROM remediation GROUP BY state;

-- name: add_remediation
INSERT INTO remediation (occurrence_id, playbook, target, lock_key, mode, frozen, state, created_at)
VALUES (:occurrence_id, :playbook, :target, :lock_key, :mode, :frozen, 'pending', :now);

-- name: adopt_remediation
UPDATE occurrence SET fate = NULL, reason = NULL, remediation_id = :id WHERE id = :occurrence_id;

-- name: standing
SELECT r.state, r.occurrence_id, o.remediation_id AS newest
FROM remediation AS r JOIN occurrence AS o ON o.id = r.occurrence_id
WHERE r.id = :id;

-- name: move
UPDATE remediation
SET state = :to, reason = :reason, until = :until,
    verdict = COALESCE(:verdict, verdict),
    held_since = COALESCE(held_since, :held_since),
    verified_at = COALESCE(verified_at, :verified_at),
    ended_at = :ended_at
WHERE id = :id;

-- name: prolong
UPDATE remediation SET until = :until WHERE id = :id;

-- name: take_lock
INSERT INTO lock (key, remediation_id) VALUES (:key, :id) ON CONFLICT (key) DO NOTHING;

-- name: lock_holder
SELECT remediation_id FROM lock WHERE key = :key;

-- name: release_lock
DELETE FROM lock WHERE remediation_id = :id RETURNING key;

-- name: longest_waiting
SELECT id FROM remediation
WHERE lock_key = :key AND state = 'held' AND reason = 'locked' AND id <> :id
ORDER BY held_since, id LIMIT 1;

-- name: set_proof
UPDATE remediation SET proof = :proof WHERE id = :id;

-- name: set_cancel
UPDATE remediation SET cancel = COALESCE(cancel, :reason) WHERE id = :id AND ended_at IS NULL;

-- name: advance
UPDATE remediation SET position = :position WHERE id = :id;

-- name: add_decision
INSERT INTO decision (remediation_id, at, answers) VALUES (:id, :now, :answers);

-- name: add_evidence
INSERT INTO evidence (remediation_id, at, phase, body) VALUES (:id, :now, :phase, :body);

-- name: steps
SELECT * FROM step WHERE remediation_id = :id ORDER BY id;

-- name: open_intents
SELECT * FROM step WHERE state = 'intent' ORDER BY remediation_id;

-- name: frozen_of
SELECT frozen, target FROM remediation WHERE id = :id;

-- name: add_step
INSERT INTO step (
    remediation_id, position, attempt, undo, action, effect, target, state, plan, intent_at, ended_at
) VALUES (
    :id, :position,
    1 + (SELECT COALESCE(MAX(s.attempt), 0) FROM step AS s
         WHERE s.remediation_id = :id AND s.undo = :undo AND s.position = :position),
    :undo, :action, :effect, :target, :state, :plan, :now, :ended_at
)
RETURNING id, remediation_id, position, action, undo;

-- name: begin
UPDATE remediation SET started_at = :now WHERE id = :id AND started_at IS NULL RETURNING playbook;

-- name: store_result
UPDATE step SET state = :state, outcome = :outcome, ended_at = :now WHERE id = :id
RETURNING id, remediation_id, position, action, undo;

-- name: live_duplicate
SELECT id FROM remediation
WHERE occurrence_id = :occurrence_id AND id <> :id AND state IN (SELECT name FROM state WHERE live = 1)
ORDER BY id LIMIT 1;

-- name: other_lock_holder
SELECT remediation_id FROM lock WHERE key = :key AND remediation_id <> :id;

-- name: last_effect
SELECT intent_at AS at FROM step
WHERE target = :target AND effect <> 'read_only' AND state <> 'skipped'
ORDER BY intent_at DESC LIMIT 1;

-- name: starts_of_target
SELECT started_at FROM remediation WHERE target = :name AND started_at > :since ORDER BY started_at;

-- name: starts_of_playbook
SELECT started_at FROM remediation WHERE playbook = :name AND started_at > :since ORDER BY started_at;

-- name: starts_of_all
SELECT started_at FROM remediation WHERE started_at > :since AND :name = '' ORDER BY started_at;

-- name: list_remediations
SELECT r.*, o.alertname, o.fingerprint, o.starts_at, o.labels
FROM remediation AS r JOIN occurrence AS o ON o.id = r.occurrence_id
WHERE r.id < :before
ORDER BY r.id DESC LIMIT :limit;

-- name: list_remediations_in_state
SELECT r.*, o.alertname, o.fingerprint, o.starts_at, o.labels
FROM remediation AS r JOIN occurrence AS o ON o.id = r.occurrence_id
WHERE r.id < :before AND r.state = :state
ORDER BY r.id DESC LIMIT :limit;

-- name: one_remediation
SELECT r.*, o.alertname, o.fingerprint, o.starts_at, o.labels
FROM remediation AS r JOIN occurrence AS o ON o.id = r.occurrence_id
WHERE r.id = :id;

-- name: list_alerts
SELECT * FROM occurrence WHERE id < :before ORDER BY id DESC LIMIT :limit;

-- name: decisions
SELECT at, answers FROM decision WHERE remediation_id = :id ORDER BY id;

-- name: evidence
SELECT at, phase, body FROM evidence WHERE remediation_id = :id ORDER BY id;

-- name: events_of
SELECT * FROM event WHERE remediation_id = :id ORDER BY id;

-- name: old_remediations
SELECT id FROM remediation WHERE ended_at < :before ORDER BY ended_at LIMIT :limit;

-- name: delete_steps
DELETE FROM step WHERE remediation_id = :id;

-- name: delete_decisions
DELETE FROM decision WHERE remediation_id = :id;

-- name: delete_evidence
DELETE FROM evidence WHERE remediation_id = :id;

-- name: delete_events
DELETE FROM event WHERE remediation_id = :id;

-- name: delete_remediation
DELETE FROM remediation WHERE id = :id;

-- name: old_occurrences
SELECT id FROM occurrence AS o
WHERE o.closed_at < :before AND NOT EXISTS (SELECT 1 FROM remediation AS r WHERE r.occurrence_id = o.id)
ORDER BY o.closed_at LIMIT :limit;

-- name: delete_occurrence_events
DELETE FROM event WHERE occurrence_id = :id;

-- name: delete_occurrence
DELETE FROM occurrence WHERE id = :id;

-- name: delete_deliveries
DELETE FROM delivery WHERE id IN (SELECT id FROM delivery WHERE at < :before ORDER BY id LIMIT :limit);

-- name: give_back_pages
PRAGMA incremental_vacuum (256);
