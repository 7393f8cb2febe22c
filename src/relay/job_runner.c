/*
 * job_runner.c - crews with their fetches, the session, from start to stop.
 */
#include "relay/job_runner_parts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "engine/job_read.h"
#include "engine/node.h"

#define HOST_CONNECTIONS  1000 /* the concurrency of a queue is the limit, not this */
#define LIST_BYTES_MAX    (64u << 20)
#define FETCH_ARENA_BYTES (160u << 20)
#define SMALL_BYTES_MAX   (1u << 20)
#define LEASE_SPARE_US    (10 * INT64_C(1000000))

/* ----------------------------------------------------------------------------------------------------------- busy */

static void runner_busy(struct job_runner *runner)
{
    pthread_mutex_lock(&runner->lock);
    runner->busy++;
    pthread_mutex_unlock(&runner->lock);
}

static void runner_idle(struct job_runner *runner)
{
    pthread_mutex_lock(&runner->lock);
    assert(runner->busy > 0);
    if (--runner->busy == 0)
        pthread_cond_broadcast(&runner->is_idle);
    pthread_mutex_unlock(&runner->lock);
}

void *runner_post_new(struct job_runner *runner, size_t bytes, size_t arena_bytes)
{
    struct arena *arena = arena_new(arena_bytes);
    struct post *post = arena_alloc(arena, bytes);
    assert(post); /* the arena is larger than any of our structs */
    op_init(&post->op, arena, loop_wall_us(runner->config.loop));
    loop_adopt(runner->config.loop, post);
    runner_busy(runner);
    return post;
}

void runner_post_free(struct job_runner *runner, struct post *post)
{
    arena_free(post->op.arena);
    runner_idle(runner);
}

/* ------------------------------------------------------------------------------------------------------- the end */

static void crew_fetch(struct crew *crew);
static void crew_leave(struct crew *crew);

static enum err settle_commit(struct post *post)
{
    struct run *run = (struct run *)post;
    struct job_ref ref = { .lease = run->lease, .result = run->result };
    enum job_stale stale;
    switch (run->end) {
    case END_ACK:
        return job_ack(&post->op, post->tx, &ref, &stale);
    case END_FAIL:
        return job_fail(&post->op, post->tx, &ref, &run->failure, &stale);
    case END_RETURN:
        return job_return(&post->op, post->tx, run->lease.id, run->lease.number);
    case END_HAND_OVER:
        return job_hand_over(&post->op, post->tx, &run->lease);
    }
    return OK;
}

void run_free(struct run *run)
{
    struct crew *crew = run->crew;
    *run->link = run->next;
    if (run->next)
        run->next->link = run->link;
    crew->under_way--;
    runner_post_free(crew->runner, &run->post);
    crew_fetch(crew);
}

static void settle_again(struct timer *timer)
{
    run_over((struct run *)((char *)timer - offsetof(struct run, again)));
}

/* A store that cannot write now is asked again, until a stop: then the lease stays, and is left behind. */
static enum err settled(struct post *post)
{
    struct run *run = (struct run *)post;
    struct job_runner *runner = run->crew->runner;
    if (post->err != OK)
        log_warn("what became of a job could not be stored", LOG_STR("jid", run->jid), LOG_ERROR_OF(&post->op));
    if (post->err != OK && !runner->is_cut) {
        run->again.run = settle_again;
        loop_timer_set(runner->config.loop, &run->again, RUNNER_AGAIN_MS);
        return OK;
    }
    run_free(run);
    return OK;
}

void run_over(struct run *run)
{
    static const struct hop route[] = { { settle_commit, THREAD_WRITER }, { settled, THREAD_CALLER }, { 0 } };
    run->post.op.now_us = loop_wall_us(run->crew->runner->config.loop);
    run->post.hop = route;
    post_send(&run->post);
}

void run_failed(struct run *run, const char *errtype, struct str message)
{
    run->end = END_FAIL;
    run->failure = (struct job_failure){ .errtype = str_of(errtype), .message = message };
}

/* ------------------------------------------------------------------------------------------------------ the start */

static void run_go(struct run *run)
{
    if (run->crew->runner->is_quiet) {
        run->end = END_RETURN;
        run_over(run);
        return;
    }
    if (run->crew->queue.handler.kind == HANDLER_OWN)
        run_own(run);
    else if (run->crew->queue.handler.kind == HANDLER_EXEC)
        run_exec(run);
    else
        run_http(run);
}

