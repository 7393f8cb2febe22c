/*
 * api_links.h - handlers of tracked links.
 */
#pragma once

#include "net/http_server.h"

struct api;
struct json_writer;
struct link;

void link_put_request(struct http_request *request);  /* PUT /v1/links/{code} */
void link_get_request(struct http_request *request);  /* GET /v1/links/{code} */
void link_post_request(struct http_request *request); /* POST /v1/links, streamed body */

/* "https://news.example.org/blog/r/7hQk2mXw9P" in the arena. */
struct str link_short_url(struct arena *arena, const struct api *api, struct str code);

/* The members of a link without its figures, into an open object. tenant and mailing are their ids; mailing may be not
 * given. */
void link_render(struct json_writer *w, struct arena *arena, const struct api *api, const struct link *link,
                 struct str tenant, struct str mailing);
