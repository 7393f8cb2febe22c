#include "main/pulse.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/queue.h"
#include "base/thread.h"
#include "engine/source_signal.h"
#include "main/settle.h"

#define PULSE_BYTES_MAX  (8u << 20)
#define MEASURE_TRUST_US 1000000 /* an answer that took longer says too little about the clock */

struct pulse {
    struct pulse_config config;
    char id[NODE_ID_BYTES_MAX];
    struct node_board *board;
    bool is_shared; /* other nodes may have the store open */
    struct thread thread;
    bool is_started;
    struct mailbox sleep; /* gets no mail: nudged to wake up */
    atomic_bool stop;
    struct op op;
    struct node_life life;      /* as the newest beat left it */
    struct node_life fresh;     /* the writer's: a life that begins */
    bool watch;                 /* the newest beat asks for it */
    _Atomic(int64_t) offset_us; /* measured here, registered by the writer */
    int64_t measured_us;        /* by the steady clock; 0 = never */
    struct metric_cell *alive, *leads, *offset, *lost;
};

/* ------------------------------------------------------------------------------------------------------- processes */

static void read_line(const char *path, char *ret_text, size_t room)
{
    FILE *file = fopen(path, "re");
    ret_text[0] = '\0';
    if (file && !fgets(ret_text, (int)room, file))
        ret_text[0] = '\0';
    if (file)
        fclose(file);
    ret_text[strcspn(ret_text, "\n")] = '\0';
}

/* The machine since it was booted, and the space its process numbers belong to; "" where it cannot be told. */
static void read_place(char ret_boot[64], char ret_space[64])
{
    read_line("/proc/sys/kernel/random/boot_id", ret_boot, 64);
    ssize_t n = readlink("/proc/self/ns/pid", ret_space, 63);
    ret_space[n > 0 ? n : 0] = '\0';
}

/* Where and what this process is, so that a later one on this machine can tell whether it still runs. */
static struct str pulse_process(struct arena *arena)
{
    char boot[64], space[64];
    read_place(boot, space);
    return arena_fmt(arena, "%s %s %ld", boot[0] ? boot : "-", space[0] ? space : "-", (long)getpid());
}

/* True when the process of such a text surely runs no more; false where that cannot be told. */
static bool pulse_is_gone(struct str process)
{
    char boot[64], space[64];
    read_place(boot, space);
    struct str rest = process, was_boot = str_cut(&rest, ' '), was_space = str_cut(&rest, ' ');
    if (!boot[0] || !space[0] || !str_eq(was_boot, str_of(boot)) || !str_eq(was_space, str_of(space)))
        return false;
    int64_t pid = 0;
    for (size_t i = 0; i < rest.n && pid < INT32_MAX / 10; i++) {
        if (rest.p[i] < '0' || rest.p[i] > '9')
            return false;
        pid = 10 * pid + rest.p[i] - '0';
    }
    return pid == getpid() || (pid > 0 && kill((pid_t)pid, 0) != 0 && errno == ESRCH);
}

/* ----------------------------------------------------------------------------------------------------------- clock */

/* How far our clock is ahead of the store's, by asking between two looks at ours; the old figure when that took too
 * long to say anything. On the primary's link, whose clock all go by. */
static enum err measure(struct op *op, struct tx *tx, struct pulse *pulse)
{
    int64_t now_us = clock_mono_us(), store_us;
    if (pulse->measured_us && now_us - pulse->measured_us < NODE_MEASURE_US)
        return OK;
    TRY(store_clock_us(op, tx, &store_us)); /* the transaction has begun behind it */
    int64_t before_us = clock_wall_us();
    TRY(store_clock_us(op, tx, &store_us));
    int64_t took_us = clock_wall_us() - before_us;
    if (took_us >= 0 && took_us <= MEASURE_TRUST_US) {
        atomic_store(&pulse->offset_us, before_us + took_us / 2 - store_us);
        pulse->measured_us = now_us;
    }
    return OK;
}

static bool is_off(int64_t offset_us)
{
    return offset_us != NODE_NO_OFFSET && llabs(offset_us) > NODE_OFFSET_MAX_US;
}

/* ------------------------------------------------------------------------------------------------------------ life */

static enum err register_run(struct op *op, struct tx *tx, struct pulse *pulse, struct node_life *ret)
{
    struct node_identity who = {
        .id = str_of(pulse->id),
        .process = pulse_process(op->arena),
        .version = S(POSTHOUSE_VERSION),
        .steps = store_steps_known(),
        .is_alone = !pulse->is_shared,
        .is_gone = pulse_is_gone,
    };
    return node_register(op, tx, &who, &pulse->config.timing, atomic_load(&pulse->offset_us), ret);
}

