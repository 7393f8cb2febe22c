/*
 * store_task.h - small things to do after a change, durable until done.
 *
 * A task is written in the transaction of its cause ("clear this address at
 * the provider"), so it can neither be forgotten nor done for a change that
 * never was. Taking a task only postpones it by the lease: if its runner dies,
 * it comes again. Whoever runs it must therefore bear to run it twice.
 */
#pragma once

#include "store/tx.h"

#define TASK_TAKE_MAX          100
#define TASK_ERROR_BYTES_MAX   500 /* longer ones are cut */
#define TASK_PAYLOAD_BYTES_MAX (64 * 1024)

struct task {
    uint64_t no;
    struct str kind;    /* "provider.unsuppress" */
    struct str payload; /* JSON text */
    int64_t due_at_ms;
    int64_t created_at_ms;
    int attempts; /* times it was taken, this one included */
    struct str last_error;
};

/* Adds a task; ERR_TOO_LARGE for a payload above TASK_PAYLOAD_BYTES_MAX. */
enum err store_task_add(struct op *op, struct tx *tx, struct str kind, struct str payload, int64_t due_at_ms,
                        uint64_t *ret_no);

/* Takes at most max (up to TASK_TAKE_MAX) tasks due at now_ms, oldest first; each comes again at now_ms + lease_ms
 * unless it is done or put off before. Texts lie in the op's arena. */
enum err store_task_take(struct op *op, struct tx *tx, int64_t now_ms, int64_t lease_ms, int max,
                         struct task **ret_tasks, int *ret_count);

/* Done: the task is gone. Unknown numbers are no error. */
enum err store_task_done(struct op *op, struct tx *tx, uint64_t no);

/* Failed: again at due_at_ms, with the reason kept for operators. */
enum err store_task_retry(struct op *op, struct tx *tx, uint64_t no, int64_t due_at_ms, struct str error);

/* Instant the next task is due, INT64_MAX without any; and how many there are. */
enum err store_task_next(struct op *op, struct tx *tx, int64_t *ret_due_at_ms);
enum err store_task_count(struct op *op, struct tx *tx, int64_t *ret_count);
