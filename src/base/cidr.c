#include "base/cidr.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#define IP_BYTES      16
#define IP_TEXT_BYTES 64 /* the longest text form takes 45 */

/* All addresses from first to last, both included. */
struct range {
    uint8_t first[IP_BYTES], last[IP_BYTES];
};

struct cidr_list {
    struct range *ranges; /* sorted, disjoint */
    size_t n, room;
};

bool cidr_ip_parse(struct str text, uint8_t ret_ip[16])
{
    static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF };
    char copy[IP_TEXT_BYTES];
    uint8_t ip[IP_BYTES];
    if (text.n == 0 || text.n >= sizeof copy || memchr(text.p, '\0', text.n))
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';

    if (inet_pton(AF_INET, copy, ip + sizeof mapped) == 1)
        memcpy(ip, mapped, sizeof mapped);
    else if (inet_pton(AF_INET6, copy, ip) != 1)
        return false;
    memcpy(ret_ip, ip, IP_BYTES);
    return true;
}

/* "10.0.0.0/8": the prefix counts the bits of the address as it is written. */
static bool range_parse(struct str text, struct range *ret)
{
    struct str rest = text;
    struct str address = str_cut(&rest, '/');
    uint8_t ip[IP_BYTES];
    if (!cidr_ip_parse(address, ip))
        return false;

    int64_t width = str_find(address, ':') == address.n ? 32 : 128;
    int64_t prefix = width;
    if (str_given(rest) && !str_to_int(rest, 0, width, &prefix))
        return false;

    int64_t bits = 128 - width + prefix;
    for (int i = 0; i < IP_BYTES; i++) {
        int64_t kept = bits - i * 8;
        uint8_t host = (uint8_t)(kept >= 8 ? 0 : kept <= 0 ? 0xFF : 0xFF >> kept);
        ret->first[i] = (uint8_t)(ip[i] & ~host);
        ret->last[i] = (uint8_t)(ip[i] | host);
    }
    return true;
}

static enum err list_add(struct op *op, struct cidr_list *list, struct str entry)
{
    if (list->n == CIDR_LIST_MAX)
        return fail(op, ERR_TOO_LARGE, "more than %d networks", CIDR_LIST_MAX);
    if (list->n == list->room) {
        list->room = list->room ? list->room * 2 : 16;
        list->ranges = realloc(list->ranges, list->room * sizeof *list->ranges);
        assert(list->ranges);
    }
    if (!range_parse(entry, &list->ranges[list->n]))
        return fail(op, ERR_INVALID, "\"%.*s\" is no network: 10.0.0.0/8, 2001:db8::/32 or 192.0.2.7 is",
                    STR(str_clip(entry, 80)));
    list->n++;
    return OK;
}

static int range_order(const void *a, const void *b)
{
    const struct range *left = a, *right = b;
    return memcmp(left->first, right->first, IP_BYTES);
}

/* Sorts and melts ranges that overlap, so that a search needs to look at one range only. */
static void list_sort(struct cidr_list *list)
{
    if (list->n == 0)
        return;
    qsort(list->ranges, list->n, sizeof *list->ranges, range_order);
    size_t kept = 0;
    for (size_t i = 1; i < list->n; i++) {
        struct range *before = &list->ranges[kept];
        if (memcmp(list->ranges[i].first, before->last, IP_BYTES) > 0)
            list->ranges[++kept] = list->ranges[i];
        else if (memcmp(list->ranges[i].last, before->last, IP_BYTES) > 0)
            memcpy(before->last, list->ranges[i].last, IP_BYTES);
    }
    list->n = kept + 1;
}

static bool is_separator(char c)
{
    return c == ',' || c == ' ' || c == '\t' || c == '\r';
}

static enum err list_add_line(struct op *op, struct cidr_list *list, struct str line)
{
    line.n = str_find(line, '#');
    size_t at = 0;
    while (at < line.n) {
        size_t from = at;
        while (at < line.n && !is_separator(line.p[at]))
            at++;
        if (at > from)
            TRY(list_add(op, list, (struct str){ line.p + from, at - from }));
        else
            at++;
    }
    return OK;
}

enum err cidr_list_new(struct op *op, struct str text, struct cidr_list **ret_list)
{
    struct cidr_list *list = calloc(1, sizeof *list);
    assert(list);
    enum err err = OK;
    while (err == OK && str_given(text))
        err = list_add_line(op, list, str_cut(&text, '\n'));
    if (err != OK) {
        cidr_list_free(list);
        return err;
    }
    list_sort(list);
    *ret_list = list;
    return OK;
}

void cidr_list_free(struct cidr_list *list)
{
    if (list)
        free(list->ranges);
    free(list);
}

bool cidr_list_has(const struct cidr_list *list, struct str ip)
{
    uint8_t wanted[IP_BYTES];
    if (list->n == 0 || !cidr_ip_parse(ip, wanted))
        return false;

    size_t low = 0, high = list->n; /* the last range that begins at or before the address stands in [low, high) */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(list->ranges[middle].first, wanted, IP_BYTES) <= 0)
            low = middle;
        else
            high = middle;
    }
    const struct range *range = &list->ranges[low];
    return memcmp(range->first, wanted, IP_BYTES) <= 0 && memcmp(wanted, range->last, IP_BYTES) <= 0;
}
