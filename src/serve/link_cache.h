/*
 * link_cache.h - code -> where it leads, so that a redirect asks the store nothing.
 *
 * An entry holds the destination with its cut points found. Entries are used
 * for 10 minutes and then read again; the whole stays below a number of bytes
 * and of entries, those not used lately go first. That a code is unknown is remembered for
 * 2 s and for at most 10,000 codes, so a scan over random codes neither fills
 * memory nor floods the store (LNK-20, LNK-21). The key is the code, never the
 * path it came by (LNK-23).
 *
 * What is read of the store may be older than what was learnt meanwhile, and the
 * entry that would tell may have been given up again. So the cache remembers
 * which codes it learnt last, and whoever reads takes a mark before he begins.
 *
 * Thread: one at a time, under the lock of its redirect. Loops do not read their clocks at the same moment, so `now_ms`
 * may be a little less than what was told before.
 */
#pragma once

#include "base/siphash.h"
#include "engine/link_url.h"
#include "store/store_link.h"

#define LINK_CACHE_BYTES_MAX   (64u << 20)
#define LINK_CACHE_COUNT_MAX   200000 /* links and unknown codes */
#define LINK_CACHE_LIVES_MS    600000
#define LINK_CACHE_MISSING_MS  2000
#define LINK_CACHE_MISSING_MAX 10000
#define LINK_CACHE_LEARNT      4096 /* a power of two; codes remembered for reads under way */

/* A link as a redirect needs it; valid until the cache is changed. */
struct cached_link {
    uint32_t no; /* 0: there is no link of this code */
    uint32_t tenant_no;
    uint32_t mailing_no;
    uint32_t version;
    bool honeypot;
    struct str code;
    struct str url;
    const struct link_cut *cuts;
    size_t cut_count;
};

struct link_cache;

struct link_cache *link_cache_new(struct siphash_key key, size_t bytes_max);
void link_cache_free(struct link_cache *cache);

/* By what a code is found; of a cache that others change, too, at any time. */
uint32_t link_cache_hash(const struct link_cache *cache, struct str code);

/* A look at a large cache waits for memory twice: for the slot, and for the entry that it names. Who has something else
 * to do meanwhile has the one fetched, and then the other. */
void link_cache_fetch_slot(const struct link_cache *cache, uint32_t hash);
void link_cache_fetch_entry(const struct link_cache *cache, uint32_t hash);

/* False when nothing is known of the code; hash is its link_cache_hash. */
bool link_cache_find(struct link_cache *cache, struct str code, uint32_t hash, int64_t now_ms, struct cached_link *ret);

/* A link was made or changed: remembers or replaces it; an older version than the one that stands is left out. */
void link_cache_learn(struct link_cache *cache, const struct link *link, int64_t now_ms);

/* Changes may have been missed: forgets everything, and what is being read, too. */
void link_cache_clear(struct link_cache *cache);

/* To be taken before a read begins. */
uint64_t link_cache_mark(const struct link_cache *cache);

/* What a read found: remembered as link_cache_learn does, unless its code was learnt since the mark, or so many were
 * that nobody knows. */
void link_cache_put(struct link_cache *cache, const struct link *link, int64_t now_ms, uint64_t mark);

/* The same of a code that it did not find: there is no such link. */
void link_cache_put_missing(struct link_cache *cache, struct str code, int64_t now_ms, uint64_t mark);

/* There is room for some thousand links more: what is put goes in beside what is in use, not in its place. */
bool link_cache_has_room(const struct link_cache *cache);

size_t link_cache_bytes(const struct link_cache *cache);
size_t link_cache_count(const struct link_cache *cache);
