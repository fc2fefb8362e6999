-- Times are seconds since the epoch; JSON is text. Ids are never reused.

-- every permitted move between states, and what each state means; both are filled from the model at every open
CREATE TABLE move (
    a TEXT NOT NULL,
    b TEXT NOT NULL,
    PRIMARY KEY (a, b)
) STRICT, WITHOUT ROWID;

CREATE TABLE state (
    name TEXT PRIMARY KEY,
    live INTEGER NOT NULL,
    locked INTEGER NOT NULL,
    ended INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE delivery (
    id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    receiver TEXT NOT NULL,
    alerts INTEGER NOT NULL,
    truncated INTEGER NOT NULL,
    version TEXT NOT NULL
) STRICT;

CREATE TABLE occurrence (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    fingerprint TEXT NOT NULL,
    alertname TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('firing', 'malformed')),
    labels TEXT NOT NULL,
    annotations TEXT NOT NULL,
    generator_url TEXT NOT NULL,
    starts_at REAL NOT NULL,
    received_at REAL NOT NULL,
    last_seen_at REAL NOT NULL,
    closed_at REAL,
    closed_how TEXT,
    fate TEXT,
    reason TEXT,
    remediation_id INTEGER
) STRICT;

-- at most one open occurrence per fingerprint: this is what makes a repeated delivery harmless
CREATE UNIQUE INDEX occurrence_open ON occurrence (fingerprint) WHERE closed_at IS NULL;
CREATE INDEX occurrence_closed ON occurrence (closed_at) WHERE closed_at IS NOT NULL;

CREATE TABLE remediation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    occurrence_id INTEGER NOT NULL REFERENCES occurrence (id),
    playbook TEXT NOT NULL,
    target TEXT NOT NULL,
    lock_key TEXT NOT NULL,
    mode TEXT NOT NULL,
    frozen TEXT NOT NULL,
    state TEXT NOT NULL REFERENCES state (name),
    reason TEXT,
    verdict TEXT,
    cancel TEXT,
    position INTEGER NOT NULL DEFAULT 0,
    until REAL,
    created_at REAL NOT NULL,
    held_since REAL,
    started_at REAL,
    verified_at REAL,
    ended_at REAL,
    proof TEXT NOT NULL DEFAULT '{}'
) STRICT;

CREATE INDEX remediation_occurrence ON remediation (occurrence_id);
CREATE INDEX remediation_state ON remediation (state);
CREATE INDEX remediation_waiting ON remediation (lock_key, held_since, id) WHERE state = 'held' AND reason = 'locked';
CREATE INDEX remediation_started ON remediation (started_at) WHERE started_at IS NOT NULL;
CREATE INDEX remediation_playbook ON remediation (playbook, started_at) WHERE started_at IS NOT NULL;
CREATE INDEX remediation_target ON remediation (target, started_at) WHERE started_at IS NOT NULL;
CREATE INDEX remediation_ended ON remediation (ended_at) WHERE ended_at IS NOT NULL;

CREATE TRIGGER remediation_begins_pending BEFORE INSERT ON remediation
WHEN NEW.state <> 'pending'
BEGIN
    SELECT RAISE(ABORT, 'a remediation begins pending');
END;

CREATE TRIGGER remediation_moves BEFORE UPDATE OF state ON remediation
WHEN NOT EXISTS (SELECT 1 FROM move WHERE a = OLD.state AND b = NEW.state)
BEGIN
    SELECT RAISE(ABORT, 'not a permitted move');
END;

CREATE TRIGGER remediation_stays_frozen BEFORE UPDATE OF id, occurrence_id, playbook, target, lock_key, mode, frozen, created_at
ON remediation
BEGIN
    SELECT RAISE(ABORT, 'what is frozen never changes');
END;

CREATE TRIGGER remediation_goes_when_ended BEFORE DELETE ON remediation
WHEN NOT EXISTS (SELECT 1 FROM state WHERE name = OLD.state AND ended = 1)
BEGIN
    SELECT RAISE(ABORT, 'only an ended remediation may be deleted');
END;

CREATE TABLE step (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    remediation_id INTEGER NOT NULL REFERENCES remediation (id),
    position INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    undo INTEGER NOT NULL,
    action TEXT NOT NULL,
    effect TEXT NOT NULL,
    target TEXT NOT NULL,
    state TEXT NOT NULL,
    plan TEXT NOT NULL,
    outcome TEXT,
    intent_at REAL NOT NULL,
    ended_at REAL,
    UNIQUE (remediation_id, undo, position, attempt)
) STRICT;

-- a remediation never has two effects under way
CREATE UNIQUE INDEX step_open ON step (remediation_id) WHERE state = 'intent';
CREATE INDEX step_effect ON step (target, intent_at) WHERE effect <> 'read_only' AND state <> 'skipped';

CREATE TRIGGER step_result_stays BEFORE UPDATE OF state ON step
WHEN OLD.state NOT IN ('intent', 'unknown') OR NEW.state = 'intent'
BEGIN
    SELECT RAISE(ABORT, 'a result is stored once');
END;

CREATE TABLE decision (
    id INTEGER PRIMARY KEY,
    remediation_id INTEGER NOT NULL REFERENCES remediation (id),
    at REAL NOT NULL,
    answers TEXT NOT NULL
) STRICT;
CREATE INDEX decision_remediation ON decision (remediation_id);

CREATE TABLE evidence (
    id INTEGER PRIMARY KEY,
    remediation_id INTEGER NOT NULL REFERENCES remediation (id),
    at REAL NOT NULL,
    phase TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX evidence_remediation ON evidence (remediation_id);

-- the key is a host or a target; the row is the lock
CREATE TABLE lock (
    key TEXT PRIMARY KEY,
    remediation_id INTEGER NOT NULL REFERENCES remediation (id)
) STRICT, WITHOUT ROWID;
CREATE INDEX lock_remediation ON lock (remediation_id);

-- everything that waits; the generation tells whether a row was written since it was read
CREATE TABLE work (
    kind TEXT NOT NULL,
    id INTEGER NOT NULL,
    due REAL NOT NULL,
    priority INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    remediation_id INTEGER,
    occurrence_id INTEGER,
    kind TEXT NOT NULL,
    old TEXT,
    new TEXT,
    reason TEXT,
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX event_remediation ON event (remediation_id) WHERE remediation_id IS NOT NULL;
CREATE INDEX event_occurrence ON event (occurrence_id) WHERE occurrence_id IS NOT NULL;

CREATE TRIGGER event_stays BEFORE UPDATE ON event
BEGIN
    SELECT RAISE(ABORT, 'history is never rewritten');
END;

CREATE TABLE cursor (
    channel TEXT PRIMARY KEY,
    event_id INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
