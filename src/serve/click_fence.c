/*
 * click_fence.c - who waits until all that joined the line before him is answered: each lane is asked on its own loop,
 * and the last one that has nothing older left lets him pass.
 */
#include <assert.h>

#include "serve/click_line_parts.h"

static void one_passed(struct click_fence *fence)
{
    struct loop *home = line_home(fence->line)->loop;
    if (atomic_fetch_sub(&fence->open, 1) > 1)
        return;
    if (loop_is_mine(home))
        fence->passed(fence);
    else
        loop_send(home, &fence->home);
}

static void fence_home(struct errand *errand)
{
    struct click_fence *fence = MAIL_OF(errand, struct click_fence, home);
    fence->passed(fence);
}

static void pass_over(struct errand *errand)
{
    one_passed(MAIL_OF(errand, struct click_pass, errand)->fence);
}

/* On another loop than the fence's what was answered has been written when this turn has ended, and not before. */
void lane_pass_fences(struct click_lane *lane)
{
    while (lane->passes && lane->passes->missing == 0) {
        struct click_pass *pass = lane->passes;
        lane->passes = pass->next;
        if (!lane->passes)
            lane->last_pass = &lane->passes;
        pass->errand.run = pass_over;
        if (lane == line_home(lane->line))
            pass_over(&pass->errand);
        else
            loop_at_turn_end(lane->loop, &pass->errand);
    }
}

static void pass_begin(struct errand *errand)
{
    struct click_pass *pass = MAIL_OF(errand, struct click_pass, errand);
    struct click_lane *lane = pass->lane;
    pass->upto = lane->added;
    pass->missing = lane->added - lane->answered;
    pass->next = NULL;
    *lane->last_pass = pass;
    lane->last_pass = &pass->next;
    lane_pass_fences(lane);
}

/* The home lane's is the last, since the fence may be gone when it has passed. */
void click_line_fence(struct click_line *line, struct click_fence *fence)
{
    assert(loop_is_mine(line_home(line)->loop));
    fence->line = line;
    fence->home.run = fence_home;
    atomic_init(&fence->open, line->lane_count);
    for (int i = line->lane_count - 1; i >= 0; i--) {
        struct click_pass *pass = &fence->passes[i];
        pass->errand.run = pass_begin;
        pass->fence = fence;
        pass->lane = &line->lanes[i];
        if (i > 0)
            loop_send(pass->lane->loop, &pass->errand);
        else
            pass_begin(&pass->errand);
    }
}
