-- Trust, and what further actions need. Times are seconds since the epoch; JSON is text.

-- trust: the rung of a playbook's one version, where a person or a demotion has set it; without a row its file's mode
-- counts. Remediations up to `after` count no more. Runs are judged once; their times are on the wall clock without its
-- jumps
CREATE TABLE trust (
    playbook TEXT NOT NULL,
    digest TEXT NOT NULL,
    rung TEXT NOT NULL CHECK (rung IN ('observe', 'approve', 'auto')),
    changed_at REAL NOT NULL,
    after INTEGER NOT NULL,
    who TEXT NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (playbook, digest)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER trust_is_given_by_people BEFORE UPDATE OF rung ON trust
WHEN NEW.who = '' AND instr('observe approve auto', NEW.rung) > instr('observe approve auto', OLD.rung)
BEGIN
    SELECT RAISE(ABORT, 'only a person promotes');
END;

CREATE TRIGGER trust_counts_anew BEFORE UPDATE OF after ON trust
WHEN NEW.after < OLD.after
BEGIN
    SELECT RAISE(ABORT, 'what counts no more never counts again');
END;

CREATE TRIGGER trust_stays BEFORE DELETE ON trust
BEGIN
    SELECT RAISE(ABORT, 'a demotion is never forgotten');
END;

CREATE TABLE trust_evidence (
    playbook TEXT NOT NULL,
    digest TEXT NOT NULL,
    rung TEXT NOT NULL,
    judged INTEGER NOT NULL,
    succeeded INTEGER NOT NULL CHECK (succeeded BETWEEN 0 AND judged),
    first_at REAL NOT NULL,
    last_at REAL NOT NULL,
    recent TEXT NOT NULL,
    proposed INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (playbook, digest, rung)
) STRICT, WITHOUT ROWID;

CREATE TABLE trust_run (
    remediation_id INTEGER PRIMARY KEY REFERENCES remediation (id) ON DELETE CASCADE,
    occurrence_id INTEGER NOT NULL,
    playbook TEXT NOT NULL,
    digest TEXT NOT NULL,
    target TEXT NOT NULL,
    rung TEXT NOT NULL,
    at REAL NOT NULL,
    judgement TEXT NOT NULL
        CHECK (judgement IN ('waiting', 'success', 'failure', 'worse', 'blocked', 'left_out')),
    guard TEXT NOT NULL DEFAULT '',
    reason TEXT,
    due REAL,
    cleared_after REAL,
    CHECK ((judgement = 'waiting') = (due IS NOT NULL)),
    CHECK (judgement <> 'waiting' OR rung = 'observe')
) STRICT;
CREATE INDEX trust_run_due ON trust_run (due) WHERE due IS NOT NULL;
CREATE INDEX trust_run_open ON trust_run (occurrence_id) WHERE rung = 'observe' AND cleared_after IS NULL;
CREATE INDEX trust_run_shadow ON trust_run (playbook, at) WHERE judgement IN ('waiting', 'success', 'failure') AND rung = 'observe';
CREATE INDEX trust_run_told ON trust_run (playbook, digest, rung, judgement, guard, reason);

CREATE TRIGGER trust_run_is_judged_once BEFORE UPDATE OF judgement ON trust_run
WHEN OLD.judgement <> 'waiting'
BEGIN
    SELECT RAISE(ABORT, 'a run is judged once');
END;

-- which version of a playbook was in force last, to say it when another one takes its place
CREATE TABLE trust_version (
    playbook TEXT PRIMARY KEY,
    digest TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- moments that playbooks marked for the dashboard: the newest few
CREATE TABLE mark (
    id INTEGER PRIMARY KEY,
    playbook TEXT NOT NULL,
    target TEXT NOT NULL,
    text TEXT NOT NULL,
    at REAL NOT NULL
) STRICT;
