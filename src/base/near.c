#include "base/near.h"

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment, three rows of the table at a time. */
size_t near_distance(struct str a, struct str b)
{
    size_t rows[3][NEAR_BYTES_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    if (a.n > NEAR_BYTES_MAX || b.n > NEAR_BYTES_MAX)
        return NEAR_BYTES_MAX + 1;

    for (size_t j = 0; j <= b.n; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t *free_row = before;
        before = last;
        last = row;
        row = free_row;
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            bool same = a.p[i - 1] == b.p[j - 1];
            row[j] = least(least(last[j] + 1, row[j - 1] + 1), last[j - 1] + !same);
            if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
    }
    return row[b.n];
}

struct near near_to(struct str word)
{
    size_t third = word.n / 3;
    return (struct near){ word, { NULL, 0 }, (third > 1 ? third : 1) + 1 };
}

void near_try(struct near *near, struct str candidate)
{
    size_t distance = near_distance(near->word, candidate);
    if (distance >= near->distance)
        return;
    near->best = candidate;
    near->distance = distance;
}

struct str near_best(const struct near *near)
{
    return near->best;
}
