/*
 * click_line_end.c - the line is drained before its loops end.
 *
 * The doors are closed, so no click comes. What is with the spool or the writer is waited for, and what the spool holds
 * is stored as long as the store takes it; the rest is found by the next start.
 */
#include "serve/click_line_parts.h"

void line_end_drain(struct click_line *line)
{
    struct drain *drain = line->drain;
    bool busy =
        line->under_way.first || line->spooling.first || line->held.first || (line->replay && line->replay->under_way);
    if (!drain || busy || (line_left(line) > 0 && !atomic_load(&line->stalled) && line_now_ms(line) < drain->until_ms))
        return;
    if (line_left(line) > 0)
        log_info("clicks stay in the spool for the next start", LOG_INT("clicks", (int64_t)line_left(line)));
    line->drain = NULL;
    line->state = LINE_STORE; /* nothing is begun any more */
    if (line->spool && line_left(line) == 0 && !line->cleared)
        click_spool_clear(line->spool);
    mailbox_post_always(&drain->box, &drain->done);
}

struct begin_drain {
    struct click_line *line;
    struct drain *drain;
};

static void begin_drain(void *data)
{
    const struct begin_drain *begin = data;
    struct click_line *line = begin->line;
    lane_lock(line_home(line));
    line->drain = begin->drain;
    line->drain->until_ms = line_now_ms(line) + line->config.drain_ms;
    line_go_on(line);
    lane_unlock(line_home(line));
}

/* Who wrote the last group calls the others only after it has given the line back. It has done so when it takes a call
 * itself: behind this no loop calls another one, and they may end in any order but for the home one, the last. */
static void await_calls(const struct click_line *line)
{
    for (int i = 0; i < line->lane_count; i++)
        loop_await(line->lanes[i].loop);
}

void click_line_drain(struct click_line *line)
{
    struct drain drain = { .done.next = NULL };
    mailbox_init(&drain.box, INT64_MAX, NULL, NULL);
    struct begin_drain begin = { line, &drain };
    loop_call(line->config.loop, begin_drain, &begin);
    while (!mailbox_wait(&drain.box, -1))
        continue;
    await_calls(line);
    click_spool_stop(line->spool); /* it may still be making its file */
}
