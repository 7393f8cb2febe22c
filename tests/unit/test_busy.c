#include "test.h"

#include "net/busy.h"

static void *end_later(void *data)
{
    busy_end(data);
    return NULL;
}

TEST(busy, waits_for_the_last_one_or_as_long_as_it_is_told)
{
    struct busy busy;
    pthread_t thread;
    busy_init(&busy);
    YES(busy_wait(&busy, -1));
    busy_begin(&busy);
    busy_begin(&busy);
    NO(busy_wait(&busy, 0));
    NO(busy_wait(&busy, 20));
    busy_end(&busy);
    NO(busy_wait(&busy, 0));
    EQ(pthread_create(&thread, NULL, end_later, &busy), 0);
    YES(busy_wait(&busy, -1));
    pthread_join(thread, NULL);
    busy_done(&busy);
}

TEST(busy, counts_a_post_until_it_is_freed)
{
    struct busy busy;
    struct loop *loop = loop_start("test");
    busy_init(&busy);
    struct post *post = busy_post_new(&busy, loop, 7, sizeof *post, 1 << 16);
    EQ(post->op.now_us, 7);
    NO(busy_wait(&busy, 0));
    busy_post_free(&busy, post);
    YES(busy_wait(&busy, 0));
    loop_stop(loop);
    busy_done(&busy);
}
