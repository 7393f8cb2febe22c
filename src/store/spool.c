#include "store/spool.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"

#define MAGIC      0x32304c4f4f505350u /* "PSPOOL02" */
#define PAGE_BYTES 4096
#define FILE_BYTES (SPOOL_HEADER_BYTES + (int64_t)SPOOL_RECORDS * SPOOL_RECORD_BYTES)
#define FILL_BYTES 65536
#define AT_ONCE    (FILL_BYTES / SPOOL_RECORD_BYTES) /* records of one read or write */

struct header {
    uint64_t magic;
    uint64_t from;  /* the first number that counts; never 0 */
    uint32_t owner; /* CRC of its name */
    uint32_t crc;   /* of what stands before it */
};

struct record {
    uint32_t crc; /* of what stands behind it */
    uint32_t place;
    uint64_t number;
    uint32_t payload_bytes;
    uint8_t payload[SPOOL_PAYLOAD_BYTES];
};
_Static_assert(sizeof(struct record) == SPOOL_RECORD_BYTES, "file format");

struct spool {
    int fd;
    uint32_t owner;
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

static int64_t record_at(uint64_t number)
{
    return SPOOL_HEADER_BYTES + (int64_t)(number % SPOOL_RECORDS) * SPOOL_RECORD_BYTES;
}

static uint32_t record_crc(const struct record *record)
{
    return crc32c((const char *)record + sizeof record->crc, sizeof *record - sizeof record->crc);
}

/* --- header -------------------------------------------------------------------- */

static enum err header_write(struct op *op, struct spool *spool, uint64_t from)
{
    struct header header = { .magic = MAGIC, .from = from, .owner = spool->owner };
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
        header.crc != crc32c(&header, offsetof(struct header, crc)))
        return (struct header){ 0 };
    return header;
}

/* --- records ------------------------------------------------------------------- */

static bool record_fits(const struct record *record, uint64_t place)
{
    return record->number > 0 && record->number % SPOOL_RECORDS == place && record->place == place &&
           record->payload_bytes <= SPOOL_PAYLOAD_BYTES && record->crc == record_crc(record);
}

/* Finds the oldest and the newest record from `from` on. */
static enum err find_records(struct op *op, struct spool *spool, uint64_t from)
{
    uint64_t oldest = UINT64_MAX, newest = 0;
    for (uint64_t place = 0; place < SPOOL_RECORDS; place += AT_ONCE) {
        if (!read_at(spool->fd, spool->records, sizeof spool->records, record_at(place)))
            return io_failed(op, "reading");
        for (uint64_t i = 0; i < AT_ONCE; i++) {
            const struct record *record = &spool->records[i];
            if (record->number < from || !record_fits(record, place + i))
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
        uint64_t to_end = SPOOL_RECORDS - number % SPOOL_RECORDS;
        size_t n = spool->unsaid < to_end ? spool->unsaid : (size_t)to_end;
        TRY(write_at(op, spool->fd, record, n * sizeof *record, record_at(number)));
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
    if (spool->next + spool->behind - spool->first >= SPOOL_RECORDS)
        return fail(op, ERR_TOO_LARGE, "the spool of clicks is full");
    if (spool->unsaid == AT_ONCE)
        TRY(write_unsaid(op, spool));
    uint64_t number = spool->next + spool->behind;
    struct record *record = &spool->records[spool->unsaid++];
    *record =
        (struct record){ .place = (uint32_t)(number % SPOOL_RECORDS), .number = number, .payload_bytes = (uint32_t)n };
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

enum err spool_read(struct op *op, struct spool *spool, size_t i, void *ret_payload, size_t n)
{
    struct record record;
    uint64_t number = spool->first + i;
    if (i >= spool_count(spool) || !read_at(spool->fd, &record, sizeof record, record_at(number)) ||
        record.number != number || !record_fits(&record, number % SPOOL_RECORDS) || record.payload_bytes != n)
        return fail(op, ERR_NOT_FOUND, "the spool of clicks has no record %zu", i);
    memcpy(ret_payload, record.payload, n);
    return OK;
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

/* Every block is written, so that no later write needs space. */
static enum err fill(struct op *op, struct spool *spool, int64_t from)
{
    static const char zeros[FILL_BYTES];
    for (int64_t at = from; at < FILE_BYTES; at += FILL_BYTES) {
        int64_t left = FILE_BYTES - at;
        TRY(write_at(op, spool->fd, zeros, left < FILL_BYTES ? (size_t)left : FILL_BYTES, at));
    }
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

static enum err spool_begin(struct op *op, struct spool *spool)
{
    struct stat stat;
    if (fstat(spool->fd, &stat) != 0)
        return io_failed(op, "looking at it");
    if (stat.st_size < FILE_BYTES)
        TRY(fill(op, spool, stat.st_size));
    struct header newer = newer_header(spool);
    if (newer.from == 0)
        newer.from = 1;
    else if (newer.owner == spool->owner)
        return find_records(op, spool, newer.from);
    TRY(find_records(op, spool, newer.from));
    return spool_clear(op, spool);
}

enum err spool_open(struct op *op, const char *path, struct str owner, struct spool **ret_spool, size_t *ret_count)
{
    struct spool *spool = calloc(1, sizeof *spool);
    if (!spool)
        abort();
    spool->owner = crc32c(owner.p, owner.n);
    bool is_new = access(path, F_OK) != 0;
    spool->fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    enum err err = spool->fd < 0 ? fail(op, ERR_IO, "cannot open %s: %s", path, strerror(errno)) : OK;
    if (err == OK)
        err = spool_begin(op, spool);
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
    struct stat stat = { .st_size = 0 };
    enum err err = OK;
    if (spool->fd < 0 || fstat(spool->fd, &stat) != 0)
        err = errno == ENOENT ? OK : io_failed(op, "looking at it");
    else if (stat.st_size >= FILE_BYTES)
        err = find_records(op, spool, newer_header(spool).from);
    if (err == OK && stat.st_size >= FILE_BYTES)
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
