/*
 * source_task.h - what is done at a provider after a change here, as durable tasks (store_task.h).
 *
 *     suppression.release   take an address off the provider's own list (SRC-26)
 *     sns.confirm           fetch the address that confirms a subscription of ours (SRC-29)
 *
 * A task is written in the transaction of its cause and run by
 * relay/task_runner.c, which must bear to run it twice.
 */
#pragma once

#include "engine/provider_event.h"
#include "store/store_source.h"
#include "store/store_task.h"

#define TASK_RELEASE "suppression.release"
#define TASK_CONFIRM "sns.confirm"

/* Adds the confirmation of a topic: `url` was checked to be one of SNS (HOOK_CONFIRM). */
enum err source_task_confirm(struct op *op, struct tx *tx, struct str source_id, struct str url);

/* What a task asks for, from its payload. Texts in the op's arena. */
struct source_task {
    bool is_release;
    uint32_t tenant_no; /* release */
    struct str source;  /* id; not given: every source of the tenant */
    struct str address;
    struct str reason; /* "bounce", "complaint", "unsubscribe" */
    struct str url;    /* confirm */
};

/* ERR_MALFORMED for a task of another kind or with a payload that is none. */
enum err source_task_read(struct op *op, const struct task *task, struct source_task *ret);

/* The requests of a release: sources of the tenant that have an account at Mailgun, at most max, in the op's arena. */
enum err source_task_accounts(struct op *op, struct tx *tx, const struct source_task *task, size_t max,
                              struct source_row **ret, size_t *ret_count);
