#include "store/copier.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/thread.h"
#include "store/core.h"

struct copier {
    struct conn *conn;
    struct thread thread;
    pthread_mutex_t lock; /* held to change the two below */
    atomic_int state;
    bool stop;
    pthread_cond_t begun, through;
};

/* With the lock, which is open meanwhile. A page that could not be synced is not written again by the system, and a
 * later sync that succeeds says nothing of it: the WAL has it, and is kept. */
static void copier_copy(struct copier *copier)
{
    struct op op = { .arena = NULL };
    pthread_mutex_unlock(&copier->lock);
    if (conn_copy_wal(&op, copier->conn) != OK) {
        atomic_store(&copier->conn->store->keeps_wal, true);
        log_error("the database file cannot be synced: its log is kept, and grows, until posthouse is started again",
                  LOG_ERROR_OF(&op));
    }
    pthread_mutex_lock(&copier->lock);
}

static void copier_run(void *context)
{
    struct copier *copier = context;
    thread_give_way();
    pthread_mutex_lock(&copier->lock);
    for (;;) {
        while (copier->state != COPIER_RUNS && !copier->stop)
            pthread_cond_wait(&copier->begun, &copier->lock);
        if (copier->state != COPIER_RUNS)
            break;
        copier_copy(copier);
        copier->state = COPIER_THROUGH;
        pthread_cond_signal(&copier->through);
    }
    pthread_mutex_unlock(&copier->lock);
}

static void copier_free(struct copier *copier)
{
    conn_close(copier->conn);
    pthread_mutex_destroy(&copier->lock);
    pthread_cond_destroy(&copier->begun);
    pthread_cond_destroy(&copier->through);
    free(copier);
}

enum err copier_start(struct op *op, struct store *store, struct copier **ret_copier)
{
    struct copier *copier = calloc(1, sizeof *copier);
    if (!copier)
        abort();
    pthread_mutex_init(&copier->lock, NULL);
    pthread_cond_init(&copier->begun, NULL);
    pthread_cond_init(&copier->through, NULL);
    enum err err = conn_open(op, store, store->path, CONN_COPIER, &copier->conn);
    if (err == OK)
        err = thread_start(op, &copier->thread, "copier", copier_run, copier);
    if (err != OK) {
        copier_free(copier);
        return err;
    }
    *ret_copier = copier;
    return OK;
}

void copier_stop(struct copier *copier)
{
    if (!copier)
        return;
    pthread_mutex_lock(&copier->lock);
    copier->stop = true;
    pthread_cond_signal(&copier->begun);
    pthread_mutex_unlock(&copier->lock);
    thread_join(&copier->thread);
    copier_free(copier);
}

enum copier_state copier_state(const struct copier *copier)
{
    return (enum copier_state)copier->state;
}

void copier_begin(struct copier *copier)
{
    pthread_mutex_lock(&copier->lock);
    assert(copier->state == COPIER_RESTS);
    copier->state = COPIER_RUNS;
    pthread_cond_signal(&copier->begun);
    pthread_mutex_unlock(&copier->lock);
}

void copier_await(struct copier *copier)
{
    pthread_mutex_lock(&copier->lock);
    while (copier->state == COPIER_RUNS)
        pthread_cond_wait(&copier->through, &copier->lock);
    pthread_mutex_unlock(&copier->lock);
}

void copier_rest(struct copier *copier)
{
    assert(copier->state != COPIER_RUNS);
    copier->state = COPIER_RESTS;
}
