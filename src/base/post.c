#include "base/post.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#define ROLES (THREAD_DOOR + 1)

static struct {
    void (*deliver)(void *end, struct post *post);
    void *end;
} post_ends[ROLES];

void post_install(enum thread_role role, void (*deliver)(void *end, struct post *post), void *end)
{
    assert(role >= THREAD_WRITER && role < ROLES);
    post_ends[role].deliver = deliver;
    post_ends[role].end = end;
}

_Static_assert(offsetof(struct post, op) + sizeof(struct op) == sizeof(struct post), "op is last");

void post_init(struct post *post, struct arena *arena, int64_t now_us)
{
    memset(post, 0, offsetof(struct post, op));
    op_init(&post->op, arena, now_us);
}

void post_send(struct post *post)
{
    enum thread_role role = post->hop->thread;
    if (role == THREAD_CALLER) {
        post->home(post);
        return;
    }
    assert(post_ends[role].deliver); /* the store starts before anything posts */
    post_ends[role].deliver(post_ends[role].end, post);
}

void post_run(struct post *post)
{
    const struct hop *hop = post->hop++;
    bool last = post->hop->run == NULL;
    enum err err = hop->run(post);
    if (!last)
        post->err = err; /* after its last hop the post may be gone */
}

void post_release(struct post *post, enum err err)
{
    assert(post->held);
    post->held = false;
    post->err = err;
    post_send(post);
}
