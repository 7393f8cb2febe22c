#include "serve/link_cache.h"

#include "test.h"

static struct link link_of(const char *code, uint32_t no, uint32_t version, const char *url)
{
    return (struct link){ .no = no, .version = version, .code = str_of(code), .url = str_of(url) };
}

static struct link_cache *cache_of(size_t bytes)
{
    return link_cache_new((struct siphash_key){ 1, 2 }, bytes);
}

static bool finds(struct link_cache *cache, struct str code, int64_t now_ms, struct cached_link *ret)
{
    uint32_t hash = link_cache_hash(cache, code);
    link_cache_fetch_slot(cache, hash);
    link_cache_fetch_entry(cache, hash);
    return link_cache_find(cache, code, hash, now_ms, ret);
}

/* LNK-20 */
TEST(link_cache, gives_what_was_put_until_it_is_old)
{
    struct link_cache *cache = cache_of(1 << 20);
    struct cached_link got;
    struct link link = link_of("a", 7, 1, "https://x/?u=%%{uuid}%%");
    NO(finds(cache, S("a"), 0, &got));
    link_cache_put(cache, &link, 0, link_cache_mark(cache));
    YES(finds(cache, S("a"), LINK_CACHE_LIVES_MS, &got));
    EQ(got.no, 7);
    EQ(got.cut_count, 1);
    STR_EQ(got.url, "https://x/?u=%%{uuid}%%");
    NO(finds(cache, S("A"), 0, &got));
    NO(finds(cache, S("a"), LINK_CACHE_LIVES_MS + 1000, &got));
    link_cache_free(cache);
}

TEST(link_cache, never_goes_back_to_an_older_destination)
{
    struct link_cache *cache = cache_of(1 << 20);
    struct cached_link got;
    struct link old = link_of("a", 7, 1, "https://x/old"), new = link_of("a", 7, 2, "https://x/new");
    link_cache_learn(cache, &new, 0);
    link_cache_put(cache, &old, 0, link_cache_mark(cache));
    YES(finds(cache, S("a"), 0, &got));
    STR_EQ(got.url, "https://x/new");
    link_cache_put_missing(cache, S("a"), 0, link_cache_mark(cache)); /* looked for before it was made */
    YES(finds(cache, S("a"), 0, &got));
    EQ(got.no, 7);
    link_cache_free(cache);
}

/* So many other links that whatever stands is given up again. */
static void push_out_all(struct link_cache *cache)
{
    char code[16];
    for (uint32_t i = 0; i < 5000; i++) {
        snprintf(code, sizeof code, "o%u", i);
        struct link link = link_of(code, i + 100, 1, "https://x/");
        link_cache_put(cache, &link, 0, link_cache_mark(cache));
    }
}

TEST(link_cache, takes_nothing_of_a_read_that_began_before_a_change)
{
    struct link_cache *cache = cache_of(1 << 16);
    struct cached_link got;
    struct link old = link_of("a", 7, 1, "https://x/old"), new = link_of("a", 7, 2, "https://x/new");
    struct link beside = link_of("b", 8, 1, "https://x/b");
    uint64_t mark = link_cache_mark(cache);
    link_cache_learn(cache, &new, 0);
    push_out_all(cache);
    NO(finds(cache, S("a"), 0, &got));
    link_cache_put(cache, &old, 0, mark);
    link_cache_put_missing(cache, S("a"), 0, mark);
    NO(finds(cache, S("a"), 0, &got));
    link_cache_put(cache, &beside, 0, mark);
    YES(finds(cache, S("b"), 0, &got));
    link_cache_put(cache, &new, 0, link_cache_mark(cache));
    YES(finds(cache, S("a"), 0, &got));
    EQ(got.version, 2);
    link_cache_free(cache);
}

