#include "net/http_route.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/form.h"

#define SEGMENTS_MAX 64 /* of a path that is looked up; a longer one cannot match */
#define ALLOW_MAX    128

/*
 * One node per segment of the patterns. `literals` are children with a fixed
 * text, `param` the one child for {name}, `rest` the routes of {name*}.
 */
struct node {
    struct str text;
    struct node *next; /* sibling */
    struct node *literals;
    struct node *param;
    struct node *rest;
    const struct http_route **routes; /* that end here, one per method */
    size_t route_count;
};

struct http_router {
    struct node root;
};

static bool is_param(struct str segment)
{
    return segment.n > 2 && segment.p[0] == '{' && segment.p[segment.n - 1] == '}';
}

static bool is_rest(struct str segment)
{
    return is_param(segment) && segment.p[segment.n - 2] == '*';
}

static struct node *node_new(struct str text)
{
    struct node *node = calloc(1, sizeof *node);
    if (!node)
        abort();
    node->text = text;
    return node;
}

static struct node *node_child(struct node *node, struct str segment)
{
    if (is_param(segment)) {
        struct node **slot = is_rest(segment) ? &node->rest : &node->param;
        if (!*slot)
            *slot = node_new(segment);
        return *slot;
    }
    for (struct node *child = node->literals; child; child = child->next)
        if (str_eq(child->text, segment))
            return child;
    struct node *child = node_new(segment);
    child->next = node->literals;
    node->literals = child;
    return child;
}

static void node_add_route(struct node *node, const struct http_route *route)
{
    for (size_t i = 0; i < node->route_count; i++)
        assert(strcmp(node->routes[i]->method, route->method) != 0); /* the same route twice */
    node->routes = realloc(node->routes, (node->route_count + 1) * sizeof *node->routes);
    if (!node->routes)
        abort();
    node->routes[node->route_count++] = route;
}

static void router_add(struct http_router *router, const struct http_route *route)
{
    struct str rest = str_of(route->pattern);
    assert(rest.n && rest.p[0] == '/' && route->handle);
    rest.p++;
    rest.n--;

    struct node *node = &router->root;
    int params = 0;
    while (str_given(rest)) {
        struct str segment = str_cut(&rest, '/');
        params += is_param(segment);
        assert(!is_rest(segment) || !str_given(rest)); /* {name*} is the last one */
        node = node_child(node, segment);
    }
    assert(params <= HTTP_PARAMS_MAX);
    node_add_route(node, route);
}

struct http_router *http_router_new(const struct http_route *routes, size_t count)
{
    struct http_router *router = calloc(1, sizeof *router);
    if (!router)
        abort();
    for (size_t i = 0; i < count; i++)
        router_add(router, &routes[i]);
    return router;
}

static void node_free_children(struct node *node)
{
    struct node *firsts[] = { node->literals, node->param, node->rest };
    for (size_t i = 0; i < 3; i++)
        for (struct node *child = firsts[i], *next; child; child = next) {
            next = child->next;
            node_free_children(child);
            free(child);
        }
    free(node->routes);
}

void http_router_free(struct http_router *router)
{
    if (!router)
        return;
    node_free_children(&router->root);
    free(router);
}

/* --- looking up --------------------------------------------------------- */

struct lookup {
    struct str segments[SEGMENTS_MAX]; /* decoded */
    struct str tails[SEGMENTS_MAX];    /* from that segment to the end, as sent */
    int count;
    struct str params[HTTP_PARAMS_MAX];
    int param_count;
};

static bool hex_digit(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool escapes_are_whole(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '%' && (i + 2 >= s.n || !hex_digit(s.p[i + 1]) || !hex_digit(s.p[i + 2])))
            return false;
    return true;
}