/* On the writer's thread, when a group finds no life of this node that it could be written under. */
static enum err fence_begin(struct op *op, struct tx *tx, void *data, int64_t *ret_node, int64_t *ret_epoch)
{
    struct pulse *pulse = data;
    TRY(register_run(op, tx, pulse, &pulse->fresh));
    *ret_node = pulse->fresh.no;
    *ret_epoch = (int64_t)pulse->fresh.epoch;
    return OK;
}

static void fence_begun(void *data)
{
    struct pulse *pulse = data;
    struct node_life before = node_board_get(pulse->board);
    if (before.no)
        log_warn("other nodes called this one lost; it begins anew", LOG_TEXT("node", pulse->fresh.id));
    node_board_set(pulse->board, &pulse->fresh);
}

static enum err alone_run(struct op *op, struct tx *tx, void *arg)
{
    struct pulse *pulse = arg;
    return register_run(op, tx, pulse, &pulse->life);
}

/* Any group finds out whether this node has a life. */
static enum err nothing_run(struct op *op, struct tx *tx, void *arg)
{
    (void)op, (void)tx, (void)arg;
    return OK;
}

static enum err measure_run(struct op *op, struct tx *tx, void *arg)
{
    return measure(op, tx, arg);
}

static enum err beat_run(struct op *op, struct tx *tx, void *arg)
{
    struct pulse *pulse = arg;
    TRY(measure(op, tx, pulse));
    return node_beat(op, tx, &pulse->config.timing, &pulse->life, atomic_load(&pulse->offset_us), &pulse->life,
                     &pulse->watch);
}

static enum err watch_run(struct op *op, struct tx *tx, void *arg)
{
    struct pulse *pulse = arg;
    return node_watch(op, tx, &pulse->config.timing, &pulse->life, &pulse->life);
}

static enum err leave_run(struct op *op, struct tx *tx, void *arg)
{
    struct pulse *pulse = arg;
    return node_leave(op, tx, &pulse->life);
}

static struct op *op_again(struct pulse *pulse)
{
    arena_reset(pulse->op.arena);
    op_init(&pulse->op, pulse->op.arena, clock_wall_us());
    return &pulse->op;
}

static enum err beside(struct pulse *pulse, bool in_turn, enum err (*fn)(struct op *op, struct tx *tx, void *arg))
{
    return store_beside(op_again(pulse), pulse->config.store, in_turn, fn, pulse);
}

static enum err settled(struct pulse *pulse, enum err (*fn)(struct op *op, struct tx *tx, void *arg))
{
    return settle(op_again(pulse), fn, pulse);
}

/* Everybody may know; sources are shared out anew when nodes come or go, or when this one began anew. */
static void publish(struct pulse *pulse, const struct node_life *before)
{
    const struct node_life *life = &pulse->life;
    node_board_set(pulse->board, life);
    metric_set(pulse->alive, life->alive);
    metric_set(pulse->leads, life->term != 0);
    metric_set(pulse->offset, life->offset_us == NODE_NO_OFFSET ? 0 : life->offset_us);
    metric_add(pulse->lost, life->lost);
    if (is_off(life->offset_us) && !is_off(before->offset_us))
        log_warn("the clock of this machine is not the database's: this node does not lead until it is mended",
                 LOG_INT("ahead_ms", life->offset_us / 1000));
    if (life->lost)
        log_warn("a node was silent for too long and is called lost", LOG_INT("nodes", life->lost),
                 LOG_INT("alive", life->alive));
    if (life->term != 0 && before->term == 0 && pulse->is_shared)
        log_info("this node leads", LOG_TEXT("node", life->id));
    if (life->alive != before->alive || life->epoch != before->epoch)
        source_signal();
}

/* Shared: the writer begins a life when it has none. A command that failed may have filled in what was never stored. */
static enum err begin_life(struct pulse *pulse)
{
    struct node_life before = pulse->life;
    enum err err = settled(pulse, pulse->is_shared ? nothing_run : alone_run);
    pulse->life = err != OK ? before : pulse->is_shared ? node_board_get(pulse->board) : pulse->life;
    return err;
}

static enum err beat_life(struct pulse *pulse)
{
    struct node_life before = pulse->life;
    enum err err = beside(pulse, false, beat_run);
    if (err == OK && pulse->watch)
        err = beside(pulse, true, watch_run);
    if (err != OK)
        pulse->life = before;
    return err;
}

static void beat(struct pulse *pulse)
{
    struct node_life before = pulse->life, board = node_board_get(pulse->board);
    if (board.epoch > before.epoch)
        pulse->life = board; /* the writer was faster */
    enum err err = pulse->life.no ? beat_life(pulse) : begin_life(pulse);
    if (err == ERR_CONFLICT)
        err = begin_life(pulse);
    if (err == OK)
        publish(pulse, &before);
    else
        log_warn("this node could not give a sign of life", LOG_ERROR_OF(&pulse->op));
}