/* The lease must outlive the call; where the job's own timeout does not allow that, the call is shorter. */
static enum err lengthen(struct post *post)
{
    struct run *run = (struct run *)post;
    struct job_ref ref = { .lease = run->lease };
    enum job_stale stale;
    int64_t until_us;
    if (job_extend(&post->op, post->tx, &ref, run->timeout_ms * 1000 + LEASE_SPARE_US, &stale, &until_us) != OK)
        return OK;
    run->until_us = until_us;
    return OK;
}

static enum err lengthened(struct post *post)
{
    struct run *run = (struct run *)post;
    int64_t left_ms = (run->until_us - loop_wall_us(run->crew->runner->config.loop)) / 1000;
    if (left_ms < run->timeout_ms)
        run->timeout_ms = left_ms > 1000 ? left_ms : 1000;
    run_go(run);
    return OK;
}

static void run_start(struct run *run)
{
    static const struct hop route[] = { { lengthen, THREAD_WRITER }, { lengthened, THREAD_CALLER }, { 0 } };
    int64_t now_us = loop_wall_us(run->crew->runner->config.loop);
    if (run->until_us >= now_us + run->timeout_ms * 1000 + LEASE_SPARE_US) {
        run_go(run);
        return;
    }
    run->post.hop = route;
    post_send(&run->post);
}

static struct run *run_new(struct crew *crew, const struct job_out *job)
{
    struct job_runner *runner = crew->runner;
    struct run *run = runner_post_new(runner, sizeof *run, RUN_BYTES_MAX);
    struct arena *arena = run->post.op.arena;
    struct siphash_key key = siphash_key_from(store_hash_key(runner->config.store));
    struct buf buf;
    run->crew = crew;
    run->lease = (struct job_lease){ job->id, job->lease, siphash64(key, job->jid.p, job->jid.n) };
    run->until_us = job->until_us;
    run->jid = arena_str(arena, job->jid);
    run->jobtype = arena_str(arena, job->jobtype);
    run->body = arena_str(arena, job->body);
    run->attempt = job->attempt;
    run->timeout_ms = crew->timeout_ms;
    buf_init_arena(&buf, arena, RUN_BYTES_MAX / 2);
    job_write(&buf, job, arena_fmt(arena, "\"attempt\":%d", job->attempt));
    run->text = buf_str(&buf);
    run->next = crew->runs;
    run->link = &crew->runs;
    if (run->next)
        run->next->link = &run->next;
    crew->runs = run;
    crew->under_way++;
    return run;
}

/* --------------------------------------------------------------------------------------------------------- fetching */

struct crew_fetch {
    struct post post; /* first */
    struct crew *crew;
    struct job_fetch fetch;
};

static enum err fetch_run(struct post *post)
{
    struct crew_fetch *f = (struct crew_fetch *)post;
    return job_fetch(&post->op, post->tx, &f->fetch);
}

static enum err fetch_back(struct post *post)
{
    struct crew_fetch *f = (struct crew_fetch *)post;
    for (int i = 0; i < f->fetch.count; i++)
        TRY(job_return(&post->op, post->tx, f->fetch.jobs[i].id, f->fetch.jobs[i].lease));
    return OK;
}

static enum err fetch_over(struct post *post)
{
    struct crew *crew = ((struct crew_fetch *)post)->crew;
    bool is_ill = post->err != OK;
    if (is_ill)
        log_warn("jobs for a handler could not be fetched", LOG_STR("queue", crew->queue.name),
                 LOG_ERROR_OF(&post->op));
    crew->is_fetching = false;
    runner_post_free(crew->runner, post);
    if (is_ill && !crew->runner->is_quiet && !crew->is_leaving)
        loop_timer_set(crew->runner->config.loop, &crew->timer, RUNNER_AGAIN_MS);
    else
        crew_fetch(crew);
    return OK;
}

