#include "store/spool.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "store/spool_former.h"

#define MAGIC      0x33304c4f4f505350u /* "PSPOOL03" */
#define PAGE_BYTES 4096
#define FILL_BYTES 65536
#define AT_ONCE    512 /* records of one read or write */

struct header {
    uint64_t magic;
    uint64_t from; /* the first number that counts; never 0 */
    uint64_t places;
    uint32_t owner; /* CRC of its name */
    uint32_t crc;   /* of what stands before it */
};

struct record {
    uint32_t crc; /* of what stands behind it */
    uint32_t payload_bytes;
    uint64_t number;
    uint8_t payload[SPOOL_PAYLOAD_BYTES];
};
_Static_assert(sizeof(struct record) == SPOOL_RECORD_BYTES, "file format");

struct spool {
    int fd;
    uint32_t owner;
    uint64_t places;
    int newer;       /* which of the headers counts */
    uint64_t first;  /* the oldest record that counts */
    uint64_t next;   /* behind the newest durable one */
    uint64_t behind; /* appended behind it and not yet durable, */
    size_t unsaid;   /* and of those not yet written: in `records` */
    struct record records[AT_ONCE];
};

static enum err io_failed(struct op *op, const char *what)
{
    return fail(op, errno == ENOSPC ? ERR_TOO_LARGE : ERR_IO, "the spool of clicks: %s: %s", what, strerror(errno));
}

