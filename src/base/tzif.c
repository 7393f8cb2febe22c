#include "base/tzif.h"

#include <string.h>

#define HEADER_BYTES 44

/* The counts of one header, and how wide its times are. */
struct block {
    uint32_t isutc, isstd, leap, time, type, character;
    size_t time_bytes;
};

static uint32_t be32(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static int64_t be_time(const char *p, size_t bytes)
{
    if (bytes == 4)
        return (int32_t)be32(p);
    return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4));
}

static size_t block_bytes(const struct block *block)
{
    return block->time * (block->time_bytes + 1) + (size_t)block->type * 6 + block->character +
           block->leap * (block->time_bytes + 4) + block->isstd + block->isutc;
}

/* Takes a header off the front; its counts are bounded, so block_bytes cannot overflow. */
static bool eat_header(struct str *bytes, size_t time_bytes, char *ret_version, struct block *ret_block)
{
    const char *p = bytes->p;
    if (bytes->n < HEADER_BYTES || memcmp(p, "TZif", 4) != 0)
        return false;
    struct block block = { be32(p + 20), be32(p + 24), be32(p + 28), be32(p + 32),
                           be32(p + 36), be32(p + 40), time_bytes };
    if (block.time > TZIF_CHANGES_MAX || block.type < 1 || block.type > 256 || block.character > 65536 ||
        block.isutc > 256 || block.isstd > 256 || block.leap > 256)
        return false;

    *ret_version = p[4];
    *ret_block = block;
    bytes->p += HEADER_BYTES;
    bytes->n -= HEADER_BYTES;
    return block_bytes(&block) <= bytes->n;
}

static void skip(struct str *bytes, size_t n)
{
    bytes->p += n;
    bytes->n -= n;
}

static bool offset_of_type(const char *types, const struct block *block, unsigned index, int32_t *ret_offset_s)
{
    if (index >= block->type)
        return false;
    int32_t offset_s = (int32_t)be32(types + (size_t)6 * index);
    if (offset_s < TZIF_OFFSET_S_MIN || offset_s > TZIF_OFFSET_S_MAX)
        return false;
    *ret_offset_s = offset_s;
    return true;
}

/* The changes of a block; `file->changes` has room for block->time of them. */
static bool read_changes(const char *p, const struct block *block, struct tzif *file)
{
    const char *indexes = p + block->time * block->time_bytes;
    const char *types = indexes + block->time;
    if (!offset_of_type(types, block, 0, &file->first_offset_s))
        return false;

    for (uint32_t i = 0; i < block->time; i++) {
        struct tzif_change *change = &file->changes[i];
        change->at_s = be_time(p + i * block->time_bytes, block->time_bytes);
        if (change->at_s < TZIF_AT_S_MIN || change->at_s > TZIF_AT_S_MAX || (i > 0 && change->at_s <= change[-1].at_s))
            return false;
        if (!offset_of_type(types, block, (unsigned char)indexes[i], &change->offset_s))
            return false;
    }
    file->count = block->time;
    return true;
}

/* "\nRULE\n" at the end of a file; empty when nobody knows the future. */
static bool read_footer(struct str footer, struct tzif *file)
{
    if (footer.n < 2 || footer.p[0] != '\n' || footer.p[footer.n - 1] != '\n')
        return false;
    struct str rule = { footer.p + 1, footer.n - 2 };
    file->has_rule = rule.n > 0;
    return rule.n == 0 || tzrule_parse(rule, &file->rule);
}

enum err tzif_parse(struct op *op, struct str bytes, struct tzif *ret_file)
{
    struct tzif file = { 0 };
    struct block block;
    char version, again;
    if (!eat_header(&bytes, 4, &version, &block))
        return fail(op, ERR_MALFORMED, "zone file: no valid header");
    if (version != '\0') {
        /* The first block serves readers of 32-bit times; the one that counts follows. */
        skip(&bytes, block_bytes(&block));
        if (!eat_header(&bytes, 8, &again, &block) || again != version)
            return fail(op, ERR_MALFORMED, "zone file: no valid second header");
    }
    if (block.leap > 0)
        return fail(op, ERR_MALFORMED, "zone file: counts leap seconds");

    TRY(op_alloc(op, (block.time + 1) * sizeof *file.changes, &file.changes));
    if (!read_changes(bytes.p, &block, &file))
        return fail(op, ERR_MALFORMED, "zone file: a change or an offset is out of order or range");
    skip(&bytes, block_bytes(&block));
    if (version != '\0' && !read_footer(bytes, &file))
        return fail(op, ERR_MALFORMED, "zone file: the rule at its end cannot be read");
    *ret_file = file;
    return OK;
}
