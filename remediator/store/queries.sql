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
INSERT INTO event (id, at, remediation_id, occurrence_id, kind, old, new, reason, detail, hash)
VALUES (:id, :at, :remediation_id, :occurrence_id, :kind, :old, :new, :reason, :detail, :hash);

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

-- name: closed_since
SELECT id FROM occurrence WHERE closed_at > :since AND fingerprint = :fingerprint LIMIT 1;

-- name: cancel_of_occurrence
UPDATE remediation SET cancel = COALESCE(cancel, :reason)
WHERE occurrence_id = :id AND ended_at IS NULL AND +state IN (SELECT name FROM state WHERE live = 1)
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
SELECT r.state, r.mode, r.occurrence_id, o.remediation_id AS newest
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
WHERE occurrence_id = :occurrence_id AND id <> :id AND ended_at IS NULL
  AND +state IN (SELECT name FROM state WHERE live = 1)
ORDER BY id LIMIT 1;

-- name: other_lock_holder
SELECT remediation_id FROM lock WHERE key = :key AND remediation_id <> :id;

-- name: last_effect
SELECT intent_at AS at, remediation_id FROM step
WHERE target = :target AND effect <> 'read_only' AND state <> 'skipped'
ORDER BY intent_at DESC LIMIT 1;

-- name: last_effect_end
SELECT MAX(COALESCE(ended_at, 9e999)) AS at FROM (
    SELECT ended_at FROM step
    WHERE target = :target AND effect <> 'read_only' AND state <> 'skipped'
    ORDER BY intent_at DESC LIMIT 8
);

-- name: tries
SELECT playbook, started_at, state, reason, created_at FROM remediation
WHERE occurrence_id = :occurrence_id AND id >= (
    SELECT MIN(id) FROM remediation WHERE occurrence_id = :occurrence_id AND started_at IS NOT NULL
)
ORDER BY id;

-- name: recurred_before
SELECT o.id, o.remediation_id FROM occurrence AS o WHERE o.id = (
    SELECT MAX(earlier.id) FROM occurrence AS this JOIN occurrence AS earlier
    ON earlier.fingerprint = this.fingerprint AND earlier.id < this.id
    WHERE this.id = :occurrence_id
) AND EXISTS (
    SELECT 1 FROM remediation AS r
    WHERE r.occurrence_id = o.id AND r.verified_at IS NOT NULL AND r.state IN ('watching', 'ineffective')
);

-- name: period_since
SELECT id FROM occurrence
WHERE fingerprint = (SELECT fingerprint FROM occurrence WHERE id = :occurrence_id)
AND id > :occurrence_id AND starts_at > :since LIMIT 1;

-- name: newest_tries
SELECT playbook, started_at, state, reason, created_at FROM remediation
WHERE occurrence_id = :occurrence_id ORDER BY id DESC LIMIT :limit;

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

-- name: list_remediations_open
SELECT r.*, o.alertname, o.fingerprint, o.starts_at, o.labels
FROM remediation AS r INDEXED BY remediation_state JOIN occurrence AS o ON o.id = r.occurrence_id
WHERE r.state IN (SELECT name FROM state WHERE ended = 0) AND (:state IS NULL OR r.state = :state) AND +r.id < :before
ORDER BY r.id DESC LIMIT :limit;

-- name: count_remediations_open
SELECT COUNT(*) AS count FROM remediation
WHERE state IN (SELECT name FROM state WHERE ended = 0) AND (:state IS NULL OR state = :state);

-- name: one_remediation
SELECT r.*, o.alertname, o.fingerprint, o.starts_at, o.labels
FROM remediation AS r JOIN occurrence AS o ON o.id = r.occurrence_id
WHERE r.id = :id;

-- name: list_alerts
SELECT * FROM occurrence WHERE id < :before ORDER BY id DESC LIMIT :limit;

-- name: list_alerts_open
SELECT * FROM occurrence INDEXED BY occurrence_open
WHERE closed_at IS NULL AND id < :before AND (:all OR json_extract(labels, '$.severity') IS NOT :heartbeat)
ORDER BY id DESC LIMIT :limit;

-- name: count_alerts_open
SELECT COUNT(*) AS count FROM occurrence INDEXED BY occurrence_open
WHERE closed_at IS NULL AND (:all OR json_extract(labels, '$.severity') IS NOT :heartbeat);

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