static enum err fetch_came(struct post *post)
{
    static const struct hop back[] = { { fetch_back, THREAD_WRITER }, { fetch_over, THREAD_CALLER }, { 0 } };
    struct crew_fetch *f = (struct crew_fetch *)post;
    struct crew *crew = f->crew;
    bool is_down =
        crew->target && breaker_allows(&crew->target->breaker, 1, loop_now_ms(crew->runner->config.loop)) == 0;
    if (post->err == OK && f->fetch.count && (is_down || crew->is_leaving || crew->runner->is_quiet)) {
        post->hop = back;
        post_send(post);
        return OK;
    }
    for (int i = 0; post->err == OK && i < f->fetch.count; i++) {
        job_delivered(crew->runner->config.jobs, f->fetch.jobs[i].lease);
        run_start(run_new(crew, &f->fetch.jobs[i]));
    }
    if (post->err == OK && f->fetch.count && crew->target)
        breaker_began(&crew->target->breaker);
    return fetch_over(post);
}

/* How many more jobs the crew may take: none while its URL is left alone, one to see whether it is back. */
static int hands_free(const struct crew *crew)
{
    int hands = crew->limit - crew->under_way;
    if (crew->target)
        hands = breaker_allows(&crew->target->breaker, hands, loop_now_ms(crew->runner->config.loop));
    return hands < RUNNER_FETCH_MAX ? hands : RUNNER_FETCH_MAX;
}

static void crew_fetch(struct crew *crew)
{
    static const struct hop route[] = { { fetch_run, THREAD_WRITER }, { fetch_came, THREAD_CALLER }, { 0 } };
    struct job_runner *runner = crew->runner;
    if (crew->is_leaving) {
        crew_leave(crew);
        return;
    }
    int hands = hands_free(crew);
    if (crew->is_fetching || runner->is_quiet || !runner->is_known || hands <= 0)
        return;
    struct crew_fetch *f = runner_post_new(runner, sizeof *f, FETCH_ARENA_BYTES);
    crew->is_fetching = true;
    f->crew = crew;
    f->fetch = (struct job_fetch){
        .post = &f->post,
        .queues = &crew->queue.name,
        .queue_count = 1,
        .max = hands,
        .wait_us = RUNNER_WAIT_MS * INT64_C(1000),
        .session = runner->session,
        .worker = str_of(runner->name),
        .inside = true,
    };
    f->post.hop = route;
    post_send(&f->post);
}

static void crew_due(struct timer *timer)
{
    crew_fetch((struct crew *)((char *)timer - offsetof(struct crew, timer)));
}

/* ----------------------------------------------------------------------------------------------------------- target */

struct telling {
    struct post post; /* first */
    struct job_runner *runner;
    struct handler_word word;
};

static enum err tell_run(struct post *post)
{
    return job_handler_tell(&post->op, post->tx, &((struct telling *)post)->word);
}

static enum err tell_over(struct post *post)
{
    runner_post_free(((struct telling *)post)->runner, post);
    return OK;
}

static void tell(struct crew *crew, bool is_news)
{
    static const struct hop route[] = { { tell_run, THREAD_WRITER }, { tell_over, THREAD_CALLER }, { 0 } };
    struct job_runner *runner = crew->runner;
    struct telling *telling = runner_post_new(runner, sizeof *telling, SMALL_BYTES_MAX);
    const struct breaker *breaker = &crew->target->breaker;
    int64_t left_ms = breaker->until_ms - loop_now_ms(runner->config.loop);
    telling->runner = runner;
    telling->word = (struct handler_word){
        .queue = arena_str(telling->post.op.arena, crew->queue.name),
        .url = arena_str(telling->post.op.arena, crew->queue.handler.url),
        .worker = str_of(runner->name),
        .until_us = breaker->open_ms ? loop_wall_us(runner->config.loop) + left_ms * 1000 : 0,
        .is_news = is_news,
    };
    telling->post.hop = route;
    post_send(&telling->post);
}

/* All crews of the URL go on as far as they may; one that leaves is gone after its turn. */
static void target_crews(struct target *target)
{
    for (struct crew *crew = target->runner->crews, *next; crew; crew = next) {
        next = crew->next;
        if (crew->target == target)
            crew_fetch(crew);
    }
}

static void target_due(struct timer *timer)
{
    target_crews((struct target *)((char *)timer - offsetof(struct target, timer)));
}

static void target_tell(struct target *target, bool is_news)
{
    for (struct crew *crew = target->runner->crews; crew; crew = crew->next)
        if (crew->target == target && !crew->is_leaving)
            tell(crew, is_news);
}

