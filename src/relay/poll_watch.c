/*
 * poll_watch.c - once a minute, source by source: warnings that are read off the rows get their begin kept, and the
 * gauges of /metrics move. The writer is asked only when a row would change.
 */
#include "base/log.h"
#include "engine/source_metrics.h"
#include "engine/source_status.h"
#include "relay/poller_parts.h"

#define WATCH_MS          60000
#define WATCH_FIRST_MS    5000
#define WATCH_ARENA_BYTES (4u << 20)

struct look {
    struct post post; /* first */
    struct poller *poller;
    struct polled *source;
    bool differs;
    int64_t lag_us[LANE_COUNT];
    int64_t last_event_us;
};

static enum err look_read(struct post *post)
{
    struct look *look = (struct look *)post;
    TRY(source_metrics_read(&post->op, post->tx, look->source->no, look->lag_us, &look->last_event_us));
    return source_warnings_look(&post->op, post->tx, look->source->no, &look->differs);
}

static enum err look_keep(struct post *post)
{
    struct look *look = (struct look *)post;
    return source_warnings_keep(&post->op, post->tx, look->source->no);
}

static void watch_next(struct poller *poller);

static enum err look_kept(struct post *post)
{
    struct look *look = (struct look *)post;
    struct poller *poller = look->poller;
    if (post->err != OK)
        log_warn("warnings of a source could not be kept", LOG_TEXT("source", look->source->id),
                 LOG_ERROR_OF(&post->op));
    poller_post_free(poller, post);
    watch_next(poller);
    return OK;
}

static const struct hop keep_route[] = {
    { look_keep, THREAD_WRITER },
    { look_kept, THREAD_CALLER },
    { 0 },
};

static enum err look_seen(struct post *post)
{
    struct look *look = (struct look *)post;
    struct poller *poller = look->poller;
    if (post->err == OK)
        source_metrics_gauge(str_of(look->source->id), look->lag_us, look->last_event_us);
    if (post->err == OK && look->differs && !poller->is_stopping) {
        post->hop = keep_route;
        post_send(post);
        return OK;
    }
    poller_post_free(poller, post);
    watch_next(poller);
    return OK;
}

static const struct hop look_route[] = {
    { look_read, THREAD_READER },
    { look_seen, THREAD_CALLER },
    { 0 },
};

/* Each source is looked after by one node: the one that reads it, or, when it only hears, the one that leads. */
static struct polled *next_own(const struct poller *poller, struct polled *source)
{
    bool leads = node_board_get(poller->config.nodes).term != 0;
    while (source && !(source->is_hook ? leads : polled_is_held(source)))
        source = source->next;
    return source;
}

static void watch_next(struct poller *poller)
{
    if (poller->is_stopping)
        return;
    struct polled *source = next_own(poller, poller->watched);
    if (!source) {
        loop_timer_set(poller->config.loop, &poller->watch_timer, WATCH_MS);
        return;
    }
    poller->watched = source->next;
    struct look *look = poller_post_new(poller, sizeof *look, WATCH_ARENA_BYTES);
    look->poller = poller;
    look->source = source;
    look->post.hop = look_route;
    post_send(&look->post);
}

static void watch_round(struct timer *timer)
{
    struct poller *poller = (struct poller *)((char *)timer - offsetof(struct poller, watch_timer));
    poller->watched = poller->sources;
    watch_next(poller);
}

void watch_start(struct poller *poller)
{
    poller->watch_timer.run = watch_round;
    loop_timer_set(poller->config.loop, &poller->watch_timer, WATCH_FIRST_MS);
}

void watch_stop(struct poller *poller)
{
    loop_timer_clear(poller->config.loop, &poller->watch_timer);
}
