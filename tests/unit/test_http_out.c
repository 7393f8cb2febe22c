#include "net/http_out.h"
#include "test.h"

static struct http_request *sent_owner;
static int sent_count;

static void on_sent(struct http_request *owner)
{
    sent_owner = owner;
    sent_count++;
}

/* Everything that waits, as one text. */
static struct str gathered(const struct http_out *out, char *buffer)
{
    uv_buf_t bufs[64];
    unsigned count = http_out_gather(out, bufs, 64);
    size_t n = 0;
    for (unsigned i = 0; i < count; i++) {
        memcpy(buffer + n, bufs[i].base, bufs[i].len);
        n += bufs[i].len;
    }
    return (struct str){ buffer, n };
}

TEST(http_out, joins_small_answers_into_one_piece)
{
    char buffer[8192];
    uv_buf_t bufs[8];
    struct http_pool pool = { .sent = on_sent };
    struct http_out out = { 0 };
    http_out_add(&out, &pool, S("one "));
    http_out_add(&out, &pool, S("two "));
    http_out_add(&out, &pool, S("three"));
    EQ(http_out_gather(&out, bufs, 8), 1);
    STR_EQ(gathered(&out, buffer), "one two three");
    http_out_consume(&out, &pool, 4);
    STR_EQ(gathered(&out, buffer), "two three");
    http_out_add(&out, &pool, S("!"));
    STR_EQ(gathered(&out, buffer), "two three!");
    EQ(out.waiting, 10);
    http_out_consume(&out, &pool, 10);
    EQ(http_out_gather(&out, bufs, 8), 0);
    YES(out.first == NULL && out.last == NULL);
    EQ(pool.count, 1); /* the block waits for the next answer */
    http_pool_done(&pool);
}

TEST(http_out, keeps_the_order_of_copies_and_references)
{
    char buffer[8192], large[3000];
    memset(large, 'L', sizeof large);
    struct http_request *owner = (struct http_request *)(void *)large;
    struct http_pool pool = { .sent = on_sent };
    struct http_out out = { 0 };
    sent_count = 0;
    http_out_add(&out, &pool, S("head "));
    http_out_refer(&out, &pool, (struct str){ large, sizeof large }, owner);
    http_out_add(&out, &pool, S(" tail"));
    struct str all = gathered(&out, buffer);
    EQ(all.n, sizeof large + 10);
    YES(str_starts(all, S("head LLL")) && str_ends(all, S("LLL tail")));

    http_out_consume(&out, &pool, 5 + sizeof large - 1);
    EQ(sent_count, 0);
    http_out_consume(&out, &pool, 1);
    EQ(sent_count, 1);
    YES(sent_owner == owner);
    STR_EQ(gathered(&out, buffer), " tail");
    http_out_clear(&out, &pool);
    http_pool_done(&pool);
}

TEST(http_out, finds_room_for_what_is_larger_than_a_block)
{
    struct http_pool pool = { .sent = on_sent };
    struct http_out out = { 0 };
    http_out_add(&out, &pool, S("x"));
    char *room = http_out_room(&out, &pool, 10 * HTTP_BLOCK_BYTES);
    memset(room, 'y', 10 * HTTP_BLOCK_BYTES);
    http_out_used(&out, 10 * HTTP_BLOCK_BYTES);
    EQ(out.waiting, 1 + 10 * HTTP_BLOCK_BYTES);
    http_out_clear(&out, &pool);
    EQ(out.waiting, 0);
    EQ(pool.count, 1); /* the large one is not kept */
    http_pool_done(&pool);
}

TEST(http_out, tells_the_owner_when_everything_is_given_up)
{
    static char bytes[10];
    struct http_pool pool = { .sent = on_sent };
    struct http_out out = { 0 };
    sent_count = 0;
    http_out_refer(&out, &pool, (struct str){ bytes, sizeof bytes }, (struct http_request *)(void *)bytes);
    http_out_clear(&out, &pool);
    EQ(sent_count, 1);
    http_pool_done(&pool);
}
