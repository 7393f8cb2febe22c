/*
 * bench_nginx.h - nginx doing nothing but redirecting: what a click is measured beside.
 *
 * `return 302` and an access log that is buffered, so it promises nothing:
 * what it does a second is what answering costs.
 */
#pragma once

#include "main/bench_child.h"

/* Starts it with its files in the directory, on a free port. program: NULL = where Debian has it. ERR_NOT_FOUND where
 * there is none. bench_child_stop ends it. */
enum err bench_nginx_start(struct op *op, const char *program, const char *directory, struct bench_child *ret);
