/*
 * fuzz.h - what a fuzz target is.
 *
 * A target feeds outside bytes to one parser and must come back: with a value
 * or with an error, never with a crash, a leak or a read past the end. Built
 * with BUILD=fuzz it is driven by libFuzzer; otherwise by replay_main.c.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* One input; returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