static enum err split_path(struct op *op, struct str path, struct lookup *ret)
{
    ret->count = ret->param_count = 0;
    if (!path.n || path.p[0] != '/')
        return fail(op, ERR_NOT_FOUND, "there is nothing at this path");
    struct str rest = { path.p + 1, path.n - 1 };
    while (str_given(rest)) {
        if (ret->count == SEGMENTS_MAX)
            return fail(op, ERR_NOT_FOUND, "there is nothing at this path");
        ret->tails[ret->count] = rest;
        struct str segment = str_cut(&rest, '/');
        if (memchr(segment.p, '%', segment.n)) {
            if (!escapes_are_whole(segment))
                return fail(op, ERR_MALFORMED, "a percent sign in the path is not followed by two hex digits");
            segment = form_decode(op->arena, segment, false);
            if (!str_given(segment))
                return fail(op, ERR_TOO_LARGE, "the path does not fit the memory of a request");
        }
        ret->segments[ret->count++] = segment;
    }
    return OK;
}

static const struct http_route *node_route(const struct node *node, struct str method)
{
    struct str wanted = str_eq(method, S("HEAD")) ? S("GET") : method;
    for (size_t i = 0; i < node->route_count; i++)
        if (str_eq(str_of(node->routes[i]->method), wanted))
            return node->routes[i];
    return NULL;
}

/* Without a method any route counts. */
static bool node_ends_here(const struct node *node, struct str method)
{
    return str_given(method) ? node_route(node, method) != NULL : node->route_count > 0;
}

static const struct node *find_node(const struct node *node, struct lookup *lookup, int at, struct str method)
{
    if (at == lookup->count)
        return node_ends_here(node, method) ? node : NULL;

    struct str segment = lookup->segments[at];
    for (const struct node *child = node->literals; child; child = child->next)
        if (str_eq(child->text, segment)) {
            const struct node *found = find_node(child, lookup, at + 1, method);
            if (found)
                return found;
        }
    if (node->param && segment.n) {
        int before = lookup->param_count;
        lookup->params[lookup->param_count++] = segment;
        const struct node *found = find_node(node->param, lookup, at + 1, method);
        if (found)
            return found;
        lookup->param_count = before;
    }
    if (node->rest && node_ends_here(node->rest, method)) {
        lookup->params[lookup->param_count++] = lookup->tails[at];
        return node->rest;
    }
    return NULL;
}

/* The node that answers the method, else one that answers another, so that a literal path of POST does not hide the
 * id of the same name from GET. */
static enum err find_path(struct op *op, const struct http_router *router, struct str path, struct str method,
                          struct lookup *lookup, const struct node **ret_node)
{
    TRY(split_path(op, path, lookup));
    const struct node *node = find_node(&router->root, lookup, 0, method);
    if (!node) {
        lookup->param_count = 0;
        node = find_node(&router->root, lookup, 0, (struct str){ NULL, 0 });
    }
    if (!node)
        return fail(op, ERR_NOT_FOUND, "there is nothing at this path");
    if (node->text.n && is_rest(node->text)) {
        struct str *tail = &lookup->params[lookup->param_count - 1];
        if (!escapes_are_whole(*tail))
            return fail(op, ERR_MALFORMED, "a percent sign in the path is not followed by two hex digits");
        *tail = form_decode(op->arena, *tail, false);
        if (!str_given(*tail))
            return fail(op, ERR_TOO_LARGE, "the path does not fit the memory of a request");
    }
    *ret_node = node;
    return OK;
}

enum err http_router_match(struct op *op, const struct http_router *router, struct str method, struct str path,
                           struct http_match *ret)
{
    struct lookup lookup;
    const struct node *node;
    TRY(find_path(op, router, path, method, &lookup, &node));
    ret->route = node_route(node, method);
    ret->param_count = lookup.param_count;
    memcpy(ret->params, lookup.params, sizeof ret->params[0] * (size_t)lookup.param_count);
    return OK;
}

struct str http_router_allow(struct op *op, const struct http_router *router, struct str path)
{
    struct lookup lookup;
    const struct node *node;
    if (find_path(op, router, path, (struct str){ NULL, 0 }, &lookup, &node) != OK)
        return S("");
    struct buf allow;
    buf_init_arena(&allow, op->arena, ALLOW_MAX);
    for (size_t i = 0; i < node->route_count; i++) {
        if (i)
            buf_add_str(&allow, S(", "));
        buf_add_str(&allow, str_of(node->routes[i]->method));
        if (strcmp(node->routes[i]->method, "GET") == 0)
            buf_add_str(&allow, S(", HEAD"));
    }
    return buf_str(&allow);
}