static enum err write_at(struct op *op, int fd, const void *bytes, size_t n, int64_t at)
{
    const char *p = bytes;
    while (n > 0) {
        ssize_t put = pwrite(fd, p, n, at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return io_failed(op, "writing");
        p += put;
        at += put;
        n -= (size_t)put;
    }
    return OK;
}

static bool read_at(int fd, void *ret_bytes, size_t n, int64_t at)
{
    return pread(fd, ret_bytes, n, at) == (ssize_t)n;
}

static int64_t record_at(const struct spool *spool, uint64_t number)
{
    return SPOOL_HEADER_BYTES + (int64_t)(number % spool->places) * SPOOL_RECORD_BYTES;
}

static int64_t file_bytes(const struct spool *spool)
{
    return SPOOL_HEADER_BYTES + (int64_t)spool->places * SPOOL_RECORD_BYTES;
}

/* Of `count` records from a number on, those whose places follow one another. */
static size_t run_of(const struct spool *spool, uint64_t number, uint64_t count)
{
    uint64_t to_end = spool->places - number % spool->places;
    uint64_t n = count < to_end ? count : to_end;
    return n < AT_ONCE ? (size_t)n : AT_ONCE;
}

static uint32_t record_crc(const struct record *record)
{
    return crc32c((const char *)record + sizeof record->crc, sizeof *record - sizeof record->crc);
}

/* --- header -------------------------------------------------------------------- */

static enum err header_write(struct op *op, struct spool *spool, uint64_t from)
{
    struct header header = { .magic = MAGIC, .from = from, .places = spool->places, .owner = spool->owner };
    int other = !spool->newer;
    header.crc = crc32c(&header, offsetof(struct header, crc));
    TRY(write_at(op, spool->fd, &header, sizeof header, (int64_t)other * PAGE_BYTES));
    if (fdatasync(spool->fd) != 0)
        return io_failed(op, "syncing");
    spool->newer = other;
    return OK;
}

static struct header header_read(const struct spool *spool, int which)
{
    struct header header;
    if (!read_at(spool->fd, &header, sizeof header, (int64_t)which * PAGE_BYTES) || header.magic != MAGIC ||
        header.crc != crc32c(&header, offsetof(struct header, crc)) || header.places < SPOOL_PLACES_MIN ||
        header.places > SPOOL_PLACES_MAX)
        return (struct header){ 0 };
    return header;
}

/* --- records ------------------------------------------------------------------- */

static bool record_fits(const struct record *record)
{
    return record->number > 0 && record->payload_bytes <= SPOOL_PAYLOAD_BYTES && record->crc == record_crc(record);
}

/* Finds the oldest and the newest record from `from` on. */
static enum err find_records(struct op *op, struct spool *spool, uint64_t from)
{
    uint64_t oldest = UINT64_MAX, newest = 0;
    size_t n;
    for (uint64_t place = 0; place < spool->places; place += n) {
        n = run_of(spool, place, spool->places - place);
        if (!read_at(spool->fd, spool->records, n * sizeof *spool->records, record_at(spool, place)))
            return io_failed(op, "reading");
        for (size_t i = 0; i < n; i++) {
            const struct record *record = &spool->records[i];
            if (record->number < from || record->number % spool->places != place + i || !record_fits(record))
                continue;
            oldest = record->number < oldest ? record->number : oldest;
            newest = record->number > newest ? record->number : newest;
        }
    }
    spool->first = newest ? oldest : from;
    spool->next = newest ? newest + 1 : from;
    return OK;
}

/* Writes what was appended; places behind one another at once. */
static enum err write_unsaid(struct op *op, struct spool *spool)
{
    uint64_t number = spool->next + spool->behind - spool->unsaid;
    const struct record *record = spool->records;
    while (spool->unsaid > 0) {
        size_t n = run_of(spool, number, spool->unsaid);
        TRY(write_at(op, spool->fd, record, n * sizeof *record, record_at(spool, number)));
        spool->unsaid -= n;
        record += n;
        number += n;
    }
    return OK;
}

static void forget_behind(struct spool *spool)
{
    spool->behind = spool->unsaid = 0;
}

enum err spool_append(struct op *op, struct spool *spool, const void *payload, size_t n)
{
    assert(n <= SPOOL_PAYLOAD_BYTES);
    if (spool_next(spool) - spool->first >= spool->places)
        return fail(op, ERR_TOO_LARGE, "the spool of clicks is full");
    if (spool->unsaid == AT_ONCE)
        TRY(write_unsaid(op, spool));
    struct record *record = &spool->records[spool->unsaid++];
    *record = (struct record){ .number = spool_next(spool), .payload_bytes = (uint32_t)n };
    memcpy(record->payload, payload, n);
    record->crc = record_crc(record);
    spool->behind++;
    return OK;
}

enum err spool_sync(struct op *op, struct spool *spool)
{
    enum err err = write_unsaid(op, spool);
    if (err == OK && fdatasync(spool->fd) != 0)
        err = io_failed(op, "syncing");
    if (err == OK)
        spool->next += spool->behind;
    forget_behind(spool);
    return err;
}

enum err spool_each(struct op *op, const struct spool *spool, uint64_t from, uint64_t to, size_t n,
                    void (*take)(uint64_t number, const void *payload, void *arg), void *arg)
{
    struct record records[AT_ONCE];
    size_t count;
    for (uint64_t number = from; number < to; number += count) {
        count = run_of(spool, number, to - number);
        if (!read_at(spool->fd, records, count * sizeof *records, record_at(spool, number)))
            return io_failed(op, "reading");
        for (size_t i = 0; i < count; i++)
            if (records[i].number == number + i && records[i].payload_bytes == n && record_fits(&records[i]))
                take(number + i, records[i].payload, arg);
    }
    return OK;
}

struct one {
    void *payload;
    size_t bytes;
    bool found;
};

static void take_one(uint64_t number, const void *payload, void *arg)
{
    (void)number;
    struct one *one = arg;
    memcpy(one->payload, payload, one->bytes);
    one->found = true;
}

enum err spool_read(struct op *op, struct spool *spool, size_t i, void *ret_payload, size_t n)
{
    struct one one = { .payload = ret_payload, .bytes = n };
    uint64_t number = spool->first + i;
    if (i < spool_count(spool))
        TRY(spool_each(op, spool, number, number + 1, n, take_one, &one));
    return one.found ? OK : fail(op, ERR_NOT_FOUND, "the spool of clicks has no record %zu", i);
}

size_t spool_places(const struct spool *spool)
{
    return (size_t)spool->places;
}

uint64_t spool_first(const struct spool *spool)
{
    return spool->first;
}

uint64_t spool_next(const struct spool *spool)
{
    return spool->next + spool->behind;
}

void spool_drop(struct spool *spool, size_t n)
{
    assert(n <= spool_count(spool));
    spool->first += n;
}

enum err spool_clear(struct op *op, struct spool *spool)
{
    TRY(header_write(op, spool, spool->next));
    spool->first = spool->next;
    forget_behind(spool);
    return OK;
}

size_t spool_count(const struct spool *spool)
{
    return (size_t)(spool->next - spool->first);
}

/* --- the file ------------------------------------------------------------------ */

/* Gives the file its size. Every block is written, so that no later write needs space. */
static enum err fill(struct op *op, struct spool *spool)
{
    static const char zeros[FILL_BYTES];
    struct stat stat;
    int64_t bytes = file_bytes(spool);
    if (fstat(spool->fd, &stat) != 0)
        return io_failed(op, "looking at it");
    if (stat.st_size == bytes)
        return OK;
    if (stat.st_size > bytes && ftruncate(spool->fd, bytes) != 0)
        return io_failed(op, "shortening it");
    for (int64_t at = stat.st_size; at < bytes; at += FILL_BYTES)
        TRY(write_at(op, spool->fd, zeros, bytes - at < FILL_BYTES ? (size_t)(bytes - at) : FILL_BYTES, at));
    if (fsync(spool->fd) != 0)
        return io_failed(op, "syncing");
    return OK;
}

static struct header newer_header(struct spool *spool)
{
    struct header a = header_read(spool, 0), b = header_read(spool, 1);
    spool->newer = b.from > a.from;
    return spool->newer ? b : a;
}

/* An empty file gets another size. When there is no space for it the old one will do. */
static enum err resize(struct op *op, struct spool *spool, size_t places)
{
    uint64_t before = spool->places;
    spool->places = places;
    if (fill(op, spool) != OK) {
        spool->places = before;
        op->error[0] = '\0';
        TRY(fill(op, spool));
    }
    spool->next++; /* so that no header of before looks as new as this one */
    return spool_clear(op, spool);
}

static enum err spool_begin(struct op *op, struct spool *spool, size_t places)
{
    struct header newer = newer_header(spool);
    if (newer.from == 0) {
        TRY(spool_former_check(op, spool->fd));
        spool->places = places;
        spool->first = spool->next = 1;
        TRY(fill(op, spool));
        return spool_clear(op, spool);
    }
    spool->places = newer.places;
    TRY(fill(op, spool));
    TRY(find_records(op, spool, newer.from));
    bool is_ours = newer.owner == spool->owner;
    if (is_ours && (spool->places == places || spool_count(spool) > 0))
        return OK;
    return resize(op, spool, places);
}

enum err spool_open(struct op *op, const char *path, struct str owner, size_t places, struct spool **ret_spool,
                    size_t *ret_count)
{
    assert(places >= SPOOL_PLACES_MIN && places <= SPOOL_PLACES_MAX);
    struct spool *spool = calloc(1, sizeof *spool);
    if (!spool)
        abort();
    spool->owner = crc32c(owner.p, owner.n);
    bool is_new = access(path, F_OK) != 0;
    spool->fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    enum err err = spool->fd < 0 ? fail(op, ERR_IO, "cannot open %s: %s", path, strerror(errno)) : OK;
    if (err == OK)
        err = spool_begin(op, spool, places);
    if (err != OK) {
        if (is_new)
            unlink(path); /* half a spool would only take the space away from others */
        spool_close(spool);
        return err;
    }
    *ret_spool = spool;
    *ret_count = spool_count(spool);
    return OK;
}

enum err spool_look(struct op *op, const char *path, size_t *ret_count)
{
    *ret_count = 0;
    struct spool *spool = calloc(1, sizeof *spool);
    if (!spool)
        abort();
    spool->fd = open(path, O_RDONLY | O_CLOEXEC);
    struct header newer = { 0 };
    enum err err = OK;
    if (spool->fd >= 0)
        newer = newer_header(spool);
    else if (errno != ENOENT)
        err = io_failed(op, "looking at it");
    if (spool->fd >= 0 && newer.from == 0)
        err = spool_former_check(op, spool->fd);
    spool->places = newer.places;
    if (newer.from)
        err = find_records(op, spool, newer.from);
    if (newer.from && err == OK)
        *ret_count = spool_count(spool);
    spool_close(spool);
    return err;
}

void spool_close(struct spool *spool)
{
    if (!spool)
        return;
    if (spool->fd >= 0)
        close(spool->fd);
    free(spool);
}
