/*
 * crc32c.h - the checksum of records in files: Castagnoli's polynomial, as in iSCSI and ext4.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(const void *bytes, size_t n);
