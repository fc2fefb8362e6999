-- An alert that comes back is asked what was tried for it before.
CREATE INDEX occurrence_fingerprint ON occurrence (fingerprint, id);
