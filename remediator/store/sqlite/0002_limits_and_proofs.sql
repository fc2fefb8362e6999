-- Limits, approvals, undo, audit. Times are seconds since the epoch; JSON is text.

-- the chain of events: each hash covers the row and the hash before it. Rows that stand here already have none: the
-- chain begins after them, and the anchor says so
ALTER TABLE event ADD COLUMN hash BLOB;

CREATE TABLE audit_anchor (
    event_id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL,
    at REAL NOT NULL,
    why TEXT NOT NULL CHECK (why IN ('begin', 'retention'))
) STRICT;

INSERT INTO audit_anchor (event_id, hash, at, why)
SELECT
    -- not the highest id that is left: ids go on where they were, for who has read up to one of them
    COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'event'), 0),
    zeroblob(32), (julianday('now') - 2440587.5) * 86400.0, 'begin';

CREATE TRIGGER event_is_chained BEFORE INSERT ON event
WHEN NEW.hash IS NULL
BEGIN
    SELECT RAISE(ABORT, 'an event carries its hash');
END;

CREATE TRIGGER event_goes_behind_an_anchor BEFORE DELETE ON event
WHEN NOT EXISTS (SELECT 1 FROM audit_anchor WHERE event_id >= OLD.id)
BEGIN
    SELECT RAISE(ABORT, 'history goes from its beginning only, behind an anchor');
END;

CREATE TRIGGER anchor_stays BEFORE UPDATE ON audit_anchor
BEGIN
    SELECT RAISE(ABORT, 'an anchor is never rewritten');
END;

CREATE TRIGGER anchor_goes_for_a_later_one BEFORE DELETE ON audit_anchor
WHEN NOT EXISTS (SELECT 1 FROM audit_anchor WHERE event_id > OLD.event_id)
BEGIN
    SELECT RAISE(ABORT, 'only a later anchor replaces one');
END;

-- when something was last proven healed, for the metric
CREATE INDEX remediation_verified ON remediation (verified_at) WHERE verified_at IS NOT NULL;

-- approvals: a request to a person, for exactly one plan, answered at most once
CREATE TABLE approval (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    remediation_id INTEGER NOT NULL REFERENCES remediation (id),
    plan_hash TEXT NOT NULL,
    plan TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'granted', 'used', 'refused', 'expired', 'void')),
    requested_at REAL NOT NULL,
    expires_at REAL NOT NULL,
    decided_at REAL,
    who TEXT,
    why TEXT,
    how TEXT
) STRICT;
CREATE INDEX approval_remediation ON approval (remediation_id);
CREATE UNIQUE INDEX approval_under_way ON approval (remediation_id) WHERE state IN ('open', 'granted');

CREATE TRIGGER approval_is_answered_once BEFORE UPDATE OF state ON approval
WHEN NOT (OLD.state = 'open' AND NEW.state IN ('granted', 'refused', 'expired', 'void')
    OR OLD.state = 'granted' AND NEW.state IN ('used', 'expired', 'void'))
BEGIN
    SELECT RAISE(ABORT, 'an approval is answered once');
END;

CREATE TRIGGER approval_stays_bound BEFORE UPDATE OF id, remediation_id, plan_hash, plan, requested_at, expires_at
ON approval
BEGIN
    SELECT RAISE(ABORT, 'what a person is asked never changes');
END;

-- circuit breakers and repeats: what they count is one row per remediation with effects that was judged; its times are on
-- the wall clock without its jumps
CREATE TABLE outcome (
    remediation_id INTEGER PRIMARY KEY REFERENCES remediation (id) ON DELETE CASCADE,
    playbook TEXT NOT NULL,
    target TEXT NOT NULL,
    serial INTEGER NOT NULL UNIQUE,
    at REAL NOT NULL,
    failed INTEGER NOT NULL,
    healed_at REAL
) STRICT;
CREATE INDEX outcome_at ON outcome (at, serial, playbook, failed);
CREATE INDEX outcome_playbook ON outcome (playbook, at, serial, failed);
CREATE INDEX outcome_healed ON outcome (playbook, target, healed_at) WHERE healed_at IS NOT NULL;
CREATE INDEX outcome_healed_at ON outcome (healed_at, playbook, target) WHERE healed_at IS NOT NULL;

