#include "base/zone_names.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/near.h"

struct nearest {
    struct str name;
    size_t distance;
};

static struct str read_list(struct op *op)
{
    const char *directory = getenv("TZDIR");
    char path[4096], *bytes;
    size_t n = 0;
    if (!directory || directory[0] != '/')
        directory = "/usr/share/zoneinfo";
    snprintf(path, sizeof path, "%s/tzdata.zi", directory);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return S("");
    if (op_alloc(op, ZONE_LIST_BYTES_MAX, &bytes) == OK)
        for (ssize_t got = 1; got > 0 && n<ZONE_LIST_BYTES_MAX; n += got> 0 ? (size_t)got : 0)
            got = read(fd, bytes + n, ZONE_LIST_BYTES_MAX - n);
    close(fd);
    return n ? (struct str){ bytes, n } : S("");
}

/* "Z Europe/London ..." names a zone, "L Europe/London GB" another name of it. */
static struct str name_of(struct str line)
{
    struct str kind = str_cut(&line, ' ');
    if (str_eq(kind, S("Z")))
        return str_cut(&line, ' ');
    if (!str_eq(kind, S("L")))
        return S("");
    str_cut(&line, ' ');
    return str_given(line) ? str_cut(&line, ' ') : S("");
}

static size_t distance_of(struct str word, struct str name)
{
    struct str place = name;
    for (size_t i = name.n; i > 0; i--)
        if (name.p[i - 1] == '/') {
            place = (struct str){ name.p + i, name.n - i };
            break;
        }
    size_t whole = near_distance(word, name), part = near_distance(word, place);
    return whole < part ? whole : part;
}

static void offer(struct nearest *best, struct str name, size_t distance)
{
    for (int i = 0; i < ZONE_NAMES_NEAR; i++) {
        if (distance >= best[i].distance)
            continue;
        for (int k = ZONE_NAMES_NEAR - 1; k > i; k--)
            best[k] = best[k - 1];
        best[i] = (struct nearest){ name, distance };
        return;
    }
}

struct str zone_names_near(struct op *op, struct str word)
{
    struct nearest best[ZONE_NAMES_NEAR];
    struct str list = read_list(op), names = S("");
    size_t wrong = word.n / 3 > 1 ? word.n / 3 : 1; /* as near.h judges words */
    for (int i = 0; i < ZONE_NAMES_NEAR; i++)
        best[i] = (struct nearest){ S(""), wrong + 1 };
    while (str_given(list)) {
        struct str name = name_of(str_cut(&list, '\n'));
        if (name.n)
            offer(best, name, distance_of(word, name));
    }
    for (int i = 0; i < ZONE_NAMES_NEAR && best[i].name.n; i++)
        names = arena_fmt(op->arena, "%.*s%s%.*s", STR(names), i ? ", " : "", STR(best[i].name));
    return names;
}
