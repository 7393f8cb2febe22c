#include "serve/link_cache.h"

#include <assert.h>
#include <stdlib.h>

#define SLOTS_FIRST      1024 /* a power of two */
#define MALLOC_BYTES     16   /* of the allocator, for each entry */
#define CODE_BYTES_MAX   128
#define CACHE_LINE_BYTES 64

/* Cuts, code and destination stand behind it. */
struct entry {
    struct entry *chain;
    uint32_t hash; /* lower half; upper bits choose nothing */
    uint32_t no;   /* 0 = missing */
    uint32_t tenant_no;
    uint32_t mailing_no;
    uint32_t version;
    uint32_t loaded; /* in 1/16 s */
    uint16_t url_bytes;
    uint8_t code_bytes;
    uint8_t cut_count;
    bool honeypot, recent;
    struct link_cut cuts[];
};

struct link_cache {
    struct siphash_key key;
    struct entry **slots;
    size_t slot_count, count, missing, bytes, bytes_max;
    size_t hand; /* slot that is looked at next for something to give up */
    uint64_t learnt;
    uint32_t learnt_hash[LINK_CACHE_LEARNT]; /* of the newest of them; number n stands at n % LINK_CACHE_LEARNT */
};

struct link_cache *link_cache_new(struct siphash_key key, size_t bytes_max)
{
    struct link_cache *cache = calloc(1, sizeof *cache);
    if (!cache)
        abort();
    cache->key = key;
    cache->bytes_max = bytes_max;
    cache->slot_count = SLOTS_FIRST;
    cache->slots = calloc(cache->slot_count, sizeof(struct entry *));
    if (!cache->slots)
        abort();
    return cache;
}

static void forget_all(struct link_cache *cache)
{
    for (size_t i = 0; i < cache->slot_count; i++)
        for (struct entry *entry = cache->slots[i], *next; entry; entry = next) {
            next = entry->chain;
            free(entry);
        }
    memset(cache->slots, 0, cache->slot_count * sizeof(struct entry *));
    cache->count = cache->missing = cache->bytes = 0;
}

void link_cache_clear(struct link_cache *cache)
{
    forget_all(cache);
    cache->learnt += LINK_CACHE_LEARNT + 1;
}

void link_cache_free(struct link_cache *cache)
{
    if (!cache)
        return;
    forget_all(cache);
    free(cache->slots);
    free(cache);
}

static char *code_at(struct entry *entry)
{
    return (char *)(entry->cuts + entry->cut_count);
}

static struct str entry_code(struct entry *entry)
{
    return (struct str){ code_at(entry), entry->code_bytes };
}

static size_t entry_bytes(const struct entry *entry)
{
    return sizeof *entry + entry->cut_count * sizeof *entry->cuts + entry->code_bytes + entry->url_bytes + MALLOC_BYTES;
}

static uint32_t sixteenths(int64_t now_ms)
{
    return (uint32_t)(now_ms * 16 / 1000);
}

static bool is_old(const struct entry *entry, int64_t now_ms)
{
    uint32_t lives_ms = entry->no ? LINK_CACHE_LIVES_MS : LINK_CACHE_MISSING_MS;
    return (int32_t)(sixteenths(now_ms) - entry->loaded) > (int32_t)(lives_ms * 16 / 1000);
}

uint32_t link_cache_hash(const struct link_cache *cache, struct str code)
{
    return (uint32_t)siphash64(cache->key, code.p, code.n);
}

static struct entry **slot_of(const struct link_cache *cache, uint32_t hash)
{
    return &cache->slots[hash & (cache->slot_count - 1)];
}

void link_cache_fetch_slot(const struct link_cache *cache, uint32_t hash)
{
    __builtin_prefetch(slot_of(cache, hash));
}

/* Mostly it is the first one of its chain, and a short destination ends in its second line. */
void link_cache_fetch_entry(const struct link_cache *cache, uint32_t hash)
{
    uintptr_t entry = (uintptr_t)*slot_of(cache, hash);
    __builtin_prefetch((const void *)entry);
    __builtin_prefetch((const void *)(entry + CACHE_LINE_BYTES));
}

/* The link that points to the entry of this code, or to the end of its chain. */
static struct entry **find(const struct link_cache *cache, uint32_t hash, struct str code)
{
    struct entry **at = slot_of(cache, hash);
    while (*at && ((*at)->hash != hash || !str_eq(entry_code(*at), code)))
        at = &(*at)->chain;
    return at;
}

bool link_cache_find(struct link_cache *cache, struct str code, uint32_t hash, int64_t now_ms, struct cached_link *ret)
{
    struct entry *entry = *find(cache, hash, code);
    if (!entry || is_old(entry, now_ms))
        return false;
    entry->recent = true;
    *ret = (struct cached_link){ .no = entry->no,
                                 .tenant_no = entry->tenant_no,
                                 .mailing_no = entry->mailing_no,
                                 .version = entry->version,
                                 .honeypot = entry->honeypot,
                                 .code = entry_code(entry),
                                 .url = { code_at(entry) + entry->code_bytes, entry->url_bytes },
                                 .cuts = entry->cuts,
                                 .cut_count = entry->cut_count };
    return true;
}

/* --- room --------------------------------------------------------------------- */

static void forget(struct link_cache *cache, struct entry **at)
{
    struct entry *entry = *at;
    *at = entry->chain;
    cache->count--;
    cache->missing -= entry->no == 0;
    cache->bytes -= entry_bytes(entry);
    free(entry);
}

