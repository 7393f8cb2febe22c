/*
 * api_jobs.h - handlers of jobs, batches, schedules, workers, queues and budgets.
 */
#pragma once

#include "net/http_server.h"

#define JOBS_BULK_BYTES_MAX (1 << 20)
#define JOBS_BODY_BYTES_MAX (16 << 20) /* of one POST /v1/jobs: one job of the largest size, or many */

void jobs_post(struct http_request *request);         /* POST /v1/jobs */
void jobs_list(struct http_request *request);         /* GET /v1/jobs */
void jobs_get(struct http_request *request);          /* GET /v1/jobs/{jid} */
void jobs_retry(struct http_request *request);        /* POST /v1/jobs/{jid}/retry */
void jobs_run(struct http_request *request);          /* POST /v1/jobs/{jid}/run */
void jobs_kill(struct http_request *request);         /* POST /v1/jobs/{jid}/kill */
void jobs_cancel(struct http_request *request);       /* POST /v1/jobs/{jid}/cancel */
void jobs_fetch(struct http_request *request);        /* POST /v1/jobs/fetch */
void jobs_ack(struct http_request *request);          /* POST /v1/jobs/ack */
void jobs_fail(struct http_request *request);         /* POST /v1/jobs/fail */
void jobs_extend(struct http_request *request);       /* POST /v1/jobs/extend */
void workers_list(struct http_request *request);      /* GET /v1/workers */
void workers_beat(struct http_request *request);      /* POST /v1/workers/{id}/beat */
void workers_quiet(struct http_request *request);     /* POST /v1/workers/{id}/quiet */
void workers_terminate(struct http_request *request); /* POST /v1/workers/{id}/terminate */
void jobs_bulk(struct http_request *request);         /* POST /v1/jobs/bulk */
void queues_list(struct http_request *request);       /* GET /v1/queues */
void queues_get(struct http_request *request);        /* GET /v1/queues/{q} */
void queues_patch(struct http_request *request);      /* PATCH /v1/queues/{q} */
void queues_delete(struct http_request *request);     /* DELETE /v1/queues/{q} */
void queues_drain(struct http_request *request);      /* POST /v1/queues/{q}/drain */
void batches_post(struct http_request *request);      /* POST /v1/batches */
void batches_get(struct http_request *request);       /* GET /v1/batches/{id} */
void batches_patch(struct http_request *request);     /* PATCH /v1/batches/{id} */
void schedules_put(struct http_request *request);     /* PUT /v1/schedules/{id} */
void schedules_get(struct http_request *request);     /* GET /v1/schedules/{id} */
void schedules_list(struct http_request *request);    /* GET /v1/schedules */
void schedules_run(struct http_request *request);     /* POST /v1/schedules/{id}/run */
void schedules_delete(struct http_request *request);  /* DELETE /v1/schedules/{id} */
void budgets_put(struct http_request *request);       /* PUT /v1/budgets/{id} */
void budgets_list(struct http_request *request);      /* GET /v1/budgets */
void budgets_get(struct http_request *request);       /* GET /v1/budgets/{id} */
void budgets_delete(struct http_request *request);    /* DELETE /v1/budgets/{id} */

struct call;

/* The queues that the caller's token is bound to, with commas between; not given: all. */
struct str call_queues(const struct call *call);

/* A token may be bound to queues: ERR_FORBIDDEN for another one. */
enum err call_may_queue(struct op *op, const struct call *call, struct str queue);
