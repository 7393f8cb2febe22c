/*
 * redirect_page.c - answers of the redirect that are no redirect: small pages without script or outside resource.
 */
#include "base/buf.h"
#include "net/http_reply.h"
#include "serve/html.h"
#include "serve/redirect_parts.h"

#define PAGE_BYTES_MAX (64u * 1024)
#define RETRY_AFTER    "5"

static void page_headers(struct http_request *request)
{
    http_reply_header(request, S("Cache-Control"), S("no-store"));
    http_reply_header(request, S("X-Robots-Tag"), S("noindex, nofollow"));
    http_reply_header(request, S("Content-Security-Policy"), S("default-src 'none'"));
}

void answer_not_found(struct redirect *redirect, struct http_request *request)
{
    struct str page = redirect->config.not_found_page;
    if (!str_given(page))
        page = S("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Not found</title>"
                 "<h1>This link is not known here</h1><p>It may have been cut when it was copied.</p></html>\n");
    page_headers(request);
    http_reply(request, 404, S("text/html; charset=utf-8"), page);
}

/* Honest, and the person can go on: an ordinary link, nothing that goes on by itself (LNK-43). */
void answer_busy(struct http_request *request, struct str location)
{
    struct buf page;
    buf_init_arena(&page, request->op.arena, PAGE_BYTES_MAX);
    buf_add_str(&page, S("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>One moment</title>"
                         "<h1>This link cannot be followed by itself just now</h1>"));
    if (str_given(location)) {
        buf_add_str(&page, S("<p><a rel=\"noreferrer\" href=\""));
        html_escape(&page, location);
        buf_add_str(&page, S("\">Continue to "));
        html_escape(&page, link_url_host(location));
        buf_add_str(&page, S("</a></p>"));
    } else {
        buf_add_str(&page, S("<p>Please try again in a few seconds.</p>"));
    }
    buf_add_str(&page, S("</html>\n"));
    page_headers(request);
    http_reply_header(request, S("Retry-After"), S(RETRY_AFTER));
    http_reply(request, 503, S("text/html; charset=utf-8"), page.full ? S("") : buf_str(&page));
}