void target_heard(struct crew *crew, bool is_trouble)
{
    struct target *target = crew->target;
    struct job_runner *runner = target->runner;
    bool was_down = target->breaker.open_ms != 0;
    if (!breaker_heard(&target->breaker, is_trouble, loop_now_ms(runner->config.loop)))
        return;
    int64_t pause_ms = target->breaker.open_ms;
    if (pause_ms)
        log_warn("a handler is down", LOG_TEXT("url", target->url), LOG_INT("pause_ms", pause_ms));
    else
        log_info("a handler is up again", LOG_TEXT("url", target->url));
    if (pause_ms && !runner->is_quiet)
        loop_timer_set(runner->config.loop, &target->timer, pause_ms);
    target_tell(target, was_down != (pause_ms != 0));
    target_crews(target);
}

static struct target *target_get(struct job_runner *runner, struct str url)
{
    struct target *target = runner->targets;
    while (target && !str_eq(str_of(target->url), url))
        target = target->next;
    if (target)
        return target;
    target = calloc(1, sizeof *target + url.n + 1);
    if (!target)
        abort();
    target->url = memcpy(target + 1, url.p, url.n);
    target->runner = runner;
    target->timer.run = target_due;
    target->next = runner->targets;
    runner->targets = target;
    return target;
}

/* ------------------------------------------------------------------------------------------------------------ crews */

static void crew_leave(struct crew *crew)
{
    struct crew **link = &crew->runner->crews;
    if (crew->under_way || crew->is_fetching)
        return;
    loop_timer_clear(crew->runner->config.loop, &crew->timer);
    while (*link != crew)
        link = &(*link)->next;
    *link = crew->next;
    arena_free(crew->memory);
    free(crew);
}

static struct str keep(struct crew *crew, struct str text)
{
    return arena_str(crew->memory, text);
}

static void crew_new(struct job_runner *runner, const struct handled_queue *queue)
{
    struct crew *crew = calloc(1, sizeof *crew);
    if (!crew)
        abort();
    crew->runner = runner;
    crew->memory = arena_new(SMALL_BYTES_MAX);
    crew->queue = *queue;
    crew->queue.name = keep(crew, queue->name);
    crew->queue.text = keep(crew, queue->text);
    crew->queue.handler.url = keep(crew, queue->handler.url);
    crew->queue.handler.secret = keep(crew, queue->handler.secret);
    crew->queue.handler.old_secret = keep(crew, queue->handler.old_secret);
    crew->limit = (int)queue->concurrency;
    crew->queue.handler.command = keep(crew, queue->handler.command);
    const struct exec_command *command =
        queue->handler.kind == HANDLER_EXEC ? exec_command_of(runner, queue->handler.command) : NULL;
    crew->timeout_ms = queue->handler.timeout_us / 1000;
    if (command && (!crew->timeout_ms || command->timeout_ms < crew->timeout_ms))
        crew->timeout_ms = command->timeout_ms;
    if (crew->queue.handler.kind == HANDLER_HTTP)
        crew->target = target_get(runner, crew->queue.handler.url);
    crew->timer.run = crew_due;
    crew->is_wanted = true;
    crew->next = runner->crews;
    runner->crews = crew;
}

static struct crew *crew_of(struct job_runner *runner, const struct handled_queue *queue)
{
    struct crew *crew = runner->crews;
    while (crew && (crew->is_leaving || !str_eq(crew->queue.name, queue->name) ||
                    !str_eq(crew->queue.text, queue->text) || crew->queue.concurrency != queue->concurrency))
        crew = crew->next;
    return crew;
}

struct look {
    struct post post; /* first */
    struct job_runner *runner;
    struct handled_queue *queues;
    size_t count;
};

static enum err look_run(struct post *post)
{
    struct look *look = (struct look *)post;
    return job_handled_list(&post->op, post->tx, &look->queues, &look->count);
}

