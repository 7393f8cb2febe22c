#include "base/glob.h"

/* One byte against the class behind '['; *at moves behind its ']'. */
static bool class_covers(struct str glob, size_t *at, char byte)
{
    size_t i = *at + 1;
    bool negated = i < glob.n && glob.p[i] == '^', hit = false;
    for (i += negated; i < glob.n && glob.p[i] != ']'; i++) {
        if (glob.p[i] == '\\' && i + 1 < glob.n)
            i++;
        unsigned char low = (unsigned char)glob.p[i], high = low;
        if (i + 2 < glob.n && glob.p[i + 1] == '-' && glob.p[i + 2] != ']') {
            high = (unsigned char)glob.p[i + 2];
            i += 2;
        }
        hit = hit || ((unsigned char)byte >= low && (unsigned char)byte <= high);
    }
    if (i >= glob.n) {
        *at += 1;
        return byte == '[';
    }
    *at = i + 1;
    return hit != negated;
}

/* One byte of text against what stands at *at, which moves behind it. */
static bool step_covers(struct str glob, size_t *at, char byte)
{
    char c = glob.p[*at];
    if (c == '[')
        return class_covers(glob, at, byte);
    if (c == '\\' && *at + 1 < glob.n)
        c = glob.p[++*at];
    else if (c == '?')
        c = byte;
    *at += 1;
    return c == byte;
}

/* Only the newest '*' is ever gone back to, so the time is at most glob.n * text.n. */
bool glob_covers(struct str glob, struct str text)
{
    size_t g = 0, t = 0, star = SIZE_MAX, star_text = 0;
    while (t < text.n) {
        if (g < glob.n && glob.p[g] == '*') {
            star = ++g;
            star_text = t;
            continue;
        }
        if (g < glob.n && step_covers(glob, &g, text.p[t])) {
            t++;
            continue;
        }
        if (star == SIZE_MAX)
            return false;
        g = star;
        t = ++star_text;
    }
    while (g < glob.n && glob.p[g] == '*')
        g++;
    return g == glob.n;
}
