/*
 * sqlite_wal.h - the write-ahead log is written in large pieces.
 *
 * SQLite writes each page of a commit by two system calls, 24 bytes and 4,096.
 * Here they are collected and written together before the sync that makes the
 * commit durable. Nothing is later than it was: with synchronous=FULL a page of
 * the log is looked at by others only after that sync.
 *
 * This is a file system layer of SQLite ("VFS") that passes everything but the
 * log on to the ordinary one. Only the writer's connection is opened with it.
 */
#pragma once

/* Makes the layer known to SQLite, once per process; returns its name for sqlite3_open_v2. */
const char *wal_file_layer(void);
