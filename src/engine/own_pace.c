#include "engine/own_pace.h"

#include "engine/job_own.h"

/* As long as a step runs and is stored, all others wait for the writer. While many are there it is their p99 that must
 * not show it: below a hundredth of the time, and in few steps, since each one delays everybody once however long it is
 * (docs/adr/0018, 0030, 0040). */
#define STEP_US          4000
#define STEP_BESIDE_US   8000
#define SHARE_BESIDE_PPM 8000
#define REST_MS_MAX      1000

#define CROWDED_A_SECOND 100 /* changes by others */
#define CROWDED_MS_MAX   REST_MS_MAX
#define CROWDED_LOOK_MS  100

#define ROWS_FIRST 100
#define ROWS_MIN   5

#define KEEP_ROWS_FIRST 500
#define KEEP_ROWS_MIN   50
#define KEEP_ROWS_MAX   1000
#define KEEP_SHORT_US   10000
#define KEEP_LONG_US    20000
#define KEEP_BOUND_US   50000

static int clamp(int64_t rows, int min, int max)
{
    return (int)(rows < min ? min : rows > max ? max : rows);
}

struct own_pace own_pace_begin(struct str queue)
{
    bool is_keep = str_eq(queue, S(KEEP_QUEUE));
    return (struct own_pace){ is_keep, is_keep ? KEEP_ROWS_FIRST : ROWS_FIRST };
}

/* As many rows as would have taken wanted_us, at most twice as many as before. */
static int64_t rows_in(int rows, int64_t took_us, int64_t wanted_us)
{
    int64_t fit = rows * wanted_us / (took_us + 1), most = 2 * (int64_t)rows;
    return fit < most ? fit : most;
}

static int keep_rows(int rows, int64_t took_us)
{
    if (took_us > KEEP_BOUND_US)
        return clamp(rows_in(rows, took_us, KEEP_LONG_US), 1, KEEP_ROWS_MAX);
    int64_t next = took_us < KEEP_SHORT_US ? 2 * (int64_t)rows : took_us > KEEP_LONG_US ? rows / 2 : rows;
    return clamp(next, KEEP_ROWS_MIN, KEEP_ROWS_MAX);
}

bool own_pace_is_crowded(uint64_t commands, int64_t in_ms)
{
    int64_t recent_ms = in_ms < CROWDED_MS_MAX ? in_ms : CROWDED_MS_MAX;
    return (int64_t)commands * 1000 >= CROWDED_A_SECOND * recent_ms;
}

bool own_crowd_look(struct own_crowd *crowd, uint64_t commands, int64_t now_ms)
{
    uint64_t others = commands - ++crowd->own;
    int64_t span_ms = now_ms - crowd->looked_ms;
    if (span_ms >= CROWDED_LOOK_MS) {
        crowd->is_there = own_pace_is_crowded(others - crowd->others, span_ms);
        crowd->others = others;
        crowd->looked_ms = now_ms;
    }
    return crowd->is_there;
}

void own_pace_took(struct own_pace *pace, int64_t took_us, bool is_crowded)
{
    if (pace->is_keep && !is_crowded)
        pace->rows = keep_rows(pace->rows, took_us);
    else
        pace->rows = clamp(rows_in(pace->rows, took_us, is_crowded ? STEP_BESIDE_US : STEP_US), ROWS_MIN, OWN_ROWS_MAX);
}

void own_pace_failed(struct own_pace *pace)
{
    pace->rows = pace->rows / 2 > 1 ? pace->rows / 2 : 1;
}

int64_t own_pace_rest_ms(int64_t took_us, int64_t share_ppm, bool is_crowded)
{
    if (is_crowded && share_ppm > SHARE_BESIDE_PPM)
        share_ppm = SHARE_BESIDE_PPM;
    int64_t rest_ms = took_us * (1000000 - share_ppm) / share_ppm / 1000;
    return clamp(rest_ms, 1, REST_MS_MAX);
}