static void take_over(struct job_runner *runner, const struct look *look)
{
    for (struct crew *crew = runner->crews; crew; crew = crew->next)
        crew->is_wanted = false;
    for (size_t i = 0; i < look->count; i++) {
        struct crew *crew = crew_of(runner, &look->queues[i]);
        if (crew)
            crew->is_wanted = true;
        else
            crew_new(runner, &look->queues[i]);
    }
    for (struct crew *crew = runner->crews, *next; crew; crew = next) {
        next = crew->next;
        crew->is_leaving = crew->is_leaving || !crew->is_wanted;
        if (!crew->is_leaving && crew->target && crew->target->breaker.open_ms)
            tell(crew, false);
        crew_fetch(crew);
    }
}

static void runner_look(struct job_runner *runner);
static void runner_beat(struct job_runner *runner);

static enum err looked(struct post *post)
{
    struct look *look = (struct look *)post;
    struct job_runner *runner = look->runner;
    bool is_ill = post->err != OK;
    runner->is_looking = false;
    if (!is_ill && !runner->is_quiet)
        take_over(runner, look);
    if (runner->crews && !runner->is_known && !runner->is_quiet)
        runner_beat(runner); /* without work there is no worker to be seen */
    runner_post_free(runner, post);
    if (runner->is_quiet)
        return OK;
    if (is_ill)
        loop_timer_set(runner->config.loop, &runner->look_timer, RUNNER_AGAIN_MS);
    else if (runner->is_rung)
        runner_look(runner);
    return OK;
}

static void runner_look(struct job_runner *runner)
{
    static const struct hop route[] = { { look_run, THREAD_WRITER }, { looked, THREAD_CALLER }, { 0 } };
    if (runner->is_looking) {
        runner->is_rung = true;
        return;
    }
    runner->is_rung = false;
    runner->is_looking = true;
    struct look *look = runner_post_new(runner, sizeof *look, LIST_BYTES_MAX);
    look->runner = runner;
    look->post.hop = route;
    post_send(&look->post);
}

static void look_due(struct timer *timer)
{
    runner_look((struct job_runner *)((char *)timer - offsetof(struct job_runner, look_timer)));
}

static void rung(struct errand *errand)
{
    struct job_runner *runner = (struct job_runner *)((char *)errand - offsetof(struct job_runner, ring));
    atomic_store(&runner->is_ringing, false);
    if (!runner->is_quiet)
        runner_look(runner);
}

/* On the writer's thread. One errand is enough for all rings until it has run. */
static void ring(void *data)
{
    struct job_runner *runner = data;
    if (!atomic_exchange(&runner->is_ringing, true))
        loop_send(runner->config.loop, &runner->ring);
}

/* ---------------------------------------------------------------------------------------------------------- session */

struct beat {
    struct post post; /* first */
    struct job_runner *runner;
    bool is_first;
    struct session_id session;
};

static enum err beat_run(struct post *post)
{
    struct beat *beat = (struct beat *)post;
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    struct session_info info = {
        .name = str_of(beat->runner->name), .hostname = str_of(host), .pid = getpid(), .http = true
    };
    struct session_view view;
    enum session_state state;
    TRY(session_beat(&post->op, post->tx, &info, SESSION_RUNNING, 0, &state, NULL, NULL));
    TRY(session_get(&post->op, post->tx, info.name, &view));
    beat->session = view.id;
    for (bool more = beat->is_first; more;)
        TRY(job_left_behind(&post->op, post->tx, view.id, &more));
    return OK;
}

static enum err beaten(struct post *post)
{
    struct beat *beat = (struct beat *)post;
    struct job_runner *runner = beat->runner;
    bool is_first = false, is_ill = post->err != OK;
    runner->is_beating = false;
    if (!is_ill) {
        runner->session = beat->session;
        is_first = !runner->is_known;
        runner->is_known = true;
    }
    runner_post_free(runner, post);
    if (runner->is_quiet)
        return OK;
    loop_timer_set(runner->config.loop, &runner->beat_timer, is_ill ? RUNNER_AGAIN_MS : RUNNER_BEAT_MS);
    for (struct crew *crew = is_first ? runner->crews : NULL, *next; crew; crew = next) {
        next = crew->next;
        crew_fetch(crew);
    }
    return OK;
}

static void runner_beat(struct job_runner *runner)
{
    static const struct hop route[] = { { beat_run, THREAD_WRITER }, { beaten, THREAD_CALLER }, { 0 } };
    if (runner->is_beating)
        return;
    runner->is_beating = true;
    struct beat *beat = runner_post_new(runner, sizeof *beat, SMALL_BYTES_MAX);
    beat->runner = runner;
    beat->is_first = !runner->is_known;
    beat->post.hop = route;
    post_send(&beat->post);
}

