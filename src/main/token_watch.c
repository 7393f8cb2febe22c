#include "main/token_watch.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/queue.h"
#include "base/thread.h"
#include "main/settle.h"

#define WATCH_BYTES_MAX (64u << 20) /* the texts of TOKENS_MAX tokens, once */

struct token_watch {
    struct tokens *tokens;
    uint64_t changes;
    struct thread thread;
    struct mailbox sleep; /* gets no mail: nudged to wake up */
    atomic_bool stop;
    struct op op;
};

static enum err look_run(struct op *op, struct tx *tx, void *arg)
{
    struct token_watch *watch = arg;
    return tokens_refresh(op, tx, watch->tokens, watch->changes);
}

static void watch_run(void *context)
{
    struct token_watch *watch = context;
    while (!atomic_load(&watch->stop)) {
        mailbox_wait(&watch->sleep, TOKEN_LOOK_MS * 1000);
        if (atomic_load(&watch->stop))
            break;
        arena_reset(watch->op.arena);
        op_init(&watch->op, watch->op.arena, clock_wall_us());
        watch->changes = tokens_changes(watch->tokens);
        if (settle_read(&watch->op, look_run, watch) != OK)
            log_debug("the table of tokens could not be read", LOG_ERROR_OF(&watch->op));
    }
}

enum err token_watch_start(struct op *op, struct store *store, struct tokens *tokens, struct token_watch **ret_watch)
{
    *ret_watch = NULL;
    if (!store_is_shared(store))
        return OK;
    struct token_watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        abort();
    watch->tokens = tokens;
    mailbox_init(&watch->sleep, 1, NULL, NULL);
    op_init(&watch->op, arena_new(WATCH_BYTES_MAX), 0);
    enum err err = thread_start(op, &watch->thread, "tokens", watch_run, watch);
    if (err != OK) {
        arena_free(watch->op.arena);
        free(watch);
        return err;
    }
    *ret_watch = watch;
    return OK;
}

void token_watch_stop(struct token_watch *watch)
{
    if (!watch)
        return;
    atomic_store(&watch->stop, true);
    mailbox_nudge(&watch->sleep);
    thread_join(&watch->thread);
    arena_free(watch->op.arena);
    free(watch);
}