TEST(link_cache, takes_nothing_of_a_read_when_nobody_knows_what_changed_meanwhile)
{
    struct link_cache *cache = cache_of(1 << 16);
    struct cached_link got;
    struct link link = link_of("a", 7, 1, "https://x/"), beside = link_of("b", 8, 1, "https://x/b");
    uint64_t mark = link_cache_mark(cache);
    for (int i = 0; i < LINK_CACHE_LEARNT; i++)
        link_cache_learn(cache, &beside, 0);
    link_cache_put(cache, &link, 0, mark);
    YES(finds(cache, S("a"), 0, &got));
    link_cache_clear(cache);
    link_cache_put(cache, &link, 0, mark);
    NO(finds(cache, S("a"), 0, &got));
    link_cache_free(cache);
}

/* LNK-21 */
TEST(link_cache, remembers_unknown_codes_shortly_and_not_too_many)
{
    struct link_cache *cache = cache_of(8 << 20);
    struct cached_link got;
    char code[16];
    for (int i = 0; i < 30000; i++) {
        snprintf(code, sizeof code, "c%d", i);
        link_cache_put_missing(cache, str_of(code), 0, link_cache_mark(cache));
    }
    YES(link_cache_count(cache) <= LINK_CACHE_MISSING_MAX);
    YES(finds(cache, S("c29999"), LINK_CACHE_MISSING_MS, &got));
    EQ(got.no, 0);
    NO(finds(cache, S("c29999"), LINK_CACHE_MISSING_MS + 200, &got));
    struct link link = link_of("c29999", 3, 1, "https://x/");
    link_cache_put(cache, &link, 0, link_cache_mark(cache));
    YES(finds(cache, S("c29999"), 0, &got));
    EQ(got.no, 3);
    link_cache_free(cache);
}

TEST(link_cache, stays_below_its_bytes_and_keeps_what_is_used)
{
    struct link_cache *cache = cache_of(1 << 20);
    struct cached_link got;
    char code[16];
    struct link hot = link_of("hot", 1, 1, "https://x/hot");
    link_cache_put(cache, &hot, 0, link_cache_mark(cache));
    for (uint32_t i = 0; i < 100000; i++) {
        snprintf(code, sizeof code, "c%u", i);
        struct link link = link_of(code, i + 2, 1, "https://shop.example.org/product");
        link_cache_put(cache, &link, 0, link_cache_mark(cache));
        YES(finds(cache, S("hot"), 0, &got));
    }
    YES(link_cache_bytes(cache) < (1 << 20) + (1 << 18));
    YES(link_cache_count(cache) > 1000);
    link_cache_free(cache);
}

TEST(link_cache, has_room_for_neighbours_until_they_would_push_out_what_is_used)
{
    struct link_cache *cache = cache_of(1 << 20);
    char code[16];
    YES(link_cache_has_room(cache));
    for (uint32_t i = 0; i < 1000; i++) {
        snprintf(code, sizeof code, "c%u", i);
        struct link link = link_of(code, i + 1, 1, "https://shop.example.org/product");
        link_cache_put(cache, &link, 0, link_cache_mark(cache));
    }
    YES(link_cache_has_room(cache));
    for (uint32_t i = 1000; i < 50000; i++) {
        snprintf(code, sizeof code, "c%u", i);
        struct link link = link_of(code, i + 1, 1, "https://shop.example.org/product");
        link_cache_put(cache, &link, 0, link_cache_mark(cache));
    }
    NO(link_cache_has_room(cache));
    link_cache_free(cache);
}

TEST(link_cache, never_holds_more_links_than_it_may)
{
    struct link_cache *cache = cache_of(LINK_CACHE_BYTES_MAX);
    char code[16];
    for (uint32_t i = 0; i < LINK_CACHE_COUNT_MAX + 5000; i++) {
        snprintf(code, sizeof code, "c%u", i);
        struct link link = link_of(code, i + 1, 1, "https://x/");
        link_cache_put(cache, &link, 0, link_cache_mark(cache));
    }
    YES(link_cache_count(cache) <= LINK_CACHE_COUNT_MAX);
    YES(link_cache_count(cache) > LINK_CACHE_COUNT_MAX / 2);
    YES(link_cache_bytes(cache) < LINK_CACHE_BYTES_MAX);
    link_cache_free(cache);
}
