/*
 * job_metrics.c - figures of jobs for /metrics, brought up to date by the tick.
 */
#include "base/metric.h"
#include "engine/jobs_own.h"

#define QUEUES_SHOWN 1000 /* with a series of their own; the sums count all */

static void show_queue(const struct queue *queue)
{
    struct metric *gauge = metric_gauge("posthouse_queue_jobs", "Jobs of a queue by state.", "queue,state", METRIC_ONE);
    const struct {
        const char *state;
        int64_t count;
    } counts[] = {
        { "ready", queue->counts.ready },         { "leased", queue->counts.leased },
        { "scheduled", queue->counts.scheduled }, { "retry", queue->counts.retry },
        { "blocked", queue->counts.blocked },     { "dead", queue->counts.dead },
    };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct metric_cell *cell = METRIC_AT(gauge, queue->name, str_of(counts[i].state));
        if (queue->gone)
            metric_hide(cell);
        else
            metric_set(cell, counts[i].count);
    }
}

/* A counter that stands elsewhere: what it grew by since it was shown. */
static void show_total(const char *name, const char *help, int64_t value)
{
    struct metric_cell *cell = METRIC_PLAIN(metric_counter(name, help, "", METRIC_ONE));
    int64_t grew = value - metric_value(cell);
    if (grew > 0)
        metric_add(cell, grew);
}

void jobs_metrics(struct jobs *jobs, struct tx *tx)
{
    struct job_totals totals;
    job_totals(tx, &totals);
    for (size_t i = 0, shown = 0; i < jobs->by_no_room && shown < QUEUES_SHOWN; i++)
        if (jobs->by_no[i]) {
            show_queue(jobs->by_no[i]);
            shown++;
        }
    metric_set(METRIC_PLAIN(metric_gauge("posthouse_job_workers", "Worker processes known.", "", METRIC_ONE)),
               totals.sessions);
    metric_set(METRIC_PLAIN(
                   metric_gauge("posthouse_job_fetches_waiting", "Fetches held until a job is ready.", "", METRIC_ONE)),
               (int64_t)jobs->held_count);
    metric_set(METRIC_PLAIN(metric_gauge("posthouse_keep_blocked",
                                         "Housekeeping held back by another schedule for more than two hours.", "",
                                         METRIC_ONE)),
               jobs->keep_blocked);
    show_total("posthouse_jobs_pushed_total", "Jobs taken in.", totals.pushed);
    show_total("posthouse_jobs_processed_total", "Attempts that ended, well or badly.", totals.processed);
    show_total("posthouse_jobs_failed_total", "Attempts that failed.", totals.failures);
    show_total("posthouse_jobs_duplicates_total", "Pushes of a jid that was there.", totals.duplicates);
    show_total("posthouse_jobs_late_acks_total", "Acks by workers that no longer held the job.", totals.late_acks);
    show_total("posthouse_jobs_lost_total", "Leases of workers that were lost.", totals.lost);
    show_total("posthouse_jobs_poisoned_total", "Jobs that died because they kill workers.", totals.poisoned);
    show_total("posthouse_slot_repairs_total", "Slots that were not what the leases say; must stay 0.",
               totals.slot_repairs);
    show_total("posthouse_batches_expired_total", "Batches left open for 30 minutes without a push.",
               totals.batches_expired);
    show_total("posthouse_batch_repairs_total", "Batches that were not what their jobs say; must stay 0.",
               totals.batch_repairs);
}