-- name: delete_remediation
DELETE FROM remediation WHERE id = :id;

-- name: old_occurrences
SELECT id FROM occurrence AS o
WHERE o.closed_at < :before AND NOT EXISTS (SELECT 1 FROM remediation AS r WHERE r.occurrence_id = o.id)
ORDER BY o.closed_at LIMIT :limit;

-- name: delete_occurrence
DELETE FROM occurrence WHERE id = :id;

-- name: delete_deliveries
DELETE FROM delivery WHERE id IN (SELECT id FROM delivery WHERE at < :before ORDER BY at LIMIT :limit);

-- name: give_back_pages
PRAGMA incremental_vacuum (256);

-- name: audit_last
SELECT id, hash FROM event ORDER BY id DESC LIMIT 1;

-- name: audit_first
SELECT id, at, hash FROM event ORDER BY id LIMIT :limit;

-- name: audit_first_until
SELECT at FROM event WHERE at <= :at ORDER BY id LIMIT 1;

-- name: audit_anchor
SELECT event_id, hash, why FROM audit_anchor ORDER BY event_id DESC LIMIT 1;

-- name: audit_unchained
SELECT COUNT(*) AS count FROM event WHERE id <= :id;

-- name: add_anchor
INSERT INTO audit_anchor (event_id, hash, at, why) VALUES (:id, :hash, :now, 'retention');

-- name: delete_anchors
DELETE FROM audit_anchor WHERE event_id < :id;

-- name: delete_first_events
DELETE FROM event WHERE id <= :id;

-- name: add_approval
INSERT INTO approval (remediation_id, plan_hash, plan, state, requested_at, expires_at)
VALUES (:remediation_id, :plan_hash, :plan, 'open', :now, :expires_at);

-- name: approval
SELECT * FROM approval WHERE id = :id;

-- name: newest_approval
SELECT * FROM approval WHERE remediation_id = :id ORDER BY id DESC LIMIT 1;

-- name: answer_approval
UPDATE approval SET state = :state, decided_at = :now, who = :who, why = :why, how = :how
WHERE id = :id AND state = 'open' AND plan_hash = :plan_hash AND expires_at > :now;

-- name: use_approval
UPDATE approval SET state = 'used' WHERE remediation_id = :id AND state = 'granted';

-- name: end_approvals
UPDATE approval SET state = :state WHERE remediation_id = :id AND state IN ('open', 'granted');

-- name: delete_approvals
DELETE FROM approval WHERE remediation_id = :id;

-- name: list_approvals
SELECT a.*, r.frozen, o.alertname, o.fingerprint, o.starts_at, o.labels
FROM approval AS a
JOIN remediation AS r ON r.id = a.remediation_id
JOIN occurrence AS o ON o.id = r.occurrence_id
WHERE a.id < :before AND (:state IS NULL OR a.state = :state)
ORDER BY a.id DESC LIMIT :limit;

-- name: one_approval
SELECT a.*, r.frozen, o.alertname, o.fingerprint, o.starts_at, o.labels
FROM approval AS a
JOIN remediation AS r ON r.id = a.remediation_id
JOIN occurrence AS o ON o.id = r.occurrence_id
WHERE a.id = :id;

-- name: add_request
INSERT INTO occurrence (
    fingerprint, alertname, status, labels, annotations, generator_url, starts_at, received_at, last_seen_at,
    closed_at, closed_how
) VALUES (:fingerprint, :alertname, 'firing', :labels, '{}', '', :now, :now, :now, :now, 'manual');

-- name: add_outcome
INSERT INTO outcome (remediation_id, playbook, target, serial, at, failed, healed_at)
SELECT r.id, r.playbook, r.target, :serial, :at, :failed, :healed_at FROM remediation AS r
WHERE r.id = :id
  AND EXISTS (SELECT 1 FROM step AS s
              WHERE s.remediation_id = r.id AND s.effect <> 'read_only' AND s.state <> 'skipped')
ON CONFLICT (remediation_id) DO UPDATE
SET serial = excluded.serial, at = excluded.at, failed = excluded.failed, healed_at = COALESCE(outcome.healed_at, excluded.healed_at)
RETURNING playbook, target;

-- name: outcomes_of_all
SELECT COUNT(*) AS ended, COALESCE(SUM(failed), 0) AS failed FROM outcome
WHERE at > :since AND serial > :after AND :playbook <> '';

