/*
 * redirect_changes.c - destinations changed at other nodes are used here within a second (LNK-20).
 *
 * Nothing rings between processes, so a node looks twice a second for changes
 * behind the newest it knows: one look-up by primary key when there are none.
 * While the database cannot be read nothing can be heard, and redirects go on with
 * what is known. On a store that nobody shares there is nothing to look for.
 */
#include "base/log.h"
#include "serve/redirect_parts.h"

#define LOOK_MS        500
#define LOOK_BYTES_MAX (32u << 20)

struct look {
    struct post post; /* first */
    struct redirect *redirect;
    int64_t after;
    bool forgotten;
    struct link links[LINK_CHANGES_MAX];
    size_t count;
};

static enum err look_found(struct op *op, struct tx *tx, const struct link *link, void *arg)
{
    struct look *look = arg;
    (void)op, (void)tx;
    look->links[look->count++] = *link;
    return OK;
}

static enum err look_run(struct post *post)
{
    struct look *look = (struct look *)post;
    return store_link_changes(&post->op, post->tx, &look->after, &look->forgotten, look_found, look);
}

static void forget_links(struct redirect *redirect)
{
    pthread_mutex_lock(&redirect->lock);
    link_cache_clear(redirect->links);
    pthread_mutex_unlock(&redirect->lock);
}

static enum err look_back(struct post *post)
{
    struct look *look = (struct look *)post;
    struct redirect *redirect = look->redirect;
    redirect->looking = false;
    if (post->err == OK) {
        if (look->forgotten)
            forget_links(redirect);
        for (size_t i = 0; i < look->count; i++)
            redirect_learn(redirect, &look->links[i]);
        redirect->changes_known = look->after;
    } else {
        log_debug("changes of links could not be read", LOG_ERROR_OF(&post->op));
    }
    busy_post_free(&redirect->busy, post);
    return OK;
}

static void look_send(struct redirect *redirect)
{
    static const struct hop route[] = { { look_run, THREAD_DOOR, NULL }, { look_back, THREAD_CALLER, NULL }, { 0 } };
    struct loop *loop = redirect->config.loop;
    struct look *look = busy_post_new(&redirect->busy, loop, loop_wall_us(loop), sizeof *look, LOOK_BYTES_MAX);
    look->post.hop = route;
    look->redirect = redirect;
    look->after = redirect->changes_known;
    redirect->looking = true;
    post_send(&look->post);
}

static void look_tick(struct timer *timer)
{
    struct redirect *redirect = MAIL_OF(timer, struct redirect, look);
    if (!redirect->looking)
        look_send(redirect);
    loop_timer_set(redirect->config.loop, timer, LOOK_MS);
}

static void begin_looking(void *data)
{
    struct redirect *redirect = data;
    loop_timer_set(redirect->config.loop, &redirect->look, LOOK_MS);
}

static void end_looking(void *data)
{
    struct redirect *redirect = data;
    loop_timer_clear(redirect->config.loop, &redirect->look);
}

static enum err read_newest(struct op *op, struct tx *tx, void *arg)
{
    return store_link_change_newest(op, tx, &((struct redirect *)arg)->changes_known);
}

enum err changes_open(struct op *op, struct redirect *redirect)
{
    if (!store_is_shared(redirect->config.store))
        return OK;
    redirect->look.run = look_tick;
    TRY(store_read(op, redirect->config.store, read_newest, redirect));
    loop_call(redirect->config.loop, begin_looking, redirect);
    return OK;
}

void changes_stop(struct redirect *redirect)
{
    loop_call(redirect->config.loop, end_looking, redirect);
}
