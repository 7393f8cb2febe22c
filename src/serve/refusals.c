#include "serve/refusals.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct refusal {
    uint32_t source_no;
    int64_t waiting;    /* not written yet */
    int64_t written_us; /* when the last ones were; 0 = never */
};

struct refusals {
    pthread_mutex_t lock;
    struct refusal of[REFUSALS_SOURCES_MAX];
};

struct refusals *refusals_new(void)
{
    struct refusals *refusals = calloc(1, sizeof *refusals);
    if (!refusals)
        abort();
    pthread_mutex_init(&refusals->lock, NULL);
    return refusals;
}

void refusals_free(struct refusals *refusals)
{
    pthread_mutex_destroy(&refusals->lock);
    free(refusals);
}

int64_t refusals_note(struct refusals *refusals, uint32_t source_no, int64_t now_us)
{
    int64_t ready = 0;
    pthread_mutex_lock(&refusals->lock);
    struct refusal *one = &refusals->of[source_no % REFUSALS_SOURCES_MAX];
    if (one->source_no != source_no)
        *one = (struct refusal){ .source_no = source_no };
    one->waiting++;
    bool is_due = one->written_us == 0 || now_us - one->written_us >= REFUSALS_EVERY_US || now_us < one->written_us;
    if (is_due) {
        ready = one->waiting;
        one->waiting = 0;
        one->written_us = now_us;
    }
    pthread_mutex_unlock(&refusals->lock);
    return ready;
}