-- name: outcomes_of_playbook
SELECT COUNT(*) AS ended, COALESCE(SUM(failed), 0) AS failed FROM outcome
WHERE playbook = :playbook AND at > :since AND serial > :after;

-- name: last_serial
SELECT MAX(COALESCE((SELECT MAX(serial) FROM outcome), 0), COALESCE((SELECT MAX(counted_after) FROM breaker), 0))
    AS serial;

-- name: breaker
SELECT * FROM breaker WHERE name = :name;

-- name: breakers_over
SELECT * FROM breaker WHERE name IN (:playbook, :all) AND state <> 'closed' ORDER BY name;

-- name: breakers
SELECT * FROM breaker ORDER BY name;

-- name: breakers_tried_by
SELECT * FROM breaker WHERE trial = :id;

-- name: set_breaker
INSERT INTO breaker (name, state, changed_at, counted_after, tries_at, failed, ended, trial, who, why)
VALUES (:name, :state, :now, :counted_after, :tries_at, :failed, :ended, :trial, :who, :why)
ON CONFLICT (name) DO UPDATE
SET state = excluded.state, changed_at = excluded.changed_at, counted_after = excluded.counted_after,
    tries_at = excluded.tries_at, failed = excluded.failed, ended = excluded.ended, trial = excluded.trial,
    who = excluded.who, why = excluded.why;

-- name: held_by_breakers
SELECT id FROM remediation WHERE state = 'held' AND reason = 'breaker_open' ORDER BY held_since, id;

-- name: healed_since
SELECT healed_at FROM outcome WHERE playbook = :playbook AND target = :target AND healed_at > :since ORDER BY healed_at;

-- name: healed_often
SELECT playbook, target, COUNT(*) AS healed, MAX(healed_at) AS last FROM outcome WHERE healed_at > :since
GROUP BY playbook, target HAVING COUNT(*) >= :most ORDER BY healed DESC, playbook, target LIMIT :limit;

-- name: begun_and_open
SELECT DISTINCT CAST(MIN(starts_at, received_at) AS INTEGER) AS second, json_extract(labels, '$.instance') AS instance
FROM occurrence WHERE closed_at IS NULL AND status = 'firing' AND json_extract(labels, '$.instance') IS NOT NULL;

-- name: begun_and_closed
SELECT DISTINCT CAST(MIN(starts_at, received_at) AS INTEGER) AS second, json_extract(labels, '$.instance') AS instance
FROM occurrence WHERE closed_at > :since AND MIN(starts_at, received_at) > :since AND status = 'firing'
  AND closed_how IS NOT 'manual' AND json_extract(labels, '$.instance') IS NOT NULL;

-- name: begun_after
SELECT id, CAST(MIN(starts_at, received_at) AS INTEGER) AS second, json_extract(labels, '$.instance') AS instance
FROM occurrence WHERE id > :id AND status = 'firing' AND closed_how IS NOT 'manual' ORDER BY id;

-- name: highest_occurrence
SELECT COALESCE(MAX(id), 0) AS id FROM occurrence;

-- name: clock_jumps
SELECT at, size FROM clock_jump ORDER BY rowid;

-- name: add_clock_jump
INSERT INTO clock_jump (at, size) VALUES (:at, :size);

-- name: clock_offset
SELECT seconds FROM clock_offset WHERE boot = :boot;

-- name: set_clock_offset
INSERT INTO clock_offset (boot, seconds) VALUES (:boot, :seconds)
ON CONFLICT (boot) DO UPDATE SET seconds = excluded.seconds;

-- name: drop_answers
DELETE FROM answer WHERE at < :before;

-- name: kept_answer
SELECT digest, status, body FROM answer WHERE who = :who AND key = :key;

-- name: claim_answer
INSERT INTO answer (who, key, digest, at) VALUES (:who, :key, :digest, :now);

-- name: keep_answer
UPDATE answer SET status = :status, body = :body WHERE who = :who AND key = :key AND status IS NULL;

-- name: forget_answer
DELETE FROM answer WHERE who = :who AND key = :key AND status IS NULL;

-- name: monitoring_stop
SELECT who, why, since, until FROM monitoring_stop;

-- name: stop_monitoring
INSERT INTO monitoring_stop (one, who, why, since, until) VALUES (1, :who, :why, :since, :until)
ON CONFLICT (one) DO UPDATE
SET who = excluded.who, why = excluded.why, since = excluded.since, until = excluded.until;