/* Alone there is only one thing to say; the thread ends when the store has taken it. */
static void pulse_run(void *context)
{
    struct pulse *pulse = context;
    while (!atomic_load(&pulse->stop) && (pulse->is_shared || pulse->life.no == 0)) {
        mailbox_wait(&pulse->sleep, pulse->config.timing.beat_us);
        if (!atomic_load(&pulse->stop))
            beat(pulse);
    }
}

/* --------------------------------------------------------------------------------------------------- start and stop */

static void name_node(struct pulse *pulse)
{
    size_t room = NODE_ID_BYTES_MAX - sizeof "-100"; /* what register may add */
    if (str_given(pulse->config.id))
        snprintf(pulse->id, room, "%.*s", STR(pulse->config.id));
    else if (gethostname(pulse->id, room - 1) != 0 || !pulse->id[0])
        snprintf(pulse->id, room, "node");
}

static void declare_metrics(struct pulse *pulse)
{
    pulse->alive =
        METRIC_PLAIN(metric_gauge("posthouse_nodes_alive", "Nodes of the store that are alive, as seen by this one.",
                                  "", METRIC_ONE));
    pulse->leads = METRIC_PLAIN(
        metric_gauge("posthouse_node_leads", "1 while this node leads: it does what is done once.", "", METRIC_ONE));
    pulse->offset =
        METRIC_PLAIN(metric_gauge("posthouse_node_clock_offset_seconds",
                                  "How far the clock of this node is ahead of the store's.", "", METRIC_SECONDS));
    pulse->lost =
        METRIC_PLAIN(metric_counter("posthouse_nodes_lost_total", "Nodes that this one called lost.", "", METRIC_ONE));
}

static void pulse_free(struct pulse *pulse)
{
    node_board_free(pulse->board);
    arena_free(pulse->op.arena);
    free(pulse);
}

/* A full disk does not keep a node from answering that is alone: it registers when there is room again. */
static enum err begin(struct op *op, struct pulse *pulse)
{
    struct node_life before = { 0 };
    struct store_fence fence = { pulse, fence_begin, fence_begun };
    enum err err = pulse->is_shared ? beside(pulse, false, measure_run) : OK;
    if (pulse->is_shared)
        store_fence(pulse->config.store, &fence);
    if (err == OK)
        err = begin_life(pulse);
    if (err == OK)
        publish(pulse, &before);
    if (err != OK && pulse->is_shared)
        return fail(op, err, "this node cannot register: %s", pulse->op.error);
    if (err != OK) {
        log_warn("this node could not register", LOG_ERROR_OF(&pulse->op));
        struct node_life life = { .alive = 1 };
        memcpy(life.id, pulse->id, sizeof pulse->id);
        node_board_set(pulse->board, &life);
    }
    if (!pulse->is_shared && err == OK)
        return OK;
    pulse->is_started = true;
    return thread_start(op, &pulse->thread, "pulse", pulse_run, pulse);
}

enum err pulse_start(struct op *op, const struct pulse_config *config, struct pulse **ret_pulse)
{
    struct pulse *pulse = calloc(1, sizeof *pulse);
    if (!pulse)
        abort();
    pulse->config = *config;
    pulse->is_shared = store_is_shared(config->store);
    atomic_store(&pulse->offset_us, pulse->is_shared ? NODE_NO_OFFSET : 0);
    pulse->board = node_board_new();
    op_init(&pulse->op, arena_new(PULSE_BYTES_MAX), op->now_us);
    name_node(pulse);
    declare_metrics(pulse);
    mailbox_init(&pulse->sleep, 1, NULL, NULL);
    enum err err = begin(op, pulse);
    if (err != OK) {
        store_fence_end(config->store);
        settled(pulse, nothing_run); /* behind it the writer knows of no fence any more */
        pulse_free(pulse);
        return err;
    }
    *ret_pulse = pulse;
    return OK;
}

void pulse_stop(struct pulse *pulse)
{
    if (pulse->is_started) {
        atomic_store(&pulse->stop, true);
        mailbox_nudge(&pulse->sleep);
        thread_join(&pulse->thread);
    }
    /* What the writer still has to do does not begin another life. A store that cannot write: the row stays, and is
     * called lost by others. */
    store_fence_end(pulse->config.store);
    struct node_life board = node_board_get(pulse->board);
    if (board.epoch > pulse->life.epoch)
        pulse->life = board;
    if (pulse->life.no && settled(pulse, leave_run) != OK)
        log_warn("this node could not say that it leaves", LOG_ERROR_OF(&pulse->op));
    pulse_free(pulse);
}

struct node_board *pulse_board(struct pulse *pulse)
{
    return pulse->board;
}
