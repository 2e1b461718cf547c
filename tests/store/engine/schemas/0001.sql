BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE allowance (
	bot_id BIGINT NOT NULL, 
	user_id BIGINT NOT NULL, 
	span TEXT NOT NULL, 
	began BIGINT NOT NULL, 
	number INTEGER NOT NULL, 
	CONSTRAINT pk_allowance PRIMARY KEY (bot_id, user_id, span), 
	CONSTRAINT ck_allowance_span CHECK (span IN ('minute', 'day'))
);
CREATE TABLE allowed (
	bot_id BIGINT NOT NULL, 
	chat_id BIGINT NOT NULL, 
	role TEXT NOT NULL, 
	name TEXT, 
	allowed_by BIGINT NOT NULL, 
	since FLOAT NOT NULL, 
	CONSTRAINT pk_allowed PRIMARY KEY (bot_id, chat_id), 
	CONSTRAINT ck_allowed_group_is_negative CHECK ((role = 'group') = (chat_id < 0)), 
	CONSTRAINT ck_allowed_role CHECK (role IN ('owner', 'user', 'group'))
);
CREATE TABLE audit (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	at FLOAT NOT NULL, 
	role TEXT NOT NULL, 
	action TEXT NOT NULL, 
	row_id INTEGER NOT NULL, 
	chat_id BIGINT
);
CREATE TABLE chat_lease (
	bot_id BIGINT NOT NULL, 
	chat_id BIGINT NOT NULL, 
	instance_id INTEGER NOT NULL, 
	CONSTRAINT pk_chat_lease PRIMARY KEY (bot_id, chat_id), 
	CONSTRAINT fk_chat_lease_instance_id FOREIGN KEY(instance_id) REFERENCES instance (id)
);
CREATE TABLE disorder (
	bot_id BIGINT NOT NULL, 
	box BIGINT NOT NULL, 
	CONSTRAINT pk_disorder PRIMARY KEY (bot_id, box)
);
CREATE TABLE file (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	pending_id INTEGER NOT NULL, 
	CONSTRAINT fk_file_pending_id FOREIGN KEY(pending_id) REFERENCES pending (id)
);
CREATE TABLE file_piece (
	file_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	content BLOB NOT NULL, 
	CONSTRAINT pk_file_piece PRIMARY KEY (file_id, number), 
	CONSTRAINT fk_file_piece_file_id FOREIGN KEY(file_id) REFERENCES file (id)
);
CREATE TABLE guard (
	session_key TEXT NOT NULL, 
	turn_id INTEGER NOT NULL, 
	instance_id INTEGER NOT NULL, 
	since FLOAT NOT NULL, 
	CONSTRAINT pk_guard PRIMARY KEY (session_key), 
	CONSTRAINT fk_guard_instance_id FOREIGN KEY(instance_id) REFERENCES instance (id), 
	CONSTRAINT fk_guard_turn_id FOREIGN KEY(turn_id) REFERENCES turn (id), 
	CONSTRAINT uq_guard_turn_id UNIQUE (turn_id)
);
INSERT INTO "guard" VALUES('42:4',4,2,1.79586232621399927134e+09);
INSERT INTO "guard" VALUES('42:6',5,2,1.79586232621815633774e+09);
CREATE TABLE history (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	session_key TEXT NOT NULL, 
	pending_id INTEGER NOT NULL, 
	turn_id INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	target_id INTEGER, 
	content TEXT NOT NULL, 
	at FLOAT NOT NULL, 
	CONSTRAINT ck_history_undo_has_a_target CHECK ((kind = 'undo') = (target_id IS NOT NULL)), 
	CONSTRAINT ck_history_kind CHECK (kind IN ('step', 'partial', 'fresh', 'undo', 'summary', 'memory')), 
	CONSTRAINT fk_history_pending_id FOREIGN KEY(pending_id) REFERENCES pending (id), 
	CONSTRAINT fk_history_target_id FOREIGN KEY(target_id) REFERENCES pending (id)
);
INSERT INTO "history" VALUES(1,'42:2',2,2,'step',NULL,'{"said": "answered"}',1.7958623262062070369e+09);
CREATE TABLE instance (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	pid INTEGER NOT NULL, 
	started_at FLOAT NOT NULL, 
	stopping_at FLOAT, 
	host TEXT NOT NULL, 
	revision TEXT NOT NULL, 
	lease_until FLOAT NOT NULL
);
INSERT INTO "instance" VALUES(1,12573,1.79586232618679833409e+09,NULL,'','0001',0.0);
INSERT INTO "instance" VALUES(2,12573,1.79586232619896721835e+09,NULL,'','0001',1.00179586232619897458e+12);
CREATE TABLE ledger (
	pending_id INTEGER NOT NULL, 
	call_id TEXT NOT NULL, 
	tool TEXT NOT NULL, 
	state TEXT NOT NULL, 
	starts INTEGER NOT NULL, 
	result TEXT, 
	at FLOAT NOT NULL, 
	CONSTRAINT pk_ledger PRIMARY KEY (pending_id, call_id), 
	CONSTRAINT ck_ledger_done_has_a_result CHECK ((state = 'done') = (result IS NOT NULL)), 
	CONSTRAINT ck_ledger_state CHECK (state IN ('started', 'done')), 
	CONSTRAINT fk_ledger_pending_id FOREIGN KEY(pending_id) REFERENCES pending (id)
);
CREATE TABLE outbox (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	bot_id BIGINT NOT NULL, 
	pending_id INTEGER NOT NULL, 
	part INTEGER NOT NULL, 
	first_id INTEGER, 
	kind TEXT DEFAULT 'text' NOT NULL, 
	state TEXT NOT NULL, 
	chat_id BIGINT NOT NULL, 
	box BIGINT NOT NULL, 
	topic_id BIGINT, 
	reply_to BIGINT, 
	silent BOOLEAN DEFAULT '0' NOT NULL, 
	message_id BIGINT, 
	text TEXT, 
	entities TEXT, 
	buttons TEXT, 
	file_name TEXT, 
	file_id INTEGER, 
	album INTEGER, 
	ready_at FLOAT, 
	floor BIGINT, 
	ceiling BIGINT, 
	sent_text TEXT, 
	duplicate BOOLEAN DEFAULT '0' NOT NULL, 
	reaction_due BOOLEAN DEFAULT '0' NOT NULL, 
	tries INTEGER DEFAULT '0' NOT NULL, 
	uncertain_until FLOAT, 
	error TEXT, 
	CONSTRAINT ck_outbox_parked_for_a_reason CHECK ((state = 'parked') = (error IS NOT NULL)), 
	CONSTRAINT ck_outbox_floor_while_sending CHECK ((state IN ('sending', 'unknown')) = (floor IS NOT NULL)), 
	CONSTRAINT ck_outbox_ceiling_while_unknown CHECK (ceiling IS NULL OR state = 'unknown'), 
	CONSTRAINT ck_outbox_has_content CHECK (coalesce(text, '') != '' OR file_id IS NOT NULL OR state = 'sent'), 
	CONSTRAINT ck_outbox_surplus_is_shown CHECK (kind != 'surplus' OR message_id IS NOT NULL OR state IN ('sending', 'unknown')), 
	CONSTRAINT ck_outbox_kind CHECK (kind IN ('text', 'rich', 'reply', 'notice', 'card', 'ping', 'photo', 'document', 'voice', 'surplus')), 
	CONSTRAINT ck_outbox_state CHECK (state IN ('ready', 'sending', 'unknown', 'growing', 'sent', 'parked')), 
	CONSTRAINT ck_outbox_shown_in_a_message CHECK (state NOT IN ('growing', 'sent') OR message_id IS NOT NULL), 
	CONSTRAINT ck_outbox_final CHECK (state NOT IN ('ready', 'sent') OR ready_at IS NOT NULL), 
	CONSTRAINT ck_outbox_sending_is_not_shown CHECK (state NOT IN ('sending', 'unknown') OR message_id IS NULL), 
	CONSTRAINT ck_outbox_part_0_is_first CHECK ((part = 0) = (first_id IS NULL)), 
	CONSTRAINT fk_outbox_pending_id FOREIGN KEY(pending_id) REFERENCES pending (id), 
	CONSTRAINT uq_outbox_pending_id_part UNIQUE (pending_id, part)
);
INSERT INTO "outbox" VALUES(1,42,1,0,NULL,'text','sending',1,0,NULL,NULL,0,NULL,'I was interrupted each time I worked on this, so I gave it up.',NULL,'{"inline_keyboard": [[{"text": "Try again", "callback_data": "retry:1"}, {"text": "Forget", "callback_data": "forget:1"}]]}',NULL,NULL,NULL,1.79586232620069742201e+09,1000,NULL,NULL,0,0,0,NULL,NULL);
INSERT INTO "outbox" VALUES(2,42,2,0,NULL,'text','sent',2,0,NULL,NULL,0,1002,'re: answered',NULL,NULL,NULL,NULL,NULL,1.79586232620738553995e+09,NULL,NULL,NULL,0,0,0,NULL,NULL);
INSERT INTO "outbox" VALUES(3,42,3,0,NULL,'text','sending',3,0,NULL,NULL,0,NULL,'re: unsent',NULL,NULL,NULL,NULL,NULL,1.79586232621308255195e+09,1003,NULL,NULL,0,0,0,NULL,NULL);
INSERT INTO "outbox" VALUES(4,42,6,0,NULL,'reply','sending',4,0,NULL,NULL,0,NULL,'Stopped. On hold, not run until you say so:
1. “on hold”
Run them with /resume, forget them with /drop.',NULL,'{"inline_keyboard": [[{"text": "Run them", "callback_data": "resume:6"}, {"text": "Drop them", "callback_data": "drop:6"}]]}',NULL,NULL,NULL,1.79586232621663403506e+09,1006,NULL,NULL,0,0,0,NULL,NULL);
CREATE TABLE overheard (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	bot_id BIGINT NOT NULL, 
	update_id BIGINT NOT NULL, 
	chat_id BIGINT NOT NULL, 
	topic_id BIGINT NOT NULL, 
	line TEXT NOT NULL, 
	CONSTRAINT uq_overheard_bot_id_update_id UNIQUE (bot_id, update_id)
);
CREATE TABLE pairing (
	bot_id BIGINT NOT NULL, 
	code_hash TEXT NOT NULL, 
	expires_at FLOAT NOT NULL, 
	CONSTRAINT pk_pairing PRIMARY KEY (bot_id)
);
CREATE TABLE pending (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	bot_id BIGINT NOT NULL, 
	update_id BIGINT NOT NULL, 
	kind TEXT NOT NULL, 
	state TEXT NOT NULL, 
	session_key TEXT, 
	chat_id BIGINT, 
	box BIGINT, 
	topic_id BIGINT, 
	user_id BIGINT, 
	message_id BIGINT, 
	attempt INTEGER DEFAULT '0' NOT NULL, 
	crashes INTEGER DEFAULT '0' NOT NULL, 
	not_before FLOAT, 
	place INTEGER DEFAULT '0' NOT NULL, 
	held_by INTEGER, 
	join_key TEXT, 
	lead_id INTEGER, 
	error_id TEXT, 
	received_at FLOAT NOT NULL, 
	ended_at FLOAT, 
	raw TEXT NOT NULL, 
	CONSTRAINT ck_pending_held_by_a_stop CHECK ((state = 'held') = (held_by IS NOT NULL)), 
	CONSTRAINT ck_pending_joined_to_a_lead CHECK ((state = 'joined') = (lead_id IS NOT NULL)), 
	CONSTRAINT ck_pending_ended CHECK ((state IN ('queued', 'claimed', 'asking', 'held')) = (ended_at IS NULL)), 
	CONSTRAINT ck_pending_message_has_session CHECK (kind != 'message' OR session_key IS NOT NULL), 
	CONSTRAINT ck_pending_only_messages_wait CHECK (kind = 'message' OR state IN ('done', 'dead', 'dropped')), 
	CONSTRAINT ck_pending_kind CHECK (kind IN ('message', 'control', 'unreadable')), 
	CONSTRAINT ck_pending_state CHECK (state IN ('queued', 'claimed', 'asking', 'held', 'joined', 'done', 'failed', 'stopped', 'dead', 'dropped')), 
	CONSTRAINT ck_pending_claim_counts CHECK (state NOT IN ('claimed', 'asking') OR attempt > 0), 
	CONSTRAINT fk_pending_held_by FOREIGN KEY(held_by) REFERENCES pending (id), 
	CONSTRAINT fk_pending_lead_id FOREIGN KEY(lead_id) REFERENCES pending (id), 
	CONSTRAINT uq_pending_bot_id_update_id UNIQUE (bot_id, update_id)
);
INSERT INTO "pending" VALUES(1,42,1000,'message','dead','42:1',1,0,NULL,1,1000,1,1,NULL,0,NULL,NULL,NULL,NULL,1.79586232619157838818e+09,1.79586232620008349417e+09,'{"update_id":1000,"message":{"message_id":1000,"date":1,"chat":{"id":1,"type":"private"},"from":{"id":1,"is_bot":false,"first_name":"Ann"},"text":"poison"}}');
INSERT INTO "pending" VALUES(2,42,1001,'message','done','42:2',2,0,NULL,2,1001,1,0,NULL,0,NULL,NULL,NULL,NULL,1.79586232620504474642e+09,1.7958623262070019245e+09,'{"update_id":1001,"message":{"message_id":1001,"date":1,"chat":{"id":2,"type":"private"},"from":{"id":2,"is_bot":false,"first_name":"Ann"},"text":"answered"}}');
INSERT INTO "pending" VALUES(3,42,1003,'message','done','42:3',3,0,NULL,3,1003,1,0,NULL,0,NULL,NULL,NULL,NULL,1.79586232621237659452e+09,1.79586232621303868296e+09,'{"update_id":1003,"message":{"message_id":1003,"date":1,"chat":{"id":3,"type":"private"},"from":{"id":3,"is_bot":false,"first_name":"Ann"},"text":"unsent"}}');
INSERT INTO "pending" VALUES(4,42,1004,'message','stopped','42:4',4,0,NULL,4,1004,1,0,NULL,0,NULL,NULL,NULL,NULL,1795862326.21385,1.79586232621548509596e+09,'{"update_id":1004,"message":{"message_id":1004,"date":1,"chat":{"id":4,"type":"private"},"from":{"id":4,"is_bot":false,"first_name":"Ann"},"text":"stopped"}}');
INSERT INTO "pending" VALUES(5,42,1005,'message','held','42:4',4,0,NULL,4,1005,0,0,NULL,0,6,NULL,NULL,NULL,1795862326.21385,NULL,'{"update_id":1005,"message":{"message_id":1005,"date":1,"chat":{"id":4,"type":"private"},"from":{"id":4,"is_bot":false,"first_name":"Ann"},"text":"on hold"}}');
INSERT INTO "pending" VALUES(6,42,1006,'control','done','42:4',4,0,NULL,4,1006,0,0,NULL,0,NULL,NULL,NULL,NULL,1.79586232621543931964e+09,1.79586232621543931964e+09,'{"update_id":1006,"message":{"message_id":1006,"date":1,"chat":{"id":4,"type":"private"},"from":{"id":4,"is_bot":false,"first_name":"Ann"},"text":"/stop"}}');
INSERT INTO "pending" VALUES(7,42,1,'unreadable','dead',NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL,NULL,NULL,1.79586232621735548973e+09,1.79586232621735548973e+09,'{"update_id":1,"message":"cannot be read"}');
INSERT INTO "pending" VALUES(8,42,1007,'message','claimed','42:6',6,0,NULL,6,1007,1,0,NULL,0,NULL,NULL,NULL,NULL,1.79586232621800971033e+09,NULL,'{"update_id":1007,"message":{"message_id":1007,"date":1,"chat":{"id":6,"type":"private"},"from":{"id":6,"is_bot":false,"first_name":"Ann"},"text":"interrupted"}}');
INSERT INTO "pending" VALUES(9,42,1008,'message','queued','42:6',6,0,NULL,6,1008,0,0,NULL,0,NULL,NULL,NULL,NULL,1.79586232621800971033e+09,NULL,'{"update_id":1008,"message":{"message_id":1008,"date":1,"chat":{"id":6,"type":"private"},"from":{"id":6,"is_bot":false,"first_name":"Ann"},"text":"waiting"}}');
CREATE TABLE question (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	pending_id INTEGER NOT NULL, 
	part INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	choices TEXT NOT NULL, 
	answer TEXT, 
	answered_by BIGINT, 
	CONSTRAINT ck_question_answered_by_someone CHECK (answered_by IS NULL OR answer IS NOT NULL), 
	CONSTRAINT fk_question_pending_id FOREIGN KEY(pending_id) REFERENCES pending (id), 
	CONSTRAINT uq_question_pending_id_key UNIQUE (pending_id, "key")
);
CREATE TABLE role (
	name TEXT NOT NULL, 
	instance_id INTEGER NOT NULL, 
	CONSTRAINT pk_role PRIMARY KEY (name), 
	CONSTRAINT fk_role_instance_id FOREIGN KEY(instance_id) REFERENCES instance (id)
);
CREATE TABLE second_look (
	id INTEGER NOT NULL, 
	bot_id BIGINT NOT NULL, 
	pending_id INTEGER NOT NULL, 
	chat_id BIGINT NOT NULL, 
	floor BIGINT NOT NULL, 
	text TEXT NOT NULL, 
	due_at FLOAT NOT NULL, 
	CONSTRAINT pk_second_look PRIMARY KEY (id), 
	CONSTRAINT fk_second_look_pending_id FOREIGN KEY(pending_id) REFERENCES pending (id)
);
CREATE TABLE session_value (
	session_key TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	updated_at FLOAT NOT NULL, 
	CONSTRAINT pk_session_value PRIMARY KEY (session_key, kind, name)
);
INSERT INTO "session_value" VALUES('42','setting','may_talk','{"everyone": true, "ids": []}',1.79586232619738578797e+09);
CREATE TABLE stranger (
	bot_id BIGINT NOT NULL, 
	user_id BIGINT NOT NULL, 
	replied_at FLOAT NOT NULL, 
	state TEXT DEFAULT 'replied' NOT NULL, 
	name TEXT, 
	wrong_codes INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_stranger PRIMARY KEY (bot_id, user_id), 
	CONSTRAINT ck_stranger_state CHECK (state IN ('replied', 'asked', 'denied'))
);
CREATE TABLE turn (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	pending_id INTEGER NOT NULL, 
	instance_id INTEGER NOT NULL, 
	started_at FLOAT NOT NULL, 
	CONSTRAINT fk_turn_instance_id FOREIGN KEY(instance_id) REFERENCES instance (id), 
	CONSTRAINT fk_turn_pending_id FOREIGN KEY(pending_id) REFERENCES pending (id)
);
INSERT INTO "turn" VALUES(1,1,1,1.79586232619283485412e+09);
INSERT INTO "turn" VALUES(2,2,2,1.79586232620520710946e+09);
INSERT INTO "turn" VALUES(3,3,2,1.79586232621244955062e+09);
INSERT INTO "turn" VALUES(4,4,2,1.79586232621394348146e+09);
INSERT INTO "turn" VALUES(5,8,2,1.79586232621810197836e+09);
CREATE TABLE usage (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	bot_id BIGINT NOT NULL, 
	session_key TEXT NOT NULL, 
	chat_id BIGINT NOT NULL, 
	user_id BIGINT NOT NULL, 
	pending_id INTEGER NOT NULL, 
	turn_id INTEGER NOT NULL, 
	model TEXT NOT NULL, 
	state TEXT NOT NULL, 
	input_tokens INTEGER NOT NULL, 
	output_tokens INTEGER NOT NULL, 
	nano_dollars BIGINT, 
	at FLOAT NOT NULL, 
	CONSTRAINT ck_usage_state CHECK (state IN ('reserved', 'settled')), 
	CONSTRAINT ck_usage_no_less_than_nothing CHECK (input_tokens >= 0 AND output_tokens >= 0), 
	CONSTRAINT ck_usage_unknown_is_not_0 CHECK (nano_dollars > 0)
);
CREATE INDEX ix_audit_at ON audit (at);
CREATE INDEX ix_overheard_place ON overheard (bot_id, chat_id, topic_id, id);
CREATE INDEX ix_pending_asking ON pending (session_key) WHERE state = 'asking';
CREATE INDEX ix_pending_box ON pending (bot_id, box, message_id, chat_id, lead_id);
CREATE INDEX ix_pending_dead ON pending (id) WHERE state = 'dead';
CREATE INDEX ix_pending_held ON pending (session_key, id) WHERE state = 'held';
CREATE INDEX ix_pending_holds ON pending (held_by) WHERE held_by IS NOT NULL;
CREATE INDEX ix_pending_joinable ON pending (session_key, join_key) WHERE join_key IS NOT NULL AND state IN ('queued', 'held');
CREATE INDEX ix_pending_joined ON pending (lead_id) WHERE lead_id IS NOT NULL;
CREATE INDEX ix_pending_queued ON pending (session_key, place, id) WHERE state = 'queued';
CREATE INDEX ix_pending_timed ON pending (not_before) WHERE state = 'queued' AND not_before IS NOT NULL;
CREATE INDEX ix_stranger_asked ON stranger (bot_id, state) WHERE state = 'asked';
CREATE INDEX ix_stranger_replied ON stranger (bot_id, replied_at);
CREATE INDEX ix_usage_chat ON usage (bot_id, chat_id, at, input_tokens, output_tokens, nano_dollars, state);
CREATE INDEX ix_usage_row ON usage (pending_id);
CREATE INDEX ix_usage_session ON usage (session_key, at, input_tokens, output_tokens, nano_dollars, state);
CREATE INDEX ix_usage_user ON usage (bot_id, user_id, at, input_tokens, output_tokens, nano_dollars, state);
CREATE INDEX ix_chat_lease_instance ON chat_lease (instance_id);
CREATE INDEX ix_history_boundary ON history (session_key, kind, id) WHERE kind IN ('fresh', 'summary');
CREATE INDEX ix_history_row ON history (pending_id, id);
CREATE INDEX ix_history_session ON history (session_key, id);
CREATE INDEX ix_history_undo ON history (target_id) WHERE target_id IS NOT NULL;
CREATE INDEX ix_outbox_box ON outbox (bot_id, box, message_id, chat_id, pending_id);
CREATE INDEX ix_outbox_card ON outbox (pending_id) WHERE kind = 'card';
CREATE INDEX ix_outbox_file ON outbox (file_id) WHERE file_id IS NOT NULL;
CREATE UNIQUE INDEX ix_outbox_in_flight ON outbox (bot_id, chat_id) WHERE state IN ('sending', 'unknown');
CREATE INDEX ix_outbox_parked ON outbox (id) WHERE state = 'parked';
CREATE INDEX ix_outbox_reaction ON outbox (id) WHERE reaction_due;
CREATE INDEX ix_outbox_uncertain ON outbox (uncertain_until) WHERE uncertain_until IS NOT NULL;
CREATE INDEX ix_outbox_unsent ON outbox (bot_id, chat_id, id) WHERE state IN ('ready', 'sending', 'unknown');
CREATE INDEX ix_second_look_due ON second_look (bot_id, due_at);
CREATE INDEX ix_turn_row ON turn (pending_id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('instance',2);
INSERT INTO "sqlite_sequence" VALUES('pending',9);
INSERT INTO "sqlite_sequence" VALUES('turn',5);
INSERT INTO "sqlite_sequence" VALUES('outbox',4);
INSERT INTO "sqlite_sequence" VALUES('history',1);
COMMIT;