-- name: start_monitoring
DELETE FROM monitoring_stop;

-- name: told_pauses
SELECT name, body FROM told_pause;

-- name: tell_pause
INSERT INTO told_pause (name, body) VALUES (:name, :body) ON CONFLICT (name) DO UPDATE SET body = excluded.body;

-- name: forget_pause
DELETE FROM told_pause WHERE name = :name;

-- name: touched
WITH locked AS (SELECT name FROM state WHERE locked = 1),
touches AS (
    SELECT remediation_id AS id, intent_at AS at FROM step
    WHERE effect <> 'read_only' AND state <> 'skipped' AND intent_at > :since
    UNION ALL
    SELECT id, NULL FROM remediation WHERE state IN (SELECT name FROM locked)
)
SELECT r.target, MAX(t.at) AS touched_at, MAX(r.state IN (SELECT name FROM locked)) AS in_flight
FROM touches AS t
JOIN remediation AS r ON r.id = t.id
JOIN occurrence AS o ON o.id = r.occurrence_id
WHERE r.id <> :id AND r.target <> :target AND NOT EXISTS (
    SELECT 1 FROM json_each(:group) AS g WHERE json_extract(o.labels, '$."' || g.key || '"') IS NOT g.value
)
GROUP BY r.target
ORDER BY r.target;

-- name: alert_standing
SELECT
    COALESCE(MAX(id), 0) AS id,
    EXISTS (SELECT 1 FROM occurrence WHERE closed_at IS NULL AND alertname = :alertname) AS is_open
FROM occurrence;

-- name: occurrence_after
SELECT * FROM occurrence WHERE id > :after AND alertname = :alertname ORDER BY id LIMIT 1;

-- name: oldest_under_way
SELECT state, MIN(COALESCE(started_at, created_at)) AS since FROM remediation
WHERE state IN (SELECT name FROM state WHERE locked = 1) GROUP BY state;

-- name: last_verified
SELECT MAX(verified_at) AS at FROM remediation WHERE verified_at IS NOT NULL;

-- name: failed_since
SELECT COUNT(*) AS count FROM (
    SELECT 1 FROM remediation WHERE ended_at > :since AND +state IN ('failed', 'ineffective') LIMIT :limit
);

-- name: held_because
SELECT id FROM remediation WHERE state = 'held' AND reason = :reason;

-- name: audit_since
SELECT MIN(id) AS id FROM event WHERE at >= :at;

-- name: open_occurrence_of
SELECT * FROM occurrence WHERE fingerprint = :fingerprint AND closed_at IS NULL;

-- name: set_fingerprint
UPDATE occurrence SET fingerprint = :fingerprint WHERE id = :id;

-- name: trust_rung
SELECT rung FROM trust WHERE playbook = :playbook AND digest = :digest;

-- name: trust_rungs
SELECT playbook, digest, rung FROM trust;

-- name: trust_standing
SELECT * FROM trust WHERE playbook = :playbook AND digest = :digest;

-- name: trust_elsewhere
SELECT * FROM trust WHERE playbook = :playbook AND digest <> :digest ORDER BY changed_at DESC, digest LIMIT 1;

-- name: set_trust
INSERT INTO trust (playbook, digest, rung, changed_at, after, who, why)
VALUES (:playbook, :digest, :rung, :now, COALESCE((SELECT MAX(id) FROM remediation), 0), :who, :why)
ON CONFLICT (playbook, digest) DO UPDATE
SET rung = excluded.rung, changed_at = excluded.changed_at, after = MAX(trust.after, excluded.after), who = excluded.who,
    why = excluded.why;

-- name: trust_evidence
SELECT * FROM trust_evidence WHERE playbook = :playbook AND digest = :digest AND rung = :rung;

-- name: set_trust_evidence
INSERT INTO trust_evidence (playbook, digest, rung, judged, succeeded, first_at, last_at, recent)
VALUES (:playbook, :digest, :rung, :judged, :succeeded, :first_at, :last_at, :recent)
ON CONFLICT (playbook, digest, rung) DO UPDATE
SET judged = excluded.judged, succeeded = excluded.succeeded, first_at = excluded.first_at, last_at = excluded.last_at,
    recent = excluded.recent;

-- name: trust_propose
UPDATE trust_evidence SET proposed = :proposed WHERE playbook = :playbook AND digest = :digest AND rung = :rung;

