#include "store/sqlite_wal.h"

#include <sqlite3.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_BYTES (64 * 1024) /* SQLite's own layer cuts writes above 128 KiB wrongly */

/* Lies before the ordinary file in the memory SQLite gives us. */
struct wal_file {
    sqlite3_file base;
    sqlite3_file *real;
    char *buffer; /* writes not yet passed on: one run of bytes */
    int64_t at;   /* their place in the file */
    int used;
};

static sqlite3_vfs *ordinary;

static struct wal_file *wal_of(sqlite3_file *file)
{
    return (struct wal_file *)(void *)file;
}

/* Passes the buffer on. After an error its bytes are gone: SQLite takes the transaction back and writes anew. */
static int wal_flush(struct wal_file *wal)
{
    int n = wal->used;
    wal->used = 0;
    return n == 0 ? SQLITE_OK : wal->real->pMethods->xWrite(wal->real, wal->buffer, n, wal->at);
}

static int wal_write(sqlite3_file *file, const void *bytes, int n, sqlite3_int64 at)
{
    struct wal_file *wal = wal_of(file);
    if (wal->used > 0 && (at != wal->at + wal->used || n > BUFFER_BYTES - wal->used)) {
        int rc = wal_flush(wal);
        if (rc != SQLITE_OK)
            return rc;
    }
    if (n > BUFFER_BYTES)
        return wal->real->pMethods->xWrite(wal->real, bytes, n, at);
    if (wal->used == 0)
        wal->at = at;
    memcpy(wal->buffer + wal->used, bytes, (size_t)n);
    wal->used += n;
    return SQLITE_OK;
}

static int wal_read(sqlite3_file *file, void *bytes, int n, sqlite3_int64 at)
{
    struct wal_file *wal = wal_of(file);
    int rc = wal_flush(wal);
    return rc == SQLITE_OK ? wal->real->pMethods->xRead(wal->real, bytes, n, at) : rc;
}

static int wal_truncate(sqlite3_file *file, sqlite3_int64 bytes)
{
    struct wal_file *wal = wal_of(file);
    int rc = wal_flush(wal);
    return rc == SQLITE_OK ? wal->real->pMethods->xTruncate(wal->real, bytes) : rc;
}

static int wal_sync(sqlite3_file *file, int flags)
{
    struct wal_file *wal = wal_of(file);
    int rc = wal_flush(wal);
    return rc == SQLITE_OK ? wal->real->pMethods->xSync(wal->real, flags) : rc;
}

static int wal_size(sqlite3_file *file, sqlite3_int64 *ret_bytes)
{
    struct wal_file *wal = wal_of(file);
    int rc = wal_flush(wal);
    return rc == SQLITE_OK ? wal->real->pMethods->xFileSize(wal->real, ret_bytes) : rc;
}

static int wal_close(sqlite3_file *file)
{
    struct wal_file *wal = wal_of(file);
    int rc = wal_flush(wal), closed = wal->real->pMethods->xClose(wal->real);
    free(wal->buffer);
    return rc == SQLITE_OK ? closed : rc;
}

static int wal_lock(sqlite3_file *file, int level)
{
    struct wal_file *wal = wal_of(file);
    return wal->real->pMethods->xLock(wal->real, level);
}

static int wal_unlock(sqlite3_file *file, int level)
{
    struct wal_file *wal = wal_of(file);
    return wal->real->pMethods->xUnlock(wal->real, level);
}

static int wal_is_reserved(sqlite3_file *file, int *ret_reserved)
{
    struct wal_file *wal = wal_of(file);
    return wal->real->pMethods->xCheckReservedLock(wal->real, ret_reserved);
}

static int wal_control(sqlite3_file *file, int op, void *arg)
{
    struct wal_file *wal = wal_of(file);
    return wal->real->pMethods->xFileControl(wal->real, op, arg);
}

static int wal_sector(sqlite3_file *file)
{
    struct wal_file *wal = wal_of(file);
    return wal->real->pMethods->xSectorSize(wal->real);
}

static int wal_device(sqlite3_file *file)
{
    struct wal_file *wal = wal_of(file);
    return wal->real->pMethods->xDeviceCharacteristics(wal->real);
}

static const sqlite3_io_methods wal_methods = {
    .iVersion = 1, /* no shared memory, no mapping: those belong to the database file */
    .xClose = wal_close,
    .xRead = wal_read,
    .xWrite = wal_write,
    .xTruncate = wal_truncate,
    .xSync = wal_sync,
    .xFileSize = wal_size,
    .xLock = wal_lock,
    .xUnlock = wal_unlock,
    .xCheckReservedLock = wal_is_reserved,
    .xFileControl = wal_control,
    .xSectorSize = wal_sector,
    .xDeviceCharacteristics = wal_device,
};

static int layer_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
    (void)vfs;
    if (!(flags & SQLITE_OPEN_WAL))
        return ordinary->xOpen(ordinary, name, file, flags, ret_flags);
    struct wal_file *wal = wal_of(file);
    *wal = (struct wal_file){ .real = (sqlite3_file *)(void *)(wal + 1) };
    int rc = ordinary->xOpen(ordinary, name, wal->real, flags, ret_flags);
    if (rc != SQLITE_OK)
        return rc;
    wal->buffer = malloc(BUFFER_BYTES);
    if (!wal->buffer) {
        wal->real->pMethods->xClose(wal->real);
        return SQLITE_NOMEM;
    }
    wal->base.pMethods = &wal_methods; /* from here on SQLite closes it */
    return SQLITE_OK;
}

const char *wal_file_layer(void)
{
    static sqlite3_vfs layer;
    ordinary = sqlite3_vfs_find(NULL);
    layer = *ordinary; /* all but opening is the ordinary one's; it does not look at whose it is */
    layer.zName = "posthouse";
    layer.pNext = NULL;
    layer.szOsFile = ordinary->szOsFile + (int)sizeof(struct wal_file);
    layer.xOpen = layer_open;
    sqlite3_vfs_register(&layer, 0);
    return layer.zName;
}
