/*
 * postgres_col.c - columns of a row of PostgreSQL, out of its binary format.
 */
#include <assert.h>
#include <endian.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/postgres.h"

/* A column of the row the statement stands on. */
static const char *value_of(struct stmt *base, int i, int *ret_bytes, Oid *ret_type)
{
    struct pg_stmt *stmt = pg_stmt_of(base);
    assert(stmt->result && stmt->row >= 0 && i < PQnfields(stmt->result));
    *ret_bytes = PQgetlength(stmt->result, stmt->row, i);
    *ret_type = PQftype(stmt->result, i);
    return PQgetisnull(stmt->result, stmt->row, i) ? NULL : PQgetvalue(stmt->result, stmt->row, i);
}

static uint64_t wire_u64(const char *p)
{
    uint64_t wire;
    memcpy(&wire, p, sizeof wire);
    return be64toh(wire);
}

static uint32_t wire_u32(const char *p)
{
    uint32_t wire;
    memcpy(&wire, p, sizeof wire);
    return be32toh(wire);
}

static int16_t wire_i16(const char *p)
{
    uint16_t wire;
    memcpy(&wire, p, sizeof wire);
    return (int16_t)be16toh(wire);
}

/* sum(bigint) is numeric: digits of base 10,000, the first of weight 10,000 ^ weight. Big sums lose precision above
 * 2^113, which nothing here reaches. */
static long double numeric_value(const char *p)
{
    int digits = wire_i16(p), weight = wire_i16(p + 2), sign = (uint16_t)wire_i16(p + 4);
    long double value = 0;
    for (int i = 0; i < digits; i++)
        value = value * 10000 + wire_i16(p + 8 + 2 * i);
    value *= powl(10000, weight - digits + 1);
    return sign == 0x4000 ? -value : value;
}

static double real_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static double small_real_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

int64_t pg_col_int(struct stmt *stmt, int i)
{
    int bytes;
    Oid type;
    const char *p = value_of(stmt, i, &bytes, &type);
    if (!p)
        return 0;
    switch (type) {
    case PG_INT8:
        return (int64_t)wire_u64(p);
    case PG_INT4:
        return (int32_t)wire_u32(p);
    case PG_INT2:
        return wire_i16(p);
    case PG_BOOL:
        return *p != 0;
    case PG_NUMERIC:
        return (int64_t)numeric_value(p);
    case PG_FLOAT8:
        return (int64_t)real_of(wire_u64(p));
    case PG_TIMESTAMPTZ: /* counts from 2000 */
        return (int64_t)wire_u64(p) + INT64_C(946684800000000);
    default:
        return strtoll(p, NULL, 10); /* libpq ends every value with a NUL */
    }
}

double pg_col_real(struct stmt *stmt, int i)
{
    int bytes;
    Oid type;
    const char *p = value_of(stmt, i, &bytes, &type);
    if (!p)
        return 0;
    switch (type) {
    case PG_FLOAT8:
        return real_of(wire_u64(p));
    case PG_FLOAT4:
        return small_real_of(wire_u32(p));
    case PG_NUMERIC:
        return (double)numeric_value(p);
    default:
        return (double)pg_col_int(stmt, i);
    }
}

bool pg_col_is_null(struct stmt *stmt, int i)
{
    int bytes;
    Oid type;
    return !value_of(stmt, i, &bytes, &type);
}

struct str pg_col_blob(struct stmt *stmt, int i)
{
    int bytes;
    Oid type;
    const char *p = value_of(stmt, i, &bytes, &type);
    assert(type != PG_INT8 && type != PG_INT4 && type != PG_NUMERIC); /* a number is no text here */
    return (struct str){ p, p ? (size_t)bytes : 0 };
}

struct str pg_col_str(struct stmt *stmt, int i)
{
    return pg_col_blob(stmt, i);
}
