/*
 * job_runner_parts.h - the inside of the runner, shared by job_runner.c, job_crew.c, job_target.c and job_run*.c only.
 */
#pragma once

#include <stdatomic.h>

#include "engine/job_end.h"
#include "engine/job_fetch.h"
#include "engine/job_handler.h"
#include "engine/job_own.h"
#include "engine/own_pace.h"
#include "net/busy.h"
#include "net/child.h"
#include "net/http_client.h"
#include "relay/breaker.h"
#include "relay/job_runner.h"

#define RUN_BYTES_MAX   (96u << 20) /* arena of one job: itself, its answer, what is written of it */
#define SMALL_BYTES_MAX (1u << 20)

/* A URL, with all crews that call it. */
struct target {
    struct target *next;
    struct job_runner *runner;
    char *url;
    struct breaker breaker;
    struct timer timer; /* the pause is over */
};

/* One queue with its handler. Another handler is another crew; the former one leaves when its hands are empty. */
struct crew {
    struct crew *next;
    struct job_runner *runner;
    struct arena *memory;
    struct handled_queue queue;
    struct target *target; /* http */
    struct run *runs;
    int limit, under_way;
    int64_t timeout_ms; /* of one call */
    bool is_fetching, is_wanted, is_leaving;
    struct timer timer; /* to fetch again after trouble */
};

enum run_end { END_ACK, END_FAIL, END_RETURN, END_HAND_OVER };

/* How far own work was at an instant. */
struct run_mark {
    int64_t at_ms, done;
};

struct run {
    struct post post; /* first */
    struct crew *crew;
    struct run *next, **link;
    struct job_lease lease;
    int64_t until_us; /* of the lease, wall */
    struct str jid, jobtype;
    struct str body; /* members of the job */
    struct str text; /* the job as JSON, for whoever works on it */
    int attempt;
    int64_t timeout_ms;

    /* what became of it */
    enum run_end end;
    struct job_failure failure;
    struct str result;

    struct fetch fetch;
    bool is_calling;
    struct child child;
    bool is_running;
    struct timer again;  /* the store could not take the end, or own work rests */
    struct own_pace own; /* of own work: its next step */
    int tries;           /* of that step */
    struct run_mark pace[2];
    int64_t eta_s;
};

struct job_runner {
    struct job_runner_config config;
    struct http_client *client;
    struct crew *crews;
    struct target *targets;
    struct session_id session;
    char name[SESSION_NAME_BYTES_MAX + 1];
    struct errand ring;
    atomic_bool is_ringing;
    bool is_looking, is_rung, is_quiet, is_cut, is_beating, is_known; /* known: the session is registered */
    struct timer beat_timer, look_timer;
    struct own_crowd crowd; /* beside steps of own work */

    struct busy busy; /* posts and calls */
};

/* busy_post_new by the loop's clock. */
void *runner_post_new(struct job_runner *runner, size_t bytes, size_t arena_bytes);
void runner_post_free(struct job_runner *runner, struct post *post);

/* job_crew.c */

/* Fetches for the hands that are free; a crew that leaves is gone when it was the last one. */
void crew_fetch(struct crew *crew);

/* These are the queues with handlers from now on. */
void crews_take(struct job_runner *runner, const struct handled_queue *queues, size_t count);
/* What exec queues may run from now on; what runs was given its words when it began. */
void crews_commands(struct job_runner *runner, const struct exec_commands *commands);
void crews_free(struct job_runner *runner);

/* job_target.c */
struct target *target_get(struct job_runner *runner, struct str url);

/* The crew's URL answered, well or not. */
void target_heard(struct crew *crew, bool is_trouble);

/* Tells the engine whether the crew's URL is left alone, and until when. */
void crew_tell(struct crew *crew, bool is_news);
void targets_free(struct job_runner *runner);

/* job_run.c */

/* A job that was fetched for the crew; then it is begun. */
struct run *run_new(struct crew *crew, const struct job_out *job);
void run_start(struct run *run);

/* The run is over as run->end says: told to the engine, then freed. */
void run_over(struct run *run);
void run_failed(struct run *run, const char *errtype, struct str message);

/* It was told to the engine. */
void run_free(struct run *run);

/* job_run_own.c */
void run_own(struct run *run);
void run_own_quiet(struct run *run);

/* job_run_exec.c */
void run_exec(struct run *run);
void run_exec_stop(struct run *run);
const struct exec_command *exec_command_of(const struct job_runner *runner, struct str name);

/* job_run_http.c */

/* What it answered as JSON: as it is when it is JSON, as a text otherwise; not given when there is nothing. */
struct str run_result(struct run *run, struct str body);
void run_http(struct run *run);
void run_http_cut(struct run *run);