/* One step of the clock hand: gives up what was not used since it last passed. */
static void sweep(struct link_cache *cache, bool missing_only)
{
    struct entry **at = &cache->slots[cache->hand++ & (cache->slot_count - 1)];
    while (*at) {
        if ((missing_only && (*at)->no) || (!missing_only && (*at)->recent)) {
            (*at)->recent &= missing_only;
            at = &(*at)->chain;
        } else {
            forget(cache, at);
        }
    }
}

static void widen(struct link_cache *cache)
{
    size_t wider = 2 * cache->slot_count;
    struct entry **slots = calloc(wider, sizeof(struct entry *));
    if (!slots)
        abort();
    for (size_t i = 0; i < cache->slot_count; i++)
        for (struct entry *entry = cache->slots[i], *next; entry; entry = next) {
            next = entry->chain;
            entry->chain = slots[entry->hash & (wider - 1)];
            slots[entry->hash & (wider - 1)] = entry;
        }
    free(cache->slots);
    cache->slots = slots;
    cache->slot_count = wider;
}

static void add(struct link_cache *cache, struct entry *entry, uint32_t hash)
{
    if (cache->count >= cache->slot_count)
        widen(cache);
    while (cache->count >= LINK_CACHE_COUNT_MAX ||
           (cache->count && cache->bytes + entry_bytes(entry) > cache->bytes_max))
        sweep(cache, false);
    while (entry->no == 0 && cache->missing >= LINK_CACHE_MISSING_MAX)
        sweep(cache, true);
    struct entry **slot = slot_of(cache, hash);
    entry->hash = hash;
    entry->chain = *slot;
    *slot = entry;
    cache->count++;
    cache->missing += entry->no == 0;
    cache->bytes += entry_bytes(entry);
}

static struct entry *entry_new(struct str code, struct str url, const struct link_cut *cuts, size_t cut_count)
{
    struct entry *entry = malloc(sizeof *entry + cut_count * sizeof *cuts + code.n + url.n);
    if (!entry)
        abort();
    assert(code.n <= CODE_BYTES_MAX && url.n <= LINK_URL_BYTES_MAX && cut_count <= LINK_CUTS_MAX);
    *entry =
        (struct entry){ .url_bytes = (uint16_t)url.n, .code_bytes = (uint8_t)code.n, .cut_count = (uint8_t)cut_count };
    memcpy(entry->cuts, cuts, cut_count * sizeof *cuts);
    memcpy(code_at(entry), code.p, code.n);
    memcpy(code_at(entry) + code.n, url.p, url.n);
    return entry;
}

static void put(struct link_cache *cache, const struct link *link, uint32_t hash, int64_t now_ms)
{
    struct link_cut cuts[LINK_CUTS_MAX];
    struct entry **at = find(cache, hash, link->code);
    if (*at && (*at)->no == link->no && (*at)->version > link->version)
        return; /* it was read before the change that stands here */
    if (*at)
        forget(cache, at);
    struct entry *entry = entry_new(link->code, link->url, cuts, link_url_cuts(link->url, cuts));
    entry->no = link->no;
    entry->tenant_no = link->tenant_no;
    entry->mailing_no = link->mailing_no;
    entry->version = link->version;
    entry->honeypot = link->honeypot;
    entry->loaded = sixteenths(now_ms);
    add(cache, entry, hash);
}

/* What was read since the mark may be older than what was learnt. */
static bool learnt_since(const struct link_cache *cache, uint32_t hash, uint64_t mark)
{
    bool found = cache->learnt - mark > LINK_CACHE_LEARNT;
    for (uint64_t n = mark; n < cache->learnt && !found; n++)
        found = cache->learnt_hash[n % LINK_CACHE_LEARNT] == hash;
    return found;
}

void link_cache_learn(struct link_cache *cache, const struct link *link, int64_t now_ms)
{
    uint32_t hash = link_cache_hash(cache, link->code);
    cache->learnt_hash[cache->learnt++ % LINK_CACHE_LEARNT] = hash;
    put(cache, link, hash, now_ms);
}

uint64_t link_cache_mark(const struct link_cache *cache)
{
    return cache->learnt;
}

void link_cache_put(struct link_cache *cache, const struct link *link, int64_t now_ms, uint64_t mark)
{
    uint32_t hash = link_cache_hash(cache, link->code);
    if (!learnt_since(cache, hash, mark))
        put(cache, link, hash, now_ms);
}

void link_cache_put_missing(struct link_cache *cache, struct str code, int64_t now_ms, uint64_t mark)
{
    uint32_t hash = link_cache_hash(cache, code);
    struct entry **at = find(cache, hash, code);
    if (code.n > CODE_BYTES_MAX || (*at && (*at)->no && !is_old(*at, now_ms)) || learnt_since(cache, hash, mark))
        return; /* it was looked for before it was made */
    if (*at)
        forget(cache, at);
    struct link_cut no_cuts[1];
    struct entry *entry = entry_new(code, S(""), no_cuts, 0);
    entry->loaded = sixteenths(now_ms);
    add(cache, entry, hash);
}

bool link_cache_has_room(const struct link_cache *cache)
{
    return cache->count < LINK_CACHE_COUNT_MAX - LINK_CACHE_COUNT_MAX / 16 &&
           cache->bytes < cache->bytes_max - cache->bytes_max / 16;
}

size_t link_cache_bytes(const struct link_cache *cache)
{
    return cache->bytes + cache->slot_count * sizeof(struct entry *);
}

size_t link_cache_count(const struct link_cache *cache)
{
    return cache->count;
}
