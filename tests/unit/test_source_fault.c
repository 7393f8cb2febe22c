#include "test.h"

#include "engine/source_fault.h"

TEST(source_fault, tells_what_a_status_means)
{
    EQ(source_fault_of_status(200, false, 0).kind, FAULT_NONE);
    EQ(source_fault_of_status(429, false, 7).kind, FAULT_RATE);
    EQ(source_fault_of_status(429, false, 7).wait_us, 7);
    EQ(source_fault_of_status(500, false, 0).kind, FAULT_PROVIDER);
    EQ(source_fault_of_status(503, true, 0).kind, FAULT_PROVIDER);
    EQ(source_fault_of_status(401, false, 0).kind, FAULT_CREDENTIALS);
    EQ(source_fault_of_status(403, false, 0).kind, FAULT_CREDENTIALS);
    EQ(source_fault_of_status(404, false, 0).kind, FAULT_UNKNOWN);
    EQ(source_fault_of_status(302, false, 0).kind, FAULT_REDIRECT);
    EQ(source_fault_of_status(400, true, 0).kind, FAULT_TOKEN);
    EQ(source_fault_of_status(400, false, 0).kind, FAULT_REFUSED);
    EQ(source_fault_of_status(418, true, 0).kind, FAULT_REFUSED);
    YES(str_starts(str_of(source_fault_of_status(404, false, 0).text), S("domain not known there")));
}

TEST(source_fault, backs_off_twice_as_long_each_time_up_to_five_minutes)
{
    struct rng rng;
    rng_init(&rng, 1);
    for (int n = 0; n < 70; n++) {
        int64_t top = n < 9 ? INT64_C(1000000) << n : INT64_C(300000000);
        int64_t most = 0;
        for (int i = 0; i < 200; i++) {
            int64_t wait = fault_backoff(&rng, n);
            YES(wait >= 0 && wait <= top && wait <= INT64_C(300000000));
            most = wait > most ? wait : most;
        }
        YES(most > (top < INT64_C(300000000) ? top : INT64_C(300000000)) * 9 / 10);
    }
}

TEST(source_fault, waits_as_asked_between_a_second_and_an_hour)
{
    struct rng rng;
    rng_init(&rng, 1);
    EQ(fault_rate_wait(&rng, 2000000, 0), 2000000);
    EQ(fault_rate_wait(&rng, 1, 0), 1000000);
    EQ(fault_rate_wait(&rng, INT64_C(36000000000), 0), INT64_C(3600000000));
    for (int i = 0; i < 100; i++) {
        int64_t wait = fault_rate_wait(&rng, 0, 3);
        YES(wait >= 1000000 && wait <= 8000000);
    }
}