-- name: drop_trust_evidence
DELETE FROM trust_evidence WHERE playbook = :playbook AND digest = :digest;

-- name: trust_run
SELECT * FROM trust_run WHERE remediation_id = :id;

-- name: add_trust_run
INSERT INTO trust_run (remediation_id, occurrence_id, playbook, digest, target, rung, at, judgement, guard, reason, due)
VALUES (:id, :occurrence_id, :playbook, :digest, :target, :rung, :at, :judgement, :guard, :reason, :due);

-- name: judge_trust_run
UPDATE trust_run SET judgement = :judgement, reason = :reason, due = NULL,
    cleared_after = COALESCE(cleared_after, :cleared_after)
WHERE remediation_id = :id AND judgement = 'waiting';

-- name: trust_run_cleared
UPDATE trust_run SET cleared_after = :cleared_after WHERE remediation_id = :id;

-- name: trust_runs_open
SELECT * FROM trust_run WHERE occurrence_id = :occurrence_id AND rung = 'observe' AND cleared_after IS NULL;

-- name: trust_runs_due
SELECT remediation_id AS id FROM trust_run WHERE due <= :at ORDER BY due LIMIT :limit;

-- name: trust_shadows_since
SELECT COUNT(*) AS count FROM trust_run
WHERE playbook = :playbook AND at > :since AND judgement IN ('waiting', 'success', 'failure') AND rung = 'observe';

-- name: trust_shadow_on
SELECT 1 FROM trust_run
WHERE playbook = :playbook AND at > :since AND judgement IN ('waiting', 'success', 'failure') AND rung = 'observe'
  AND target = :target LIMIT 1;

-- name: trust_acted
SELECT
    EXISTS (SELECT 1 FROM step WHERE remediation_id = :id AND effect <> 'read_only' AND state <> 'skipped') AS acted,
    (SELECT COUNT(DISTINCT position) FROM step
     WHERE remediation_id = :id AND undo = 0 AND state IN ('done', 'failed')) AS ended,
    EXISTS (SELECT 1 FROM event WHERE remediation_id = :id AND kind = 'moved' AND new = 'unknown') AS doubted;

-- name: trust_others_acted
SELECT 1 FROM remediation AS r
WHERE r.target = :target AND r.id <> :id AND r.started_at IS NOT NULL
  -- what was made later began later, whatever the clock said
  AND (r.id > :id OR r.started_at >= (SELECT created_at FROM remediation WHERE id = :id)) LIMIT 1;

-- name: trust_unknown
SELECT COUNT(*) AS count FROM remediation
WHERE state IN ('unknown', 'verifying') AND playbook = :playbook
  AND (state = 'unknown' OR json_extract(proof, '$.in_doubt'));

-- name: trust_held
SELECT id FROM remediation WHERE state = 'held' AND playbook = :playbook;

-- name: trust_judgements
SELECT judgement, guard, reason, COUNT(*) AS count FROM trust_run
WHERE playbook = :playbook AND digest = :digest AND rung = :rung GROUP BY judgement, guard, reason
ORDER BY count DESC, judgement, guard, reason;

-- name: trust_clearings
SELECT cleared_after FROM trust_run
WHERE playbook = :playbook AND digest = :digest AND rung = 'observe' AND cleared_after IS NOT NULL
ORDER BY remediation_id DESC LIMIT :limit;

-- name: trust_proposed
SELECT e.* FROM trust_evidence AS e JOIN trust_version AS v ON v.playbook = e.playbook AND v.digest = e.digest
WHERE e.proposed = 1 ORDER BY e.playbook, e.rung;

-- name: trust_versions
SELECT playbook, digest FROM trust_version;

-- name: set_trust_version
INSERT INTO trust_version (playbook, digest) VALUES (:playbook, :digest)
ON CONFLICT (playbook) DO UPDATE SET digest = excluded.digest;

-- name: marks
SELECT playbook, target, text, MAX(at) AS at FROM mark
WHERE at > :since GROUP BY playbook, target, text ORDER BY MAX(at), playbook, target, text;

-- name: add_mark
INSERT INTO mark (playbook, target, text, at) VALUES (:playbook, :target, :text, :at);

-- name: forget_marks
DELETE FROM mark WHERE id <= (SELECT MAX(id) FROM mark) - :most;
