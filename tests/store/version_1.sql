BEGIN TRANSACTION;
CREATE TABLE cursor (
    channel TEXT PRIMARY KEY,
    event_id INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "cursor" VALUES('log',48);
CREATE TABLE decision (
    id INTEGER PRIMARY KEY,
    remediation_id INTEGER NOT NULL REFERENCES remediation (id),
    at REAL NOT NULL,
    answers TEXT NOT NULL
) STRICT;
INSERT INTO "decision" VALUES(1,2,1700000000.0,'[{"guard":"pause","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"owner","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"duplicate","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"lock","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"cooldown","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"rate","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"policy","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"still_firing","answer":"allow","reason":"allowed","detail":{"asked_at":1700000000.0},"until":null},{"guard":"mode","answer":"allow","reason":"allowed","detail":{},"until":null}]');
INSERT INTO "decision" VALUES(2,3,1700000000.0,'[{"guard":"pause","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"owner","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"duplicate","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"lock","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"cooldown","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"rate","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"policy","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"still_firing","answer":"allow","reason":"allowed","detail":{"asked_at":1700000000.0},"until":null},{"guard":"mode","answer":"deny","reason":"observe_mode","detail":{},"until":null}]');
INSERT INTO "decision" VALUES(3,5,1700000000.0,'[{"guard":"pause","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"owner","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"duplicate","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"lock","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"cooldown","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"rate","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"policy","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"still_firing","answer":"allow","reason":"allowed","detail":{"asked_at":1700000000.0},"until":null},{"guard":"mode","answer":"allow","reason":"allowed","detail":{},"until":null}]');
INSERT INTO "decision" VALUES(4,4,1700000000.0,'[{"guard":"pause","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"owner","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"duplicate","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"lock","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"cooldown","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"rate","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"policy","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"still_firing","answer":"allow","reason":"allowed","detail":{"asked_at":1700000000.0},"until":null},{"guard":"mode","answer":"allow","reason":"allowed","detail":{},"until":null}]');
INSERT INTO "decision" VALUES(5,1,1700000000.0,'[{"guard":"pause","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"owner","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"duplicate","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"lock","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"cooldown","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"rate","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"policy","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"still_firing","answer":"allow","reason":"allowed","detail":{"asked_at":1700000000.0},"until":null},{"guard":"mode","answer":"allow","reason":"allowed","detail":{},"until":null}]');
INSERT INTO "decision" VALUES(6,6,1700000000.0,'[{"guard":"pause","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"owner","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"duplicate","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"lock","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"cooldown","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"rate","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"policy","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"still_firing","answer":"allow","reason":"allowed","detail":{"asked_at":1700000000.0},"until":null},{"guard":"mode","answer":"allow","reason":"allowed","detail":{},"until":null}]');
INSERT INTO "decision" VALUES(7,7,1700000000.0,'[{"guard":"pause","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"owner","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"duplicate","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"lock","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"cooldown","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"rate","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"policy","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"still_firing","answer":"allow","reason":"allowed","detail":{"asked_at":1700000000.0},"until":null},{"guard":"mode","answer":"allow","reason":"allowed","detail":{},"until":null}]');
INSERT INTO "decision" VALUES(8,8,1700000016.0,'[{"guard":"pause","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"owner","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"duplicate","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"lock","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"cooldown","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"rate","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"policy","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"still_firing","answer":"allow","reason":"allowed","detail":{"asked_at":1700000016.0},"until":null},{"guard":"mode","answer":"allow","reason":"allowed","detail":{},"until":null}]');
INSERT INTO "decision" VALUES(9,9,1700000021.0,'[{"guard":"pause","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"owner","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"duplicate","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"lock","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"cooldown","answer":"hold","reason":"cooldown","detail":{"target":"h1/item:resting"},"until":1700000600.0},{"guard":"rate","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"policy","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"still_firing","answer":"allow","reason":"allowed","detail":{"asked_at":1700000021.0},"until":null},{"guard":"mode","answer":"allow","reason":"allowed","detail":{},"until":null}]');
INSERT INTO "decision" VALUES(10,10,1700000021.0,'[{"guard":"pause","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"owner","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"duplicate","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"lock","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"cooldown","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"rate","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"policy","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"still_firing","answer":"allow","reason":"allowed","detail":{"asked_at":1700000021.0},"until":null},{"guard":"mode","answer":"allow","reason":"allowed","detail":{},"until":null}]');
INSERT INTO "decision" VALUES(11,11,1700000021.0,'[{"guard":"pause","answer":"hold","reason":"paused","detail":{"who":"kim","why":"a test"},"until":1700000026.0},{"guard":"owner","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"duplicate","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"lock","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"cooldown","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"rate","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"policy","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"still_firing","answer":"allow","reason":"allowed","detail":{"asked_at":1700000021.0},"until":null},{"guard":"mode","answer":"allow","reason":"allowed","detail":{},"until":null}]');
INSERT INTO "decision" VALUES(12,12,1700000021.0,'[{"guard":"pause","answer":"hold","reason":"paused","detail":{"who":"kim","why":"a test"},"until":1700000026.0},{"guard":"owner","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"duplicate","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"lock","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"cooldown","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"rate","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"policy","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"still_firing","answer":"allow","reason":"allowed","detail":{"asked_at":1700000021.0},"until":null},{"guard":"mode","answer":"allow","reason":"allowed","detail":{},"until":null}]');
INSERT INTO "decision" VALUES(13,13,1700000021.0,'[{"guard":"pause","answer":"hold","reason":"paused","detail":{"who":"kim","why":"a test"},"until":1700000026.0},{"guard":"owner","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"duplicate","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"lock","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"cooldown","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"rate","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"policy","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"still_firing","answer":"allow","reason":"allowed","detail":{"asked_at":1700000021.0},"until":null},{"guard":"mode","answer":"allow","reason":"allowed","detail":{},"until":null}]');
INSERT INTO "decision" VALUES(14,16,1700000021.0,'[{"guard":"pause","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"owner","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"duplicate","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"lock","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"cooldown","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"rate","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"policy","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"still_firing","answer":"allow","reason":"allowed","detail":{"asked_at":1700000021.0},"until":null},{"guard":"mode","answer":"allow","reason":"allowed","detail":{},"until":null}]');
INSERT INTO "decision" VALUES(15,15,1700000021.0,'[{"guard":"pause","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"owner","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"duplicate","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"lock","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"cooldown","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"rate","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"policy","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"still_firing","answer":"allow","reason":"allowed","detail":{"asked_at":1700000021.0},"until":null},{"guard":"mode","answer":"allow","reason":"allowed","detail":{},"until":null}]');
INSERT INTO "decision" VALUES(16,17,1700000021.0,'[{"guard":"pause","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"owner","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"duplicate","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"lock","answer":"hold","reason":"locked","detail":{"remediation":16,"lock":"target/h1/item:once"},"until":1700000051.0},{"guard":"cooldown","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"rate","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"policy","answer":"allow","reason":"allowed","detail":{},"until":null},{"guard":"still_firing","answer":"allow","reason":"allowed","detail":{"asked_at":1700000021.0},"until":null},{"guard":"mode","answer":"allow","reason":"allowed","detail":{},"until":null}]');
CREATE TABLE delivery (
    id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    receiver TEXT NOT NULL,
    alerts INTEGER NOT NULL,
    truncated INTEGER NOT NULL,
    version TEXT NOT NULL
) STRICT;
INSERT INTO "delivery" VALUES(1,1700000000.0,'selfheal',6,0,'4');
INSERT INTO "delivery" VALUES(2,1700000000.0,'selfheal',1,0,'4');
INSERT INTO "delivery" VALUES(3,1700000000.0,'selfheal',1,0,'4');
INSERT INTO "delivery" VALUES(4,1700000000.0,'selfheal',1,0,'4');
INSERT INTO "delivery" VALUES(5,1700000000.0,'selfheal',1,0,'4');
INSERT INTO "delivery" VALUES(6,1700000000.0,'selfheal',1,0,'4');
INSERT INTO "delivery" VALUES(7,1700000016.0,'selfheal',1,0,'4');
INSERT INTO "delivery" VALUES(8,1700000021.0,'selfheal',1,0,'4');
INSERT INTO "delivery" VALUES(9,1700000021.0,'selfheal',1,0,'4');
INSERT INTO "delivery" VALUES(10,1700000021.0,'selfheal',3,0,'4');
INSERT INTO "delivery" VALUES(11,1700000021.0,'selfheal',3,0,'4');
INSERT INTO "delivery" VALUES(12,1700000021.0,'selfheal',1,0,'4');
INSERT INTO "delivery" VALUES(13,1700000021.0,'selfheal',1,0,'4');
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
INSERT INTO "event" VALUES(1,1700000000.0,1,2,'moved',NULL,'pending',NULL,'{}');
INSERT INTO "event" VALUES(2,1700000000.0,2,1,'moved',NULL,'pending',NULL,'{}');
INSERT INTO "event" VALUES(3,1700000000.0,3,3,'moved',NULL,'pending',NULL,'{}');
INSERT INTO "event" VALUES(4,1700000000.0,4,4,'moved',NULL,'pending',NULL,'{}');
INSERT INTO "event" VALUES(5,1700000000.0,NULL,5,'fate',NULL,'no_playbook','no_playbook','{}');
INSERT INTO "event" VALUES(6,1700000000.0,5,6,'moved',NULL,'pending',NULL,'{}');
INSERT INTO "event" VALUES(7,1700000000.0,2,1,'moved','pending','running','allowed','{}');
INSERT INTO "event" VALUES(8,1700000000.0,2,NULL,'step',NULL,'intent',NULL,'{"step":1,"position":0,"action":"test.act","undo":false}');
INSERT INTO "event" VALUES(9,1700000000.0,3,3,'moved','pending','observed','observe_mode','{"answer":"allow","reason":"allowed","items":[{"kind":"command","service":"test","verb":"observed"}],"count":1}');
INSERT INTO "event" VALUES(10,1700000000.0,3,3,'fate',NULL,'observed','observe_mode','{}');
INSERT INTO "event" VALUES(11,1700000000.0,2,NULL,'step',NULL,'done',NULL,'{"step":1,"position":0,"action":"test.act","undo":false}');
INSERT INTO "event" VALUES(12,1700000000.0,2,1,'moved','running','verifying','proof_not_asked','{}');
INSERT INTO "event" VALUES(13,1700000000.0,2,1,'moved','verifying','succeeded','proof_not_asked','{}');
INSERT INTO "event" VALUES(14,1700000000.0,2,1,'fate',NULL,'succeeded','proof_not_asked','{}');
INSERT INTO "event" VALUES(15,1700000000.0,5,6,'moved','pending','running','allowed','{}');
INSERT INTO "event" VALUES(16,1700000000.0,5,NULL,'step',NULL,'intent',NULL,'{"step":2,"position":0,"action":"test.act","undo":false}');
INSERT INTO "event" VALUES(17,1700000000.0,4,4,'moved','pending','running','allowed','{}');
INSERT INTO "event" VALUES(18,1700000000.0,4,NULL,'step',NULL,'intent',NULL,'{"step":3,"position":0,"action":"test.doubtful","undo":false}');
INSERT INTO "event" VALUES(19,1700000000.0,1,2,'moved','pending','running','allowed','{}');
INSERT INTO "event" VALUES(20,1700000000.0,1,NULL,'step',NULL,'intent',NULL,'{"step":4,"position":0,"action":"test.failing","undo":false}');
INSERT INTO "event" VALUES(21,1700000000.0,5,NULL,'step',NULL,'done',NULL,'{"step":2,"position":0,"action":"test.act","undo":false}');
INSERT INTO "event" VALUES(22,1700000000.0,5,6,'moved','running','verifying','proof_not_asked','{}');
INSERT INTO "event" VALUES(23,1700000000.0,5,6,'moved','verifying','succeeded','proof_not_asked','{}');
INSERT INTO "event" VALUES(24,1700000000.0,5,6,'fate',NULL,'succeeded','proof_not_asked','{}');
INSERT INTO "event" VALUES(25,1700000000.0,1,NULL,'step',NULL,'failed',NULL,'{"step":4,"position":0,"action":"test.failing","undo":false}');
INSERT INTO "event" VALUES(26,1700000000.0,1,2,'moved','running','failed','step_failed','{"step":0}');
INSERT INTO "event" VALUES(27,1700000000.0,1,2,'fate',NULL,'failed','step_failed','{}');
INSERT INTO "event" VALUES(28,1700000000.0,4,NULL,'step',NULL,'unknown',NULL,'{"step":3,"position":0,"action":"test.doubtful","undo":false}');
INSERT INTO "event" VALUES(29,1700000000.0,4,4,'moved','running','unknown','outcome_unknown','{"step":0}');
INSERT INTO "event" VALUES(30,1700000000.0,NULL,7,'fate',NULL,'human_only','human_only','{}');
INSERT INTO "event" VALUES(31,1700000000.0,6,8,'moved',NULL,'pending',NULL,'{}');
INSERT INTO "event" VALUES(32,1700000000.0,6,8,'moved','pending','running','allowed','{}');
INSERT INTO "event" VALUES(33,1700000000.0,6,NULL,'step',NULL,'intent',NULL,'{"step":5,"position":0,"action":"test.act","undo":false}');
INSERT INTO "event" VALUES(34,1700000000.0,6,NULL,'step',NULL,'done',NULL,'{"step":5,"position":0,"action":"test.act","undo":false}');
INSERT INTO "event" VALUES(35,1700000000.0,6,8,'moved','running','verifying','proof_not_asked','{}');
INSERT INTO "event" VALUES(36,1700000000.0,6,8,'moved','verifying','succeeded','proof_not_asked','{}');
INSERT INTO "event" VALUES(37,1700000000.0,6,8,'fate',NULL,'succeeded','proof_not_asked','{}');
INSERT INTO "event" VALUES(38,1700000000.0,7,10,'moved',NULL,'pending',NULL,'{}');
INSERT INTO "event" VALUES(39,1700000000.0,7,10,'moved','pending','running','allowed','{}');
INSERT INTO "event" VALUES(40,1700000000.0,7,NULL,'step',NULL,'intent',NULL,'{"step":6,"position":0,"action":"test.act","undo":false}');
INSERT INTO "event" VALUES(41,1700000000.0,7,NULL,'step',NULL,'done',NULL,'{"step":6,"position":0,"action":"test.act","undo":false}');
INSERT INTO "event" VALUES(42,1700000000.0,7,10,'moved','running','verifying','allowed','{}');
INSERT INTO "event" VALUES(43,1700000016.0,7,10,'moved','verifying','watching','proven','{}');
INSERT INTO "event" VALUES(44,1700000016.0,8,11,'moved',NULL,'pending',NULL,'{}');
INSERT INTO "event" VALUES(45,1700000016.0,8,11,'moved','pending','running','allowed','{}');
INSERT INTO "event" VALUES(46,1700000016.0,8,NULL,'step',NULL,'intent',NULL,'{"step":7,"position":0,"action":"test.act","undo":false}');
INSERT INTO "event" VALUES(47,1700000016.0,8,NULL,'step',NULL,'done',NULL,'{"step":7,"position":0,"action":"test.act","undo":false}');
INSERT INTO "event" VALUES(48,1700000016.0,8,11,'moved','running','verifying','allowed','{}');
INSERT INTO "event" VALUES(49,1700000021.0,9,12,'moved',NULL,'pending',NULL,'{}');
INSERT INTO "event" VALUES(50,1700000021.0,9,12,'moved','pending','held','cooldown','{"target":"h1/item:resting"}');
INSERT INTO "event" VALUES(51,1700000021.0,10,13,'moved',NULL,'pending',NULL,'{}');
INSERT INTO "event" VALUES(52,1700000021.0,10,13,'moved','pending','running','allowed','{}');
INSERT INTO "event" VALUES(53,1700000021.0,10,NULL,'step',NULL,'intent',NULL,'{"step":8,"position":0,"action":"test.act","undo":false}');
INSERT INTO "event" VALUES(54,1700000021.0,10,NULL,'step',NULL,'done',NULL,'{"step":8,"position":0,"action":"test.act","undo":false}');
INSERT INTO "event" VALUES(55,1700000021.0,10,NULL,'step',NULL,NULL,'silenced','{"step":1,"waits":true}');
INSERT INTO "event" VALUES(56,1700000021.0,11,15,'moved',NULL,'pending',NULL,'{}');
INSERT INTO "event" VALUES(57,1700000021.0,12,16,'moved',NULL,'pending',NULL,'{}');
INSERT INTO "event" VALUES(58,1700000021.0,13,14,'moved',NULL,'pending',NULL,'{}');
INSERT INTO "event" VALUES(59,1700000021.0,11,15,'moved','pending','held','paused','{"who":"kim","why":"a test"}');
INSERT INTO "event" VALUES(60,1700000021.0,12,16,'moved','pending','held','paused','{"who":"kim","why":"a test"}');
INSERT INTO "event" VALUES(61,1700000021.0,13,14,'moved','pending','held','paused','{"who":"kim","why":"a test"}');
INSERT INTO "event" VALUES(62,1700000021.0,14,17,'moved',NULL,'pending',NULL,'{}');
INSERT INTO "event" VALUES(63,1700000021.0,15,18,'moved',NULL,'pending',NULL,'{}');
INSERT INTO "event" VALUES(64,1700000021.0,16,19,'moved',NULL,'pending',NULL,'{}');
INSERT INTO "event" VALUES(65,1700000021.0,16,19,'moved','pending','running','allowed','{}');
INSERT INTO "event" VALUES(66,1700000021.0,16,NULL,'step',NULL,'intent',NULL,'{"step":9,"position":0,"action":"test.act","undo":false}');
INSERT INTO "event" VALUES(67,1700000021.0,15,18,'moved','pending','running','allowed','{}');
INSERT INTO "event" VALUES(68,1700000021.0,15,NULL,'step',NULL,'intent',NULL,'{"step":10,"position":0,"action":"test.again","undo":false}');
INSERT INTO "event" VALUES(69,1700000021.0,17,20,'moved',NULL,'pending',NULL,'{}');
INSERT INTO "event" VALUES(70,1700000021.0,17,20,'moved','pending','held','locked','{"remediation":16,"lock":"target/h1/item:once"}');
CREATE TABLE evidence (
    id INTEGER PRIMARY KEY,
    remediation_id INTEGER NOT NULL REFERENCES remediation (id),
    at REAL NOT NULL,
    phase TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;
INSERT INTO "evidence" VALUES(1,7,1700000016.0,'after','{"healthy":true,"alive":true,"gone":false,"last_sample":1700000016.0,"why":"proven","end":1700000000.0,"now":1700000016.0,"rule":{"value":"false","why":"proven","newest":1700000016.0,"readings":[{"query":"sick > 0","answer":"7 series, 0 of this alert"},{"query":"count_over_time(sick{case=\"proven\", instance=\"h1:9100\", item=\"watched\"}[15s999ms]) >= 2","answer":"1 series"},{"query":"timestamp(sick{case=\"proven\", instance=\"h1:9100\", item=\"watched\"})","answer":"1 series"},{"query":"sick{case=\"proven\", instance=\"h1:9100\", item=\"watched\"} - 0","answer":"1 series, 1 of this alert: 0"},{"query":"timestamp(up{instance=~\"h1:9100\"})","answer":"1 series"}]}}');
CREATE TABLE lock (
    key TEXT PRIMARY KEY,
    remediation_id INTEGER NOT NULL REFERENCES remediation (id)
) STRICT, WITHOUT ROWID;
INSERT INTO "lock" VALUES('target/h1/item:doubtful',4);
INSERT INTO "lock" VALUES('target/h1/item:verified',8);
INSERT INTO "lock" VALUES('target/h1/item:stepwise',10);
INSERT INTO "lock" VALUES('target/h1/item:again',15);
INSERT INTO "lock" VALUES('target/h1/item:once',16);
CREATE TABLE move (
    a TEXT NOT NULL,
    b TEXT NOT NULL,
    PRIMARY KEY (a, b)
) STRICT, WITHOUT ROWID;
INSERT INTO "move" VALUES('held','cancelled');
INSERT INTO "move" VALUES('held','held');
INSERT INTO "move" VALUES('held','observed');
INSERT INTO "move" VALUES('held','running');
INSERT INTO "move" VALUES('held','skipped');
INSERT INTO "move" VALUES('pending','cancelled');
INSERT INTO "move" VALUES('pending','held');
INSERT INTO "move" VALUES('pending','observed');
INSERT INTO "move" VALUES('pending','running');
INSERT INTO "move" VALUES('pending','skipped');
INSERT INTO "move" VALUES('running','cancelled');
INSERT INTO "move" VALUES('running','failed');
INSERT INTO "move" VALUES('running','undoing');
INSERT INTO "move" VALUES('running','unknown');
INSERT INTO "move" VALUES('running','verifying');
INSERT INTO "move" VALUES('undoing','failed');
INSERT INTO "move" VALUES('undoing','undone');
INSERT INTO "move" VALUES('undoing','unknown');
INSERT INTO "move" VALUES('unknown','failed');
INSERT INTO "move" VALUES('unknown','running');
INSERT INTO "move" VALUES('unknown','verifying');
INSERT INTO "move" VALUES('verifying','ineffective');
INSERT INTO "move" VALUES('verifying','succeeded');
INSERT INTO "move" VALUES('verifying','undoing');
INSERT INTO "move" VALUES('verifying','unknown');
INSERT INTO "move" VALUES('verifying','watching');
INSERT INTO "move" VALUES('watching','ineffective');
INSERT INTO "move" VALUES('watching','succeeded');
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
INSERT INTO "occurrence" VALUES(1,'02535640e3fe1a7e','Sick','firing','{"alertname":"Sick","instance":"h1:9100","item":"resting","case":"cooling"}','{}','',1699999990.0,1700000000.0,1700000000.0,NULL,NULL,'succeeded','proof_not_asked',2);
INSERT INTO "occurrence" VALUES(2,'f70540b8d8a943a1','Sick','firing','{"alertname":"Sick","instance":"h1:9100","item":"failing","case":"failing"}','{}','',1699999990.0,1700000000.0,1700000000.0,NULL,NULL,'failed','step_failed',1);
INSERT INTO "occurrence" VALUES(3,'d45184fb0c17a162','Sick','firing','{"alertname":"Sick","instance":"h1:9100","item":"observed","case":"watching"}','{}','',1699999990.0,1700000000.0,1700000000.0,NULL,NULL,'observed','observe_mode',3);
INSERT INTO "occurrence" VALUES(4,'93a816b662c92259','Sick','firing','{"alertname":"Sick","instance":"h1:9100","item":"doubtful","case":"doubtful"}','{}','',1699999990.0,1700000000.0,1700000000.0,NULL,NULL,NULL,NULL,4);
INSERT INTO "occurrence" VALUES(5,'53d48cbdc4ba7652','Sick','firing','{"alertname":"Sick","instance":"h1:9100","item":"nobody","case":"unknown"}','{}','',1699999990.0,1700000000.0,1700000000.0,NULL,NULL,'no_playbook','no_playbook',NULL);
INSERT INTO "occurrence" VALUES(6,'351be58e1168678b','Sick','firing','{"alertname":"Sick","instance":"h1:9100","item":"replicated","case":"plain","replica":"a"}','{}','',1699999990.0,1700000000.0,1700000000.0,NULL,NULL,'succeeded','proof_not_asked',5);
INSERT INTO "occurrence" VALUES(7,'50778abf6b71de1e','Sick','firing','{"alertname":"Sick","instance":"h1:9100","item":"human","case":"plain"}','{"playbook":"none"}','',1699999990.0,1700000000.0,1700000000.0,NULL,NULL,'human_only','human_only',NULL);
INSERT INTO "occurrence" VALUES(8,'483956360931018c','Sick','firing','{"alertname":"Sick","instance":"h1:9100","item":"gone","case":"plain"}','{}','',1699999990.0,1700000000.0,1700000000.0,1700000000.0,'resolved','succeeded','proof_not_asked',6);
INSERT INTO "occurrence" VALUES(9,'','','malformed','{"text":"{}","problem":"there is no label alertname"}','{}','',1700000000.0,1700000000.0,1700000000.0,1700000000.0,'malformed','malformed','malformed',NULL);
INSERT INTO "occurrence" VALUES(10,'fba4233294a33039','Sick','firing','{"alertname":"Sick","instance":"h1:9100","item":"watched","case":"proven"}','{}','',1699999990.0,1700000000.0,1700000000.0,NULL,NULL,NULL,NULL,7);
INSERT INTO "occurrence" VALUES(11,'2e1f8914036c789b','Sick','firing','{"alertname":"Sick","instance":"h1:9100","item":"verified","case":"proven"}','{}','',1699999990.0,1700000016.0,1700000016.0,NULL,NULL,NULL,NULL,8);
INSERT INTO "occurrence" VALUES(12,'f271f3c2373b04f1','Sick','firing','{"alertname":"Sick","instance":"h1:9100","item":"resting","case":"cooling","part":"second"}','{}','',1699999990.0,1700000021.0,1700000021.0,NULL,NULL,NULL,NULL,9);
INSERT INTO "occurrence" VALUES(13,'21e6b3117387ae8f','Sick','firing','{"alertname":"Sick","instance":"h1:9100","item":"stepwise","case":"stepwise"}','{}','',1699999990.0,1700000021.0,1700000021.0,NULL,NULL,NULL,NULL,10);
INSERT INTO "occurrence" VALUES(14,'0e1a8896a74d557b','Sick','firing','{"alertname":"Sick","instance":"h1:9100","item":"paused","case":"plain"}','{}','',1699999990.0,1700000021.0,1700000021.0,NULL,NULL,NULL,NULL,13);
INSERT INTO "occurrence" VALUES(15,'655c08287a571311','Sick','firing','{"alertname":"Sick","instance":"h1:9100","item":"both","case":"plain","replica":"a"}','{}','',1699999990.0,1700000021.0,1700000021.0,NULL,NULL,NULL,NULL,11);
INSERT INTO "occurrence" VALUES(16,'656608287a5f6796','Sick','firing','{"alertname":"Sick","instance":"h1:9100","item":"both","case":"plain","replica":"b"}','{}','',1699999990.0,1700000021.0,1700000021.0,NULL,NULL,NULL,NULL,12);
INSERT INTO "occurrence" VALUES(17,'f1d1e0748a7f3bd8','Sick','firing','{"alertname":"Sick","instance":"h1:9100","item":"pending","case":"plain"}','{}','',1699999990.0,1700000021.0,1700000021.0,NULL,NULL,NULL,NULL,14);
INSERT INTO "occurrence" VALUES(18,'ca9a1299d126b869','Sick','firing','{"alertname":"Sick","instance":"h1:9100","item":"again","case":"again"}','{}','',1699999990.0,1700000021.0,1700000021.0,NULL,NULL,NULL,NULL,15);
INSERT INTO "occurrence" VALUES(19,'be7ae37ac16e20ee','Sick','firing','{"alertname":"Sick","instance":"h1:9100","item":"once","case":"plain"}','{}','',1699999990.0,1700000021.0,1700000021.0,NULL,NULL,NULL,NULL,16);
INSERT INTO "occurrence" VALUES(20,'7c3d65a7fe9d4fe1','Sick','firing','{"alertname":"Sick","instance":"h1:9100","item":"once","case":"plain","part":"second"}','{}','',1699999990.0,1700000021.0,1700000021.0,NULL,NULL,NULL,NULL,17);
INSERT INTO "occurrence" VALUES(21,'6f02bc25bdaf5ef2','Sick','firing','{"alertname":"Sick","instance":"h1:9100","item":"undecided","case":"plain"}','{}','',1699999990.0,1700000021.0,1700000021.0,NULL,NULL,NULL,NULL,NULL);
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
INSERT INTO "remediation" VALUES(1,2,'failing','h1/item:failing','target/h1/item:failing','auto','{"playbook":"failing","digest":"e346f7e5b4abbebbbc4af934846b11c5fbad4c720f0d1c75ddcba3a36eb051d8","mode":"auto","target":{"host":"h1","kind":"item","name":"failing"},"lock_key":"target/h1/item:failing","labels":{"alertname":"Sick","instance":"h1:9100","item":"failing","case":"failing"},"starts_at":1699999990.0,"fingerprint":"f70540b8d8a943a1","generator_url":"","limits":{"cooldown":0.0,"rate":[{"count":1000,"window":3600.0}],"lock":"target","hold_at_most":900.0,"attempts":1},"host_rates":[{"count":1000,"window":3600.0}],"steps":[{"action":"test.failing","version":1,"effect":"destructive","idempotent":false,"arguments":{"note":"failing"},"timeout":30.0,"always":false,"on_failure":"stop"}],"verify":null,"otherwise":[]}','failed','step_failed',NULL,NULL,1,NULL,1700000000.0,NULL,1700000000.0,NULL,1700000000.0,'{"rule":{"name":"Sick","group":"cases","expression":"sick > 0","labels":{},"interval":1.0,"for":0.0,"recorded":{}}}');
INSERT INTO "remediation" VALUES(2,1,'cooling','h1/item:resting','target/h1/item:resting','auto','{"playbook":"cooling","digest":"bc8b47013c5f54fb9dc66d938f0c654fa31293b6f7b0707f7d27740e5f532f3e","mode":"auto","target":{"host":"h1","kind":"item","name":"resting"},"lock_key":"target/h1/item:resting","labels":{"alertname":"Sick","instance":"h1:9100","item":"resting","case":"cooling"},"starts_at":1699999990.0,"fingerprint":"02535640e3fe1a7e","generator_url":"","limits":{"cooldown":600.0,"rate":[{"count":1000,"window":3600.0}],"lock":"target","hold_at_most":900.0,"attempts":3},"host_rates":[{"count":1000,"window":3600.0}],"steps":[{"action":"test.act","version":1,"effect":"destructive","idempotent":false,"arguments":{"note":"resting"},"timeout":30.0,"always":false,"on_failure":"stop"}],"verify":null,"otherwise":[]}','succeeded','proof_not_asked','not_asked',NULL,1,NULL,1700000000.0,NULL,1700000000.0,NULL,1700000000.0,'{"rule":{"name":"Sick","group":"cases","expression":"sick > 0","labels":{},"interval":1.0,"for":0.0,"recorded":{}}}');
INSERT INTO "remediation" VALUES(3,3,'watching','h1/item:observed','target/h1/item:observed','observe','{"playbook":"watching","digest":"5cca67c9cd1f3342578a27f1197ca408b45e4bf6aedbae3d074e22912f8ad3e1","mode":"observe","target":{"host":"h1","kind":"item","name":"observed"},"lock_key":"target/h1/item:observed","labels":{"alertname":"Sick","instance":"h1:9100","item":"observed","case":"watching"},"starts_at":1699999990.0,"fingerprint":"d45184fb0c17a162","generator_url":"","limits":{"cooldown":0.0,"rate":[{"count":1000,"window":3600.0}],"lock":"target","hold_at_most":900.0,"attempts":3},"host_rates":[{"count":1000,"window":3600.0}],"steps":[{"action":"test.act","version":1,"effect":"destructive","idempotent":false,"arguments":{"note":"observed"},"timeout":30.0,"always":false,"on_failure":"stop"}],"verify":null,"otherwise":[]}','observed','observe_mode',NULL,NULL,0,NULL,1700000000.0,NULL,NULL,NULL,1700000000.0,'{}');
INSERT INTO "remediation" VALUES(4,4,'doubtful','h1/item:doubtful','target/h1/item:doubtful','auto','{"playbook":"doubtful","digest":"a3346376ba068b7ee887e479e6b0a2e6b7224f8736746c4ba95c281b78e6c3bd","mode":"auto","target":{"host":"h1","kind":"item","name":"doubtful"},"lock_key":"target/h1/item:doubtful","labels":{"alertname":"Sick","instance":"h1:9100","item":"doubtful","case":"doubtful"},"starts_at":1699999990.0,"fingerprint":"93a816b662c92259","generator_url":"","limits":{"cooldown":0.0,"rate":[{"count":1000,"window":3600.0}],"lock":"target","hold_at_most":900.0,"attempts":3},"host_rates":[{"count":1000,"window":3600.0}],"steps":[{"action":"test.doubtful","version":1,"effect":"destructive","idempotent":false,"arguments":{"note":"doubtful"},"timeout":30.0,"always":false,"on_failure":"stop"}],"verify":null,"otherwise":[]}','unknown','outcome_unknown',NULL,NULL,0,NULL,1700000000.0,NULL,1700000000.0,NULL,NULL,'{"rule":{"name":"Sick","group":"cases","expression":"sick > 0","labels":{},"interval":1.0,"for":0.0,"recorded":{}}}');
INSERT INTO "remediation" VALUES(5,6,'plain','h1/item:replicated','target/h1/item:replicated','auto','{"playbook":"plain","digest":"36dc6133fae70c3e0fb8898d36f924053ab994c8c5953507ae2d8c0166d6e1cc","mode":"auto","target":{"host":"h1","kind":"item","name":"replicated"},"lock_key":"target/h1/item:replicated","labels":{"alertname":"Sick","instance":"h1:9100","item":"replicated","case":"plain","replica":"a"},"starts_at":1699999990.0,"fingerprint":"351be58e1168678b","generator_url":"","limits":{"cooldown":0.0,"rate":[{"count":1000,"window":3600.0}],"lock":"target","hold_at_most":900.0,"attempts":3},"host_rates":[{"count":1000,"window":3600.0}],"steps":[{"action":"test.act","version":1,"effect":"destructive","idempotent":false,"arguments":{"note":"replicated"},"timeout":30.0,"always":false,"on_failure":"stop"}],"verify":null,"otherwise":[]}','succeeded','proof_not_asked','not_asked',NULL,1,NULL,1700000000.0,NULL,1700000000.0,NULL,1700000000.0,'{"rule":{"name":"Sick","group":"cases","expression":"sick > 0","labels":{},"interval":1.0,"for":0.0,"recorded":{}}}');
INSERT INTO "remediation" VALUES(6,8,'plain','h1/item:gone','target/h1/item:gone','auto','{"playbook":"plain","digest":"36dc6133fae70c3e0fb8898d36f924053ab994c8c5953507ae2d8c0166d6e1cc","mode":"auto","target":{"host":"h1","kind":"item","name":"gone"},"lock_key":"target/h1/item:gone","labels":{"alertname":"Sick","instance":"h1:9100","item":"gone","case":"plain"},"starts_at":1699999990.0,"fingerprint":"483956360931018c","generator_url":"","limits":{"cooldown":0.0,"rate":[{"count":1000,"window":3600.0}],"lock":"target","hold_at_most":900.0,"attempts":3},"host_rates":[{"count":1000,"window":3600.0}],"steps":[{"action":"test.act","version":1,"effect":"destructive","idempotent":false,"arguments":{"note":"gone"},"timeout":30.0,"always":false,"on_failure":"stop"}],"verify":null,"otherwise":[]}','succeeded','proof_not_asked','not_asked',NULL,1,NULL,1700000000.0,NULL,1700000000.0,NULL,1700000000.0,'{"rule":{"name":"Sick","group":"cases","expression":"sick > 0","labels":{},"interval":1.0,"for":0.0,"recorded":{}}}');
INSERT INTO "remediation" VALUES(7,10,'proven','h1/item:watched','target/h1/item:watched','auto','{"playbook":"proven","digest":"ab4ab81495d4b668dbf67845c0dbbf0f8d5c95cb7a426b050f2604282f429c61","mode":"auto","target":{"host":"h1","kind":"item","name":"watched"},"lock_key":"target/h1/item:watched","labels":{"alertname":"Sick","instance":"h1:9100","item":"watched","case":"proven"},"starts_at":1699999990.0,"fingerprint":"fba4233294a33039","generator_url":"","limits":{"cooldown":0.0,"rate":[{"count":1000,"window":3600.0}],"lock":"target","hold_at_most":900.0,"attempts":3},"host_rates":[{"count":1000,"window":3600.0}],"steps":[{"action":"test.act","version":1,"effect":"destructive","idempotent":false,"arguments":{"note":"watched"},"timeout":30.0,"always":false,"on_failure":"stop"}],"verify":{"healthy_for":0.0,"within":600.0,"watch":600.0,"healthy":null,"alive":null},"otherwise":[]}','watching','proven','fixed',NULL,1,NULL,1700000000.0,NULL,1700000000.0,1700000016.0,NULL,'{"rule":{"name":"Sick","group":"cases","expression":"sick > 0","labels":{},"interval":1.0,"for":0.0,"recorded":{}},"baseline":{"at":1700000000.0,"labels":{"alertname":"Sick","instance":"h1:9100","item":"watched","case":"proven"},"rule":{"seen":{"sick{case=\"proven\", instance=\"h1:9100\", item=\"watched\"}":[{"case":"proven","instance":"h1:9100","item":"watched"}]},"too_many":[]}},"end":1700000000.0,"since_wall":1700000000.0,"looked_at":1700000016.0,"healthy_since":1700000016.0}');
INSERT INTO "remediation" VALUES(8,11,'proven','h1/item:verified','target/h1/item:verified','auto','{"playbook":"proven","digest":"ab4ab81495d4b668dbf67845c0dbbf0f8d5c95cb7a426b050f2604282f429c61","mode":"auto","target":{"host":"h1","kind":"item","name":"verified"},"lock_key":"target/h1/item:verified","labels":{"alertname":"Sick","instance":"h1:9100","item":"verified","case":"proven"},"starts_at":1699999990.0,"fingerprint":"2e1f8914036c789b","generator_url":"","limits":{"cooldown":0.0,"rate":[{"count":1000,"window":3600.0}],"lock":"target","hold_at_most":900.0,"attempts":3},"host_rates":[{"count":1000,"window":3600.0}],"steps":[{"action":"test.act","version":1,"effect":"destructive","idempotent":false,"arguments":{"note":"verified"},"timeout":30.0,"always":false,"on_failure":"stop"}],"verify":{"healthy_for":0.0,"within":600.0,"watch":600.0,"healthy":null,"alive":null},"otherwise":[]}','verifying','allowed',NULL,NULL,1,NULL,1700000016.0,NULL,1700000016.0,NULL,NULL,'{"rule":{"name":"Sick","group":"cases","expression":"sick > 0","labels":{},"interval":1.0,"for":0.0,"recorded":{}},"baseline":{"at":1700000016.0,"labels":{"alertname":"Sick","instance":"h1:9100","item":"verified","case":"proven"},"rule":{"seen":{"sick{case=\"proven\", instance=\"h1:9100\", item=\"verified\"}":[{"case":"proven","instance":"h1:9100","item":"verified"}]},"too_many":[]}},"end":1700000016.0,"since_wall":1700000016.0,"looked_at":1700000021.0,"healthy_since":null}');
INSERT INTO "remediation" VALUES(9,12,'cooling','h1/item:resting','target/h1/item:resting','auto','{"playbook":"cooling","digest":"bc8b47013c5f54fb9dc66d938f0c654fa31293b6f7b0707f7d27740e5f532f3e","mode":"auto","target":{"host":"h1","kind":"item","name":"resting"},"lock_key":"target/h1/item:resting","labels":{"alertname":"Sick","instance":"h1:9100","item":"resting","case":"cooling","part":"second"},"starts_at":1699999990.0,"fingerprint":"f271f3c2373b04f1","generator_url":"","limits":{"cooldown":600.0,"rate":[{"count":1000,"window":3600.0}],"lock":"target","hold_at_most":900.0,"attempts":3},"host_rates":[{"count":1000,"window":3600.0}],"steps":[{"action":"test.act","version":1,"effect":"destructive","idempotent":false,"arguments":{"note":"resting"},"timeout":30.0,"always":false,"on_failure":"stop"}],"verify":null,"otherwise":[]}','held','cooldown',NULL,NULL,0,1700000600.0,1700000021.0,1700000021.0,NULL,NULL,NULL,'{}');
INSERT INTO "remediation" VALUES(10,13,'stepwise','h1/item:stepwise','target/h1/item:stepwise','auto','{"playbook":"stepwise","digest":"9940f7c60dbf09e1c61523ab77066f0e93ba90f5cf5bcd984b965ae1a4ee711f","mode":"auto","target":{"host":"h1","kind":"item","name":"stepwise"},"lock_key":"target/h1/item:stepwise","labels":{"alertname":"Sick","instance":"h1:9100","item":"stepwise","case":"stepwise"},"starts_at":1699999990.0,"fingerprint":"21e6b3117387ae8f","generator_url":"","limits":{"cooldown":0.0,"rate":[{"count":1000,"window":3600.0}],"lock":"target","hold_at_most":900.0,"attempts":3},"host_rates":[{"count":1000,"window":3600.0}],"steps":[{"action":"test.act","version":1,"effect":"destructive","idempotent":false,"arguments":{"note":"stepwise"},"timeout":30.0,"always":false,"on_failure":"stop"},{"action":"test.act","version":1,"effect":"destructive","idempotent":false,"arguments":{"note":"stepwise"},"timeout":30.0,"always":false,"on_failure":"stop"}],"verify":null,"otherwise":[]}','running','allowed',NULL,NULL,1,1700000023.0,1700000021.0,NULL,1700000021.0,NULL,NULL,'{"rule":{"name":"Sick","group":"cases","expression":"sick > 0","labels":{},"interval":1.0,"for":0.0,"recorded":{}}}');
INSERT INTO "remediation" VALUES(11,15,'plain','h1/item:both','target/h1/item:both','auto','{"playbook":"plain","digest":"36dc6133fae70c3e0fb8898d36f924053ab994c8c5953507ae2d8c0166d6e1cc","mode":"auto","target":{"host":"h1","kind":"item","name":"both"},"lock_key":"target/h1/item:both","labels":{"alertname":"Sick","instance":"h1:9100","item":"both","case":"plain","replica":"a"},"starts_at":1699999990.0,"fingerprint":"655c08287a571311","generator_url":"","limits":{"cooldown":0.0,"rate":[{"count":1000,"window":3600.0}],"lock":"target","hold_at_most":900.0,"attempts":3},"host_rates":[{"count":1000,"window":3600.0}],"steps":[{"action":"test.act","version":1,"effect":"destructive","idempotent":false,"arguments":{"note":"both"},"timeout":30.0,"always":false,"on_failure":"stop"}],"verify":null,"otherwise":[]}','held','paused',NULL,NULL,0,1700000026.0,1700000021.0,1700000021.0,NULL,NULL,NULL,'{}');
INSERT INTO "remediation" VALUES(12,16,'plain','h1/item:both','target/h1/item:both','auto','{"playbook":"plain","digest":"36dc6133fae70c3e0fb8898d36f924053ab994c8c5953507ae2d8c0166d6e1cc","mode":"auto","target":{"host":"h1","kind":"item","name":"both"},"lock_key":"target/h1/item:both","labels":{"alertname":"Sick","instance":"h1:9100","item":"both","case":"plain","replica":"b"},"starts_at":1699999990.0,"fingerprint":"656608287a5f6796","generator_url":"","limits":{"cooldown":0.0,"rate":[{"count":1000,"window":3600.0}],"lock":"target","hold_at_most":900.0,"attempts":3},"host_rates":[{"count":1000,"window":3600.0}],"steps":[{"action":"test.act","version":1,"effect":"destructive","idempotent":false,"arguments":{"note":"both"},"timeout":30.0,"always":false,"on_failure":"stop"}],"verify":null,"otherwise":[]}','held','paused',NULL,NULL,0,1700000026.0,1700000021.0,1700000021.0,NULL,NULL,NULL,'{}');
INSERT INTO "remediation" VALUES(13,14,'plain','h1/item:paused','target/h1/item:paused','auto','{"playbook":"plain","digest":"36dc6133fae70c3e0fb8898d36f924053ab994c8c5953507ae2d8c0166d6e1cc","mode":"auto","target":{"host":"h1","kind":"item","name":"paused"},"lock_key":"target/h1/item:paused","labels":{"alertname":"Sick","instance":"h1:9100","item":"paused","case":"plain"},"starts_at":1699999990.0,"fingerprint":"0e1a8896a74d557b","generator_url":"","limits":{"cooldown":0.0,"rate":[{"count":1000,"window":3600.0}],"lock":"target","hold_at_most":900.0,"attempts":3},"host_rates":[{"count":1000,"window":3600.0}],"steps":[{"action":"test.act","version":1,"effect":"destructive","idempotent":false,"arguments":{"note":"paused"},"timeout":30.0,"always":false,"on_failure":"stop"}],"verify":null,"otherwise":[]}','held','paused',NULL,NULL,0,1700000026.0,1700000021.0,1700000021.0,NULL,NULL,NULL,'{}');
INSERT INTO "remediation" VALUES(14,17,'plain','h1/item:pending','target/h1/item:pending','auto','{"playbook":"plain","digest":"36dc6133fae70c3e0fb8898d36f924053ab994c8c5953507ae2d8c0166d6e1cc","mode":"auto","target":{"host":"h1","kind":"item","name":"pending"},"lock_key":"target/h1/item:pending","labels":{"alertname":"Sick","instance":"h1:9100","item":"pending","case":"plain"},"starts_at":1699999990.0,"fingerprint":"f1d1e0748a7f3bd8","generator_url":"","limits":{"cooldown":0.0,"rate":[{"count":1000,"window":3600.0}],"lock":"target","hold_at_most":900.0,"attempts":3},"host_rates":[{"count":1000,"window":3600.0}],"steps":[{"action":"test.act","version":1,"effect":"destructive","idempotent":false,"arguments":{"note":"pending"},"timeout":30.0,"always":false,"on_failure":"stop"}],"verify":null,"otherwise":[]}','pending',NULL,NULL,NULL,0,NULL,1700000021.0,NULL,NULL,NULL,NULL,'{}');
INSERT INTO "remediation" VALUES(15,18,'again','h1/item:again','target/h1/item:again','auto','{"playbook":"again","digest":"6c3cae935f085a3f8d2d64e6a3327adbef483408e70d402c05317b6310f8c99c","mode":"auto","target":{"host":"h1","kind":"item","name":"again"},"lock_key":"target/h1/item:again","labels":{"alertname":"Sick","instance":"h1:9100","item":"again","case":"again"},"starts_at":1699999990.0,"fingerprint":"ca9a1299d126b869","generator_url":"","limits":{"cooldown":0.0,"rate":[{"count":1000,"window":3600.0}],"lock":"target","hold_at_most":900.0,"attempts":3},"host_rates":[{"count":1000,"window":3600.0}],"steps":[{"action":"test.again","version":1,"effect":"destructive","idempotent":true,"arguments":{"note":"again"},"timeout":30.0,"always":false,"on_failure":"stop"}],"verify":null,"otherwise":[]}','running','allowed',NULL,NULL,0,NULL,1700000021.0,NULL,1700000021.0,NULL,NULL,'{"rule":{"name":"Sick","group":"cases","expression":"sick > 0","labels":{},"interval":1.0,"for":0.0,"recorded":{}}}');
INSERT INTO "remediation" VALUES(16,19,'plain','h1/item:once','target/h1/item:once','auto','{"playbook":"plain","digest":"36dc6133fae70c3e0fb8898d36f924053ab994c8c5953507ae2d8c0166d6e1cc","mode":"auto","target":{"host":"h1","kind":"item","name":"once"},"lock_key":"target/h1/item:once","labels":{"alertname":"Sick","instance":"h1:9100","item":"once","case":"plain"},"starts_at":1699999990.0,"fingerprint":"be7ae37ac16e20ee","generator_url":"","limits":{"cooldown":0.0,"rate":[{"count":1000,"window":3600.0}],"lock":"target","hold_at_most":900.0,"attempts":3},"host_rates":[{"count":1000,"window":3600.0}],"steps":[{"action":"test.act","version":1,"effect":"destructive","idempotent":false,"arguments":{"note":"once"},"timeout":30.0,"always":false,"on_failure":"stop"}],"verify":null,"otherwise":[]}','running','allowed',NULL,NULL,0,NULL,1700000021.0,NULL,1700000021.0,NULL,NULL,'{"rule":{"name":"Sick","group":"cases","expression":"sick > 0","labels":{},"interval":1.0,"for":0.0,"recorded":{}}}');
INSERT INTO "remediation" VALUES(17,20,'plain','h1/item:once','target/h1/item:once','auto','{"playbook":"plain","digest":"36dc6133fae70c3e0fb8898d36f924053ab994c8c5953507ae2d8c0166d6e1cc","mode":"auto","target":{"host":"h1","kind":"item","name":"once"},"lock_key":"target/h1/item:once","labels":{"alertname":"Sick","instance":"h1:9100","item":"once","case":"plain","part":"second"},"starts_at":1699999990.0,"fingerprint":"7c3d65a7fe9d4fe1","generator_url":"","limits":{"cooldown":0.0,"rate":[{"count":1000,"window":3600.0}],"lock":"target","hold_at_most":900.0,"attempts":3},"host_rates":[{"count":1000,"window":3600.0}],"steps":[{"action":"test.act","version":1,"effect":"destructive","idempotent":false,"arguments":{"note":"once"},"timeout":30.0,"always":false,"on_failure":"stop"}],"verify":null,"otherwise":[]}','held','locked',NULL,NULL,0,1700000051.0,1700000021.0,1700000021.0,NULL,NULL,NULL,'{}');
CREATE TABLE state (
    name TEXT PRIMARY KEY,
    live INTEGER NOT NULL,
    locked INTEGER NOT NULL,
    ended INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "state" VALUES('cancelled',0,0,1);
INSERT INTO "state" VALUES('failed',0,0,1);
INSERT INTO "state" VALUES('held',1,0,0);
INSERT INTO "state" VALUES('ineffective',0,0,1);
INSERT INTO "state" VALUES('observed',0,0,1);
INSERT INTO "state" VALUES('pending',1,0,0);
INSERT INTO "state" VALUES('running',1,1,0);
INSERT INTO "state" VALUES('skipped',0,0,1);
INSERT INTO "state" VALUES('succeeded',0,0,1);
INSERT INTO "state" VALUES('undoing',1,1,0);
INSERT INTO "state" VALUES('undone',0,0,1);
INSERT INTO "state" VALUES('unknown',1,1,0);
INSERT INTO "state" VALUES('verifying',1,1,0);
INSERT INTO "state" VALUES('watching',0,0,0);
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
INSERT INTO "step" VALUES(1,2,0,1,0,'test.act','destructive','h1/item:resting','done','{"items":[{"kind":"command","service":"test","verb":"resting"}],"detail":{}}','{"ok":true,"effects":[{"kind":"command","service":"test","verb":"resting"}],"detail":{}}',1700000000.0,1700000000.0);
INSERT INTO "step" VALUES(2,5,0,1,0,'test.act','destructive','h1/item:replicated','done','{"items":[{"kind":"command","service":"test","verb":"replicated"}],"detail":{}}','{"ok":true,"effects":[{"kind":"command","service":"test","verb":"replicated"}],"detail":{}}',1700000000.0,1700000000.0);
INSERT INTO "step" VALUES(3,4,0,1,0,'test.doubtful','destructive','h1/item:doubtful','unknown','{"items":[{"kind":"command","service":"test","verb":"doubtful"}],"detail":{}}','{"ok":false,"effects":[],"detail":{"error":"nobody knows"}}',1700000000.0,1700000000.0);
INSERT INTO "step" VALUES(4,1,0,1,0,'test.failing','destructive','h1/item:failing','failed','{"items":[{"kind":"command","service":"test","verb":"failing"}],"detail":{}}','{"ok":false,"effects":[],"detail":{"error":"it is broken"}}',1700000000.0,1700000000.0);
INSERT INTO "step" VALUES(5,6,0,1,0,'test.act','destructive','h1/item:gone','done','{"items":[{"kind":"command","service":"test","verb":"gone"}],"detail":{}}','{"ok":true,"effects":[{"kind":"command","service":"test","verb":"gone"}],"detail":{}}',1700000000.0,1700000000.0);
INSERT INTO "step" VALUES(6,7,0,1,0,'test.act','destructive','h1/item:watched','done','{"items":[{"kind":"command","service":"test","verb":"watched"}],"detail":{}}','{"ok":true,"effects":[{"kind":"command","service":"test","verb":"watched"}],"detail":{}}',1700000000.0,1700000000.0);
INSERT INTO "step" VALUES(7,8,0,1,0,'test.act','destructive','h1/item:verified','done','{"items":[{"kind":"command","service":"test","verb":"verified"}],"detail":{}}','{"ok":true,"effects":[{"kind":"command","service":"test","verb":"verified"}],"detail":{}}',1700000016.0,1700000016.0);
INSERT INTO "step" VALUES(8,10,0,1,0,'test.act','destructive','h1/item:stepwise','done','{"items":[{"kind":"command","service":"test","verb":"stepwise"}],"detail":{}}','{"ok":true,"effects":[{"kind":"command","service":"test","verb":"stepwise"}],"detail":{}}',1700000021.0,1700000021.0);
INSERT INTO "step" VALUES(9,16,0,1,0,'test.act','destructive','h1/item:once','intent','{"items":[{"kind":"command","service":"test","verb":"once"}],"detail":{}}',NULL,1700000021.0,NULL);
INSERT INTO "step" VALUES(10,15,0,1,0,'test.again','destructive','h1/item:again','intent','{"items":[{"kind":"command","service":"test","verb":"again"}],"detail":{}}',NULL,1700000021.0,NULL);
CREATE TABLE work (
    kind TEXT NOT NULL,
    id INTEGER NOT NULL,
    due REAL NOT NULL,
    priority INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
INSERT INTO "work" VALUES('announce',0,1700000000.0,0,1);
INSERT INTO "work" VALUES('occurrence',21,1700000021.0,0,93);
INSERT INTO "work" VALUES('reconcile',0,1700000030.0,0,5);
INSERT INTO "work" VALUES('remediation',7,1700000031.0,0,48);
INSERT INTO "work" VALUES('remediation',8,1700000026.0,0,55);
INSERT INTO "work" VALUES('remediation',9,1700000600.0,0,59);
INSERT INTO "work" VALUES('remediation',10,1700000023.0,0,65);
INSERT INTO "work" VALUES('remediation',11,1700000026.0,0,75);
INSERT INTO "work" VALUES('remediation',12,1700000026.0,0,76);
INSERT INTO "work" VALUES('remediation',13,1700000026.0,0,77);
INSERT INTO "work" VALUES('remediation',14,1700000021.0,0,82);
INSERT INTO "work" VALUES('remediation',15,1700000021.0,0,88);
INSERT INTO "work" VALUES('remediation',16,1700000021.0,0,87);
INSERT INTO "work" VALUES('remediation',17,1700000051.0,0,92);
INSERT INTO "work" VALUES('retention',0,1700003600.0,0,4);
CREATE UNIQUE INDEX occurrence_open ON occurrence (fingerprint) WHERE closed_at IS NULL;
CREATE INDEX occurrence_closed ON occurrence (closed_at) WHERE closed_at IS NOT NULL;
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
CREATE UNIQUE INDEX step_open ON step (remediation_id) WHERE state = 'intent';
CREATE INDEX step_effect ON step (target, intent_at) WHERE effect <> 'read_only' AND state <> 'skipped';
CREATE TRIGGER step_result_stays BEFORE UPDATE OF state ON step
WHEN OLD.state NOT IN ('intent', 'unknown') OR NEW.state = 'intent'
BEGIN
    SELECT RAISE(ABORT, 'a result is stored once');
END;
CREATE INDEX decision_remediation ON decision (remediation_id);
CREATE INDEX evidence_remediation ON evidence (remediation_id);
CREATE INDEX lock_remediation ON lock (remediation_id);
CREATE INDEX event_remediation ON event (remediation_id) WHERE remediation_id IS NOT NULL;
CREATE INDEX event_occurrence ON event (occurrence_id) WHERE occurrence_id IS NOT NULL;
CREATE TRIGGER event_stays BEFORE UPDATE ON event
BEGIN
    SELECT RAISE(ABORT, 'history is never rewritten');
END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('occurrence',21);
INSERT INTO "sqlite_sequence" VALUES('remediation',17);
INSERT INTO "sqlite_sequence" VALUES('event',70);
INSERT INTO "sqlite_sequence" VALUES('step',10);
COMMIT;