static void beat_due(struct timer *timer)
{
    runner_beat((struct job_runner *)((char *)timer - offsetof(struct job_runner, beat_timer)));
}

/* --------------------------------------------------------------------------------------------------- start and stop */

static void begin(void *data)
{
    runner_look(data);
}

struct job_runner *job_runner_start(const struct job_runner_config *config)
{
    struct job_runner *runner = calloc(1, sizeof *runner);
    if (!runner)
        abort();
    runner->config = *config;
    struct node_life life = node_board_get(config->nodes);
    snprintf(runner->name, sizeof runner->name, "posthouse@%s", life.id);
    runner->ring.run = rung;
    runner->beat_timer.run = beat_due;
    runner->look_timer.run = look_due;
    pthread_mutex_init(&runner->lock, NULL);
    pthread_cond_init(&runner->is_idle, NULL);
    struct http_client_config client = {
        .ca_file = config->ca_file,
        .user_agent = "posthouse/" POSTHOUSE_VERSION,
        .host_max = HOST_CONNECTIONS,
    };
    runner->client = http_client_open(config->loop, &client);
    jobs_on_handlers(config->jobs, ring, runner);
    loop_call(config->loop, begin, runner);
    return runner;
}

static void quiet(void *data)
{
    struct job_runner *runner = data;
    runner->is_quiet = true;
    loop_timer_clear(runner->config.loop, &runner->look_timer);
    for (struct crew *crew = runner->crews; crew; crew = crew->next) {
        loop_timer_clear(runner->config.loop, &crew->timer);
        for (struct run *run = crew->runs; run; run = run->next) {
            run_own_quiet(run);
            run_exec_stop(run);
        }
    }
    for (struct target *target = runner->targets; target; target = target->next)
        loop_timer_clear(runner->config.loop, &target->timer);
}

void job_runner_quiet(struct job_runner *runner)
{
    jobs_on_handlers(runner->config.jobs, NULL, NULL);
    loop_call(runner->config.loop, quiet, runner);
}

static void cut_off(void *data)
{
    struct job_runner *runner = data;
    runner->is_cut = true;
    loop_timer_clear(runner->config.loop, &runner->beat_timer);
    for (struct crew *crew = runner->crews, *after; crew; crew = after) {
        after = crew->next;
        for (struct run *run = crew->runs, *next; run; run = next) {
            next = run->next; /* the last one may take its crew along */
            run_http_cut(run);
            if (run->again.place == 0)
                continue;
            loop_timer_clear(runner->config.loop, &run->again);
            run_free(run);
        }
    }
}

static void nothing(void *data)
{
    (void)data;
}

/* True when nothing is under way any more. wait_ms below 0: as long as it takes. */
static bool wait_idle(struct job_runner *runner, int64_t wait_ms)
{
    struct timespec end;
    int failed = 0;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += wait_ms / 1000;
    pthread_mutex_lock(&runner->lock);
    while (runner->busy > 0 && failed == 0)
        failed = wait_ms < 0 ? pthread_cond_wait(&runner->is_idle, &runner->lock)
                             : pthread_cond_timedwait(&runner->is_idle, &runner->lock, &end);
    bool is_idle = runner->busy == 0;
    pthread_mutex_unlock(&runner->lock);
    return is_idle;
}

static void crews_free(struct job_runner *runner)
{
    while (runner->crews) {
        struct crew *crew = runner->crews;
        runner->crews = crew->next;
        arena_free(crew->memory);
        free(crew);
    }
    while (runner->targets) {
        struct target *target = runner->targets;
        runner->targets = target->next;
        free(target);
    }
}

void job_runner_stop(struct job_runner *runner, int64_t wait_ms)
{
    (void)wait_idle(runner, wait_ms);
    loop_call(runner->config.loop, cut_off, runner);
    (void)wait_idle(runner, -1);
    loop_call(runner->config.loop, nothing, NULL); /* a ring on its way runs before this */
    http_client_close(runner->client);
    crews_free(runner);
    pthread_cond_destroy(&runner->is_idle);
    pthread_mutex_destroy(&runner->lock);
    free(runner);
}
