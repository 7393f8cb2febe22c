/*
 * segment.h - one stretch of time, read page by page along a chain of tokens.
 *
 *     begin        position                stop                      end
 *       |---- read ----|------ chain --------|.... behind a hole ......|
 *
 * `position` is where the committed pages have come to (SRC-2); it is the only
 * thing that survives. An empty first page moves it to the end (SRC-8). A chain starts with a request for [position,
 * stop) and goes on with the token of each page until one is empty. A fresh chain may start at the position at any
 * time: what comes twice is recognised.
 *
 * A page that cannot be read (SRC-18) is asked for again, five times; then with
 * half the limit, down to one item, each twice. A smaller page that is good says
 * that the spoiled item is among the rest, which is halved in its turn. Then the
 * place of the item is looked for: probes of the stretch behind the position fail
 * as soon as their end lies behind it. Everything in front of the spot is read,
 * the spot itself tried once more, and only then left as a hole.
 *
 *   PLAIN --unreadable--> PLAIN, smaller --limit 1--> PROBING --found--> BEFORE_HOLE --> AT_HOLE --> PLAIN behind it
 *
 * No clock, no rows, no lanes: source.c puts segments together.
 */
#pragma once

#include "engine/provider.h"
#include "engine/source_fault.h"

#define SEGMENT_TRIES       6     /* of a whole page: five retries */
#define SEGMENT_TRIES_SMALL 2     /* of each halving */
#define SEGMENT_SAME_PAGES  3     /* SRC-19 */
#define SEGMENT_STILL_PAGES 10000 /* pages of one chain that do not get on in time */
#define SEGMENT_GOOD_PAGES  4     /* after so many good pages a reduced limit doubles */
#define SEGMENT_CREEPING    4     /* small pages at one instant, before the spot is looked for by time */
#define SEGMENT_HOLES_SMALL 8     /* of one grain each; more in a row double */

/* What is the same for every segment of a source. */
struct segment_form {
    int limit;              /* items of a full page */
    int pages_max;          /* of one chain, 0 = any */
    int64_t grain_us;       /* finest instant a request can name */
    bool end_without_token; /* a page without token is the last one (Logs API) */
};

enum segment_phase { SEGMENT_PLAIN, SEGMENT_PROBING, SEGMENT_BEFORE_HOLE, SEGMENT_AT_HOLE };

struct segment {
    bool is_open;
    int64_t end_us;
    int64_t position_us;
    int64_t stop_us; /* end of the present chain */

    bool is_fresh; /* the next request is the first of a chain */
    int64_t chain_begin_us;
    char *token; /* of the next page; own memory */
    size_t token_n;
    int pages;       /* of the chain */
    int still_pages; /* since the position moved */
    uint64_t ids;    /* of the last page, and how many in a row were the same */
    int same_pages;

    enum segment_phase phase;
    int limit;
    int tries;                        /* failed ones of the present request */
    int good_pages;                   /* in a row at a reduced limit */
    int narrow;                       /* the spoiled item is one of so many behind the position; 0 = nobody knows */
    int64_t pace_us;                  /* from item to item on the last good page; 0 = nobody knows */
    int64_t probe_begin_us, probe_us; /* PROBING: [begin, end) of the probe */
    int64_t low_us, high_us;          /* the spot lies in [low, high) */
    int probe_limit;
    bool is_suspect; /* a page was unreadable, and no whole one has been read since: five retries were enough */
    int holes;       /* marked in a row, with no good item between them */
    int64_t hole_begin_us, hole_end_us;
    int64_t spot_begin_us, spot_end_us; /* as the probes found it last */

    int64_t retry_at_us; /* not before this */
    int64_t split_us;    /* to be split here once the page is kept; 0 = no */

    uint64_t asked;           /* ticket of the request under way, 0 = none */
    uint64_t saving;          /* ticket of the save under way, 0 = none */
    int64_t next_position_us; /* when that save is kept */
    bool is_last;             /* and then the segment is done */
    bool loops;               /* and then the run ends with an error */
};

void segment_open(struct segment *segment, const struct segment_form *form, int64_t begin_us, int64_t end_us);

/* The same for a spot known to be unreadable: it is tried twice, then left as the hole it is. */
void segment_open_hole(struct segment *segment, const struct segment_form *form, int64_t begin_us, int64_t end_us);

/* Frees the token. Answers and saves under way find the segment closed. */
void segment_close(struct segment *segment);

/* Time from end_us on does not belong to it after all; a grain behind the position always does. */
void segment_clip(struct segment *segment, const struct segment_form *form, int64_t end_us);

/* Goes back to a fresh chain at the committed position; an answer under way will not be taken. */
void segment_restart(struct segment *segment);

/* A request could be sent: none is under way, and its begin is known. */
bool segment_is_ready(const struct segment *segment, int64_t now_us);

/* The hole in front is to be marked: nothing else goes on before. */
bool segment_wants_hole(const struct segment *segment);

/* [begin, end), limit and token of the next request, and that it is sent. */
struct segment_request {
    int64_t begin_us, end_us;
    struct str token;
    int limit;
};
struct segment_request segment_ask(struct segment *segment, uint64_t ticket);

enum segment_word {
    SEGMENT_KEEP,    /* keep the page: the save runs up to next_position_us */
    SEGMENT_NOTHING, /* a probe: nothing to keep */
    SEGMENT_LOOP     /* keep the page, then end the run with an error (SRC-19) */
};

/* A page came. */
enum segment_word segment_page(struct segment *segment, const struct segment_form *form,
                               const struct provider_page *page);

/* The page could not be read at all, or was too large. */
void segment_unreadable(struct segment *segment, const struct segment_form *form, struct rng *rng, bool is_too_large,
                        int64_t now_us);

/* The save is kept: the position moves on. Returns false when the segment is done (it is then closed). */
bool segment_kept(struct segment *segment, const struct segment_form *form);

/* Cuts the segment at split_us: it keeps the front, `other` (closed before) gets the rest. */
void segment_split(struct segment *segment, const struct segment_form *form, struct segment *other);
