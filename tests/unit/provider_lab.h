/*
 * provider_lab.h - a source, an op and short words for tests of provider formats.
 *
 * Instants are given as seconds; LAB_NOW is the clock of every op here.
 */
#pragma once

#include "test.h"

#include "engine/provider.h"

#define SECOND  INT64_C(1000000)
#define LAB_NOW (INT64_C(1795000000) * SECOND) /* 2026-11-18T11:06:40Z */

struct lab {
    struct op op;
    struct arena *arena;
    struct agent_list *agents;
    struct cidr_list *networks;
    struct provider_source source;
    struct provider_page page;
    struct provider_hook hook;
};

static inline struct lab *lab_new(void)
{
    static const uint8_t key[16] = "0123456789abcde";
    struct lab *lab = calloc(1, sizeof *lab);
    lab->arena = arena_new(64 << 20);
    op_init(&lab->op, lab->arena, LAB_NOW);
    SUCCEEDS(&lab->op, agent_list_new(&lab->op, str_of(NULL), &lab->agents));
    SUCCEEDS(&lab->op, cidr_list_new(&lab->op, S("198.51.100.0/24"), &lab->networks));
    lab->source =
        (struct provider_source){ .id = S("src"), .hash_key = key, .agents = lab->agents, .networks = lab->networks };
    return lab;
}

static inline void lab_free(struct lab *lab)
{
    agent_list_free(lab->agents);
    cidr_list_free(lab->networks);
    arena_free(lab->arena);
    free(lab);
}

/* Contents of a file with a NUL behind them, in the lab's arena; not given when it is not there. */
static inline struct str lab_file(struct lab *lab, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return str_of(NULL);
    fseek(file, 0, SEEK_END);
    size_t n = (size_t)ftell(file);
    rewind(file);
    char *bytes = arena_alloc_raw(lab->arena, n + 1);
    n = fread(bytes, 1, n, file);
    bytes[n] = '\0';
    fclose(file);
    return (struct str){ bytes, n };
}

/* Reads the page with a window that holds everything up to the clock. */
static inline const struct provider_page *lab_page(struct lab *lab, enum provider_api api, struct str bytes)
{
    SUCCEEDS(&lab->op, provider_page_parse(&lab->op, &lab->source, api, bytes, 0, LAB_NOW, &lab->page));
    return &lab->page;
}

/* The event of a page of one item. */
static inline const struct provider_event *lab_item(struct lab *lab, const char *item)
{
    struct str bytes = arena_fmt(lab->arena, "{\"items\":[%s],\"paging\":{}}", item);
    lab_page(lab, PROVIDER_API_EVENTS, bytes);
    EQ(lab->page.item_n, 1);
    EQ(lab->page.n, 1);
    return &lab->page.events[0];
}

/* Headers of a post: pairs of name and value, a NULL behind the last. */
static inline struct str lab_header(const void *data, struct str name)
{
    const char *const *pair = data;
    for (; pair && *pair; pair += 2)
        if (str_eq_nocase(name, str_of(pair[0])))
            return str_of(pair[1]);
    return str_of(NULL);
}

/* Posts the body to the lab's source as one of that type; the result is in lab->hook, its answer is returned. */
static inline int lab_post(struct lab *lab, const char *type, const char *content_type, struct str body,
                           const char *const *headers)
{
    const struct provider_format *format = provider_format_find(str_of(type));
    struct provider_post post = {
        .content_type = str_of(content_type), .body = body, .header = lab_header, .header_data = headers
    };
    YES(format != NULL);
    SUCCEEDS(&lab->op, provider_hook_parse(&lab->op, format, &lab->source, &post, &lab->hook));
    return provider_hook_status(format, lab->hook.verdict);
}
