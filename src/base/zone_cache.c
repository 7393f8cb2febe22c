/*
 * zone_cache.c - zones by name: from the system's files once, then from memory.
 *
 * The table only ever grows and its slots are published atomically, so asking
 * for a known zone takes no lock.
 */
#include "base/zone.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/siphash.h"

#define SLOTS (2 * ZONES_MAX) /* at most half full: searches stay short */

static _Atomic(struct zone *) slots[SLOTS];
static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
static size_t loaded; /* zones in slots; under the lock */

/* Zones whose rules a reload replaced. Somebody may still hold them, so they stay reachable and are never freed. */
static struct retired {
    struct zone *zone;
    struct retired *next;
} * retired;

/* Letters, digits, "_", "+", "-", and single slashes between: no dots, so no way out of the directory. */
static bool name_is_plausible(struct str name)
{
    char before = '/';
    if (name.n == 0 || name.n > ZONE_NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < name.n; before = name.p[i++]) {
        char c = name.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c != '_' && c != '+' && c != '-' && (c != '/' || before == '/'))
            return false;
    }
    return before != '/';
}

/* The slot that holds the name, or the free one where it belongs. */
static _Atomic(struct zone *) *slot_of(struct str name)
{
    const struct siphash_key fixed = { 0, 0 }; /* only names of real files get in */
    size_t i = siphash64(fixed, name.p, name.n) % SLOTS;
    for (;; i = (i + 1) % SLOTS) {
        struct zone *zone = atomic_load_explicit(&slots[i], memory_order_acquire);
        if (!zone || str_eq(zone_name(zone), name))
            return &slots[i];
    }
}

static enum err unknown(struct op *op, struct str name)
{
    return fail(op, ERR_INVALID, "'%.*s' is not a time zone known here (IANA names such as Europe/London)", STR(name));
}

/* All bytes of an open file, in the op's arena. */
static enum err read_all(struct op *op, int fd, struct str *ret_bytes)
{
    char *bytes;
    size_t n = 0;
    TRY(op_alloc(op, ZONE_FILE_BYTES_MAX + 1, &bytes));
    for (;;) {
        ssize_t got = read(fd, bytes + n, ZONE_FILE_BYTES_MAX + 1 - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(op, ERR_IO, "zone file cannot be read: %s", strerror(errno));
        n += (size_t)got;
        if (got == 0 || n > ZONE_FILE_BYTES_MAX)
            break;
    }
    if (n > ZONE_FILE_BYTES_MAX)
        return fail(op, ERR_MALFORMED, "zone file is larger than %d bytes", ZONE_FILE_BYTES_MAX);
    *ret_bytes = (struct str){ bytes, n };
    return OK;
}

static enum err read_zone(struct op *op, struct str name, struct zone **ret_zone)
{
    const char *directory = getenv("TZDIR");
    char path[4096];
    struct str bytes;
    if (!directory || directory[0] != '/')
        directory = "/usr/share/zoneinfo";
    if (snprintf(path, sizeof path, "%s/%.*s", directory, STR(name)) >= (int)sizeof path)
        return unknown(op, name);

    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return unknown(op, name);
    struct stat stat;
    enum err err = fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode) ? OK : unknown(op, name);
    if (err == OK)
        err = read_all(op, fd, &bytes);
    if (err == OK)
        err = zone_from_tzif(op, name, bytes, ret_zone);
    close(fd);
    return err == ERR_MALFORMED ? unknown(op, name) : err;
}

/* Reads and publishes, under the lock; another thread may have been first. */
static enum err load(struct op *op, struct str name, const struct zone **ret_zone)
{
    _Atomic(struct zone *) *slot = slot_of(name);
    struct zone *zone = atomic_load_explicit(slot, memory_order_relaxed);
    if (!zone) {
        if (loaded == ZONES_MAX)
            return fail(op, ERR_TOO_LARGE, "more than %d time zones in use", ZONES_MAX);
        TRY(read_zone(op, name, &zone));
        loaded++;
        atomic_store_explicit(slot, zone, memory_order_release);
    }
    *ret_zone = zone;
    return OK;
}

/* The reader's memory is its own: a zone file may be larger than what the caller's op has left. */
static enum err load_locked(struct op *op, struct str name, const struct zone **ret_zone)
{
    struct op reading;
    struct arena *arena = arena_new(4 * ZONE_FILE_BYTES_MAX);
    op_init(&reading, arena, op->now_us);
    pthread_mutex_lock(&loading);
    enum err err = load(&reading, name, ret_zone);
    pthread_mutex_unlock(&loading);
    op_inherit(op, err, &reading);
    arena_free(arena);
    return err;
}

enum err zone_get(struct op *op, struct str name, const struct zone **ret_zone)
{
    if (str_eq(name, S("UTC"))) {
        *ret_zone = zone_utc();
        return OK;
    }
    if (!name_is_plausible(name))
        return unknown(op, name);

    const struct zone *zone = atomic_load_explicit(slot_of(name), memory_order_acquire);
    if (!zone)
        return load_locked(op, name, ret_zone);
    *ret_zone = zone;
    return OK;
}

/* Puts the zone's newest rules in its slot. What cannot be read now stays as it is. */
static void reload(struct op *op, _Atomic(struct zone *) *slot)
{
    struct zone *old = atomic_load_explicit(slot, memory_order_relaxed);
    struct retired *keep = malloc(sizeof *keep);
    struct zone *fresh;
    if (!keep || read_zone(op, zone_name(old), &fresh) != OK) {
        free(keep);
        return;
    }
    if (zone_same_rules(old, fresh)) {
        zone_free(fresh);
        free(keep);
        return;
    }
    *keep = (struct retired){ old, retired };
    retired = keep;
    atomic_store_explicit(slot, fresh, memory_order_release);
}

void zone_reload(void)
{
    struct op op;
    struct arena *arena = arena_new(4 * ZONE_FILE_BYTES_MAX);
    pthread_mutex_lock(&loading);
    for (size_t i = 0; i < SLOTS; i++) {
        op_init(&op, arena, 0);
        if (atomic_load_explicit(&slots[i], memory_order_relaxed))
            reload(&op, &slots[i]);
        arena_reset(arena);
    }
    pthread_mutex_unlock(&loading);
    arena_free(arena);
}
