/*
 * crc32c.h - the checksum of records in files: Castagnoli's polynomial, as in iSCSI and ext4.
 *
 * Processors of the x86-64 family have an instruction for it, which takes eight
 * bytes at a time; others take a table and one byte after the other.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(const void *bytes, size_t n);

/* The same by the table, whatever the processor can do: so that a test can compare the two. */
uint32_t crc32c_by_table(const void *bytes, size_t n);
