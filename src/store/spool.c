#include "store/spool.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"

#define MAGIC      0x31304c4f4f505350u /* "PSPOOL01" */
#define PAGE_BYTES 4096
#define FILE_BYTES (SPOOL_HEADER_BYTES + (int64_t)SPOOL_RECORDS * SPOOL_RECORD_BYTES)
#define FILL_BYTES 65536

struct header {
    uint64_t magic;
    uint64_t generation;
    uint32_t crc; /* of what stands before it */
    uint32_t unused;
};

struct record {
    uint32_t crc; /* of what stands behind it */
    uint32_t place;
    uint64_t generation;
    uint32_t payload_bytes;
    uint8_t payload[SPOOL_PAYLOAD_BYTES];
};
_Static_assert(sizeof(struct record) == SPOOL_RECORD_BYTES, "file format");

struct spool {
    int fd;
    uint64_t generation;
    size_t count;  /* durable */
    size_t behind; /* appended and not yet durable */
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

static int64_t record_at(size_t place)
{
    return SPOOL_HEADER_BYTES + (int64_t)place * SPOOL_RECORD_BYTES;
}

static uint32_t record_crc(const struct record *record)
{
    return crc32c((const char *)record + sizeof record->crc, sizeof *record - sizeof record->crc);
}

/* --- header -------------------------------------------------------------------- */

static enum err header_write(struct op *op, struct spool *spool, uint64_t generation)
{
    struct header header = { .magic = MAGIC, .generation = generation };
    header.crc = crc32c(&header, offsetof(struct header, crc));
    TRY(write_at(op, spool->fd, &header, sizeof header, (int64_t)(generation % 2) * PAGE_BYTES));
    return fdatasync(spool->fd) == 0 ? OK : io_failed(op, "syncing");
}

static uint64_t header_read(const struct spool *spool, int which)
{
    struct header header;
    if (!read_at(spool->fd, &header, sizeof header, (int64_t)which * PAGE_BYTES) || header.magic != MAGIC ||
        header.crc != crc32c(&header, offsetof(struct header, crc)))
        return 0;
    return header.generation;
}

/* --- records ------------------------------------------------------------------- */

static bool record_read(const struct spool *spool, size_t place, struct record *ret)
{
    return place < SPOOL_RECORDS && read_at(spool->fd, ret, sizeof *ret, record_at(place)) &&
           ret->generation == spool->generation && ret->place == place && ret->crc == record_crc(ret) &&
           ret->payload_bytes <= SPOOL_PAYLOAD_BYTES;
}

static size_t count_records(const struct spool *spool)
{
    struct record record;
    size_t n = 0;
    while (record_read(spool, n, &record))
        n++;
    return n;
}

enum err spool_append(struct op *op, struct spool *spool, const void *payload, size_t n)
{
    assert(n <= SPOOL_PAYLOAD_BYTES);
    size_t place = spool->count + spool->behind;
    if (place >= SPOOL_RECORDS)
        return fail(op, ERR_TOO_LARGE, "the spool of clicks is full");
    struct record record = { .place = (uint32_t)place, .generation = spool->generation, .payload_bytes = (uint32_t)n };
    memcpy(record.payload, payload, n);
    record.crc = record_crc(&record);
    TRY(write_at(op, spool->fd, &record, sizeof record, record_at(place)));
    spool->behind++;
    return OK;
}

enum err spool_sync(struct op *op, struct spool *spool)
{
    size_t behind = spool->behind;
    spool->behind = 0;
    if (fdatasync(spool->fd) != 0)
        return io_failed(op, "syncing");
    spool->count += behind;
    return OK;
}

enum err spool_read(struct op *op, struct spool *spool, size_t i, void *ret_payload, size_t n)
{
    struct record record;
    if (i >= spool->count || !record_read(spool, i, &record) || record.payload_bytes != n)
        return fail(op, ERR_NOT_FOUND, "the spool of clicks has no record %zu", i);
    memcpy(ret_payload, record.payload, n);
    return OK;
}

enum err spool_clear(struct op *op, struct spool *spool)
{
    TRY(header_write(op, spool, spool->generation + 1));
    spool->generation++;
    spool->count = spool->behind = 0;
    return OK;
}

size_t spool_count(const struct spool *spool)
{
    return spool->count;
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

static enum err spool_begin(struct op *op, struct spool *spool)
{
    struct stat stat;
    if (fstat(spool->fd, &stat) != 0)
        return io_failed(op, "looking at it");
    if (stat.st_size < FILE_BYTES)
        TRY(fill(op, spool, stat.st_size));
    uint64_t a = header_read(spool, 0), b = header_read(spool, 1);
    spool->generation = a > b ? a : b;
    if (spool->generation == 0) {
        spool->generation = 1;
        TRY(header_write(op, spool, 1));
    }
    spool->count = count_records(spool);
    return OK;
}

enum err spool_open(struct op *op, const char *path, struct spool **ret_spool, size_t *ret_count)
{
    struct spool *spool = calloc(1, sizeof *spool);
    if (!spool)
        abort();
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
    *ret_count = spool->count;
    return OK;
}

void spool_close(struct spool *spool)
{
    if (!spool)
        return;
    if (spool->fd >= 0)
        close(spool->fd);
    free(spool);
}
