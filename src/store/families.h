/*
 * families.h - what the table families of this folder contribute to the store, and all of them at once.
 *
 * Private to src/store. Schema steps run in the order of schema.c's list, RAM
 * states are called in the order of its other list; db.h tells when each of
 * their hooks is.
 */
#pragma once

#include "store/db.h"

extern const struct schema_step tenant_step;
extern const struct schema_step cohort_step;
extern const struct schema_step message_step;
extern const struct schema_step member_step;
extern const struct schema_step log_step;
extern const struct schema_step outcome_step;
extern const struct schema_step suppression_step;
extern const struct schema_step parked_step;
extern const struct schema_step client_key_step;
extern const struct schema_step token_step;
extern const struct schema_step audit_step;
extern const struct schema_step idempotency_step;
extern const struct schema_step task_step;
extern const struct schema_step source_step;
extern const struct schema_step coverage_step;
extern const struct schema_step source_log_step;
extern const struct schema_step hook_token_step;
extern const struct schema_step inbox_step;
extern const struct schema_step inbox_jobs_step;
extern const struct schema_step event_step;
extern const struct schema_step inbox_events_step;
extern const struct schema_step move_step;
extern const struct schema_step job_step;
extern const struct schema_step ready_step;
extern const struct schema_step lease_step;
extern const struct schema_step aside_step;
extern const struct schema_step uniq_step;
extern const struct schema_step queue_step;
extern const struct schema_step done_step, done_keys_step;
extern const struct schema_step node_step;
extern const struct schema_step touch_step;
extern const struct schema_step link_step;
extern const struct schema_step click_step;
extern const struct schema_step message_member_step, message_of_member_step;
extern const struct schema_step secret_step;
extern const struct schema_step batch_step;
extern const struct schema_step work_step;
extern const struct schema_step progress_step;
extern const struct schema_step schedule_step;
extern const struct schema_step run_part_step;
extern const struct schema_step job_log_step;
extern const struct schema_step source_delta_step;

extern const struct family tenant_family;
extern const struct family cohort_family;
extern const struct family member_family;
extern const struct family history_family;
extern const struct family touch_family;
extern const struct family link_family;
extern const struct family outcome_family;
extern const struct family suppression_family;
extern const struct family parked_family;
extern const struct family client_key_family;
extern const struct family click_family;
extern const struct family visitor_family;

/* Before COMMIT; after it, or after a rollback; behind each command. */
enum err families_flush(struct op *op, struct tx *tx);
void families_end(struct store *store, bool kept);
enum err families_trim(struct op *op, struct tx *tx);

/* Others have written since: what RAM says may be old. What it was built on is gone: all is read again, as at a start.
 */
enum err families_foreign(struct op *op, struct tx *tx);
enum err families_anew(struct op *op, struct tx *tx);

/* In the begin of a turn: they send what they will ask when others have written. */
enum err families_ask(struct op *op, struct tx *tx);
