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

#define FUZZ_MADE 100000

/* A target whose inputs have a shape that changed bytes rarely keep may make some itself: number n below FUZZ_MADE, the
 * same on every run, in at most `room` bytes; replay_main.c runs them all. Returns its bytes. */
size_t fuzz_make(uint64_t n, uint8_t *ret_data, size_t room) __attribute__((weak));
