/*
 * test.h - a test reads as a sentence.
 *
 *     TEST(rate, grants_the_burst_then_asks_to_wait)
 *     {
 *         EQ(rate_take(&rate, 0), 0);
 *     }
 *
 * Each file is one cmocka program; TEST registers itself before main runs.
 */
#pragma once

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#undef fail /* cmocka's macro; ours is the function of op.h */

#include "base/op.h"

#define TESTS_MAX 512

static struct CMUnitTest test_list[TESTS_MAX];
static size_t test_count;

#define TEST(subject, sentence)                                                                                        \
    static void subject##_##sentence(void **state);                                                                    \
    __attribute__((constructor)) static void register_##subject##_##sentence(void)                                     \
    {                                                                                                                  \
        if (test_count == TESTS_MAX)                                                                                   \
            abort();                                                                                                   \
        test_list[test_count++] =                                                                                      \
            (struct CMUnitTest){ #subject ": " #sentence, subject##_##sentence, NULL, NULL, NULL };                    \
    }                                                                                                                  \
    static void subject##_##sentence(__attribute__((unused)) void **state)

/* Integers (also bool and enum), strings and struct str. */
#define EQ(actual, expected)     assert_int_equal((intmax_t)(actual), (intmax_t)(expected))
#define NE(actual, unexpected)   assert_int_not_equal((intmax_t)(actual), (intmax_t)(unexpected))
#define YES(condition)           assert_true(condition)
#define NO(condition)            assert_false(condition)
#define STR_EQ(actual, expected) test_str_eq((actual), (expected), __FILE__, __LINE__)
#define SUCCEEDS(op, call)       test_succeeds((op), (call), __FILE__, __LINE__)

/* Ends the test without a verdict; the runner shows why. */
#define SKIP(why)                                                                                                      \
    do {                                                                                                               \
        print_message("# skip: %s\n", why);                                                                            \
        skip();                                                                                                        \
    } while (0)

static inline void test_str_eq(struct str actual, const char *expected, const char *file, int line)
{
    if (actual.n == strlen(expected) && (actual.n == 0 || memcmp(actual.p, expected, actual.n) == 0))
        return;
    fprintf(stderr, "got \"%.*s\", expected \"%s\"\n", STR(actual), expected);
    _fail(file, line);
}

static inline void test_succeeds(struct op *op, enum err err, const char *file, int line)
{
    if (err == OK)
        return;
    fprintf(stderr, "%s: %s\n", err_name(err), op->error);
    _fail(file, line);
}

int main(void)
{
    return _cmocka_run_group_tests(__BASE_FILE__, test_list, test_count, NULL, NULL) == 0 ? 0 : 1;
}
