#include "store/spool_former.h"

#include <stddef.h>
#include <unistd.h>

#include "base/crc32c.h"

#define PREFIX        0x4c4f4f505350u     /* "PSPOOL", and two digits */
#define FORMER        0x32304c4f4f505350u /* "PSPOOL02" */
#define PAGE_BYTES    4096
#define HEADER_BYTES  8192
#define RECORDS       131072
#define RECORD_BYTES  256
#define PAYLOAD_BYTES 236
#define AT_ONCE       256 /* records of one read */

struct header {
    uint64_t magic;
    uint64_t from; /* the first number that counts; never 0 */
    uint32_t owner;
    uint32_t crc; /* of what stands before it */
};

struct record {
    uint32_t crc; /* of what stands behind it */
    uint32_t place;
    uint64_t number;
    uint32_t payload_bytes;
    uint8_t payload[PAYLOAD_BYTES];
};
_Static_assert(sizeof(struct record) == RECORD_BYTES, "file format");

static struct header header_read(int fd, int which)
{
    struct header header;
    bool is_one = pread(fd, &header, sizeof header, (off_t)which * PAGE_BYTES) == sizeof header &&
                  (header.magic & UINT64_MAX >> 16) == PREFIX;
    return is_one ? header : (struct header){ 0 };
}

static bool holds(const struct record *record, uint64_t from)
{
    const char *behind_crc = (const char *)record + sizeof record->crc;
    return record->number >= from && record->crc == crc32c(behind_crc, sizeof *record - sizeof record->crc);
}

/* Records from this number on stand in the file, or it cannot be read. */
static bool holds_any(int fd, uint64_t from)
{
    struct record records[AT_ONCE];
    for (int place = 0; place < RECORDS; place += AT_ONCE) {
        if (pread(fd, records, sizeof records, HEADER_BYTES + (off_t)place * RECORD_BYTES) != sizeof records)
            return true;
        for (int i = 0; i < AT_ONCE; i++)
            if (holds(&records[i], from))
                return true;
    }
    return false;
}

/* Of a kind that was known once, and damaged ones do not count. */
static uint64_t from_of(const struct header *header)
{
    bool fits = header->magic == FORMER && header->crc == crc32c(header, offsetof(struct header, crc));
    return fits ? header->from : 0;
}

enum err spool_former_check(struct op *op, int fd)
{
    struct header a = header_read(fd, 0), b = header_read(fd, 1);
    if (!a.magic && !b.magic)
        return OK;
    uint64_t from = from_of(&a) > from_of(&b) ? from_of(&a) : from_of(&b);
    if (from > 0 && !holds_any(fd, from))
        return OK;
    return fail(op, ERR_CONFLICT,
                "the spool of clicks was left by another version of posthouse and may hold clicks that are not stored: "
                "start that version once and stop it, which stores them, or take the file away to give them up");
}