-- what an earlier version ended is known too; `not_asked` counts as neither
INSERT INTO outcome (remediation_id, playbook, target, serial, at, failed, healed_at)
SELECT r.id, r.playbook, r.target, r.id, COALESCE(r.ended_at, r.verified_at),
       r.state IN ('ineffective', 'failed', 'undone'), r.verified_at
FROM remediation AS r
WHERE ((r.state IN ('ineffective', 'failed', 'undone') AND COALESCE(r.reason, '') <> 'self_resolved')
       OR (r.state IN ('watching', 'succeeded') AND r.verdict = 'fixed'))
  AND COALESCE(r.ended_at, r.verified_at) IS NOT NULL
  AND EXISTS (SELECT 1 FROM step AS s
              WHERE s.remediation_id = r.id AND s.effect <> 'read_only' AND s.state <> 'skipped');

-- a breaker without a row is closed; outcomes with a higher serial than `counted_after` count
CREATE TABLE breaker (
    name TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('closed', 'open', 'half_open')),
    changed_at REAL NOT NULL,
    counted_after INTEGER NOT NULL,
    tries_at REAL,
    failed INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    trial INTEGER REFERENCES remediation (id) ON DELETE SET NULL,
    who TEXT NOT NULL DEFAULT '',
    why TEXT NOT NULL DEFAULT '',
    CHECK ((state = 'closed') = (tries_at IS NULL)),
    CHECK (trial IS NULL OR state = 'half_open')
) STRICT, WITHOUT ROWID;

CREATE TRIGGER breaker_moves BEFORE UPDATE OF state ON breaker
WHEN OLD.state = 'closed' AND NEW.state = 'half_open'
BEGIN
    SELECT RAISE(ABORT, 'only an open breaker can be tried');
END;

CREATE TRIGGER breaker_tries_once BEFORE UPDATE OF trial ON breaker
WHEN OLD.trial IS NOT NULL AND NEW.trial IS NOT NULL AND NEW.trial <> OLD.trial
BEGIN
    SELECT RAISE(ABORT, 'somebody else tries already');
END;

-- jumps of the wall clock (below 0: back), and the offset of wall and monotonic clock it was last seen with: a start forgets none
CREATE TABLE clock_jump (
    at REAL NOT NULL,
    size REAL NOT NULL
) STRICT;
CREATE TABLE clock_offset (
    boot TEXT PRIMARY KEY,
    seconds REAL NOT NULL
) STRICT, WITHOUT ROWID;

-- answers kept under idempotency keys; without a status it is not known what came of the request
CREATE TABLE answer (
    who TEXT NOT NULL,
    key TEXT NOT NULL,
    digest TEXT NOT NULL,
    at REAL NOT NULL,
    status INTEGER,
    body TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (who, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX answer_at ON answer (at);

-- monitoring is stopped while there is a row: one at most
CREATE TABLE monitoring_stop (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    who TEXT NOT NULL,
    why TEXT NOT NULL,
    since REAL NOT NULL,
    until REAL
) STRICT;

-- pauses as they were told last: the files are the truth, this tells what is new in them
CREATE TABLE told_pause (
    name TEXT PRIMARY KEY,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- blast radius: what was touched lately, whichever its target
CREATE INDEX step_touched ON step (intent_at) WHERE effect <> 'read_only' AND state <> 'skipped';

-- an alert that stays on is decided again and again: what is asked of its remediations each time reads only these few
CREATE INDEX remediation_begun ON remediation (occurrence_id) WHERE started_at IS NOT NULL;
CREATE INDEX remediation_unfinished ON remediation (occurrence_id) WHERE ended_at IS NULL;

-- what retention forgets
CREATE INDEX delivery_at ON delivery (at);
