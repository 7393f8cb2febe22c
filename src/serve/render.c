#include "serve/render.h"

#include "base/instant.h"

#define RATE_PLACES 4
#define RATE_UNIT   10000

static void render_instant(struct json_writer *w, const char *name, int64_t at_us, int decimals)
{
    char text[INSTANT_TEXT_BYTES];
    json_member_str(w, name, instant_text(at_us, decimals, text));
}

void render_ms(struct json_writer *w, const char *name, int64_t at_ms, int64_t none)
{
    if (at_ms == none)
        json_member_null(w, name);
    else
        render_instant(w, name, at_ms * 1000, 3);
}

void render_us(struct json_writer *w, const char *name, int64_t at_us, int64_t none)
{
    if (at_us == none)
        json_member_null(w, name);
    else
        render_instant(w, name, at_us, 6);
}

void render_rate(struct json_writer *w, const char *name, int64_t part, int64_t whole)
{
    json_put_name(w, name);
    if (whole == 0)
        json_put_null(w);
    else
        json_put_decimal(w, (part * RATE_UNIT * 2 + whole) / (whole * 2), RATE_PLACES);
}

void render_stats(struct json_writer *w, const struct mailing_stats *stats)
{
    static const enum mailing_figure order[MAILING_FIGURES] = {
        MAILING_MESSAGES,         MAILING_DELIVERED,        MAILING_OPENED,        MAILING_OPENED_HUMAN,
        MAILING_OPENED_MACHINE,   MAILING_CLICKED,          MAILING_CLICKED_HUMAN, MAILING_CLICKED_MACHINE,
        MAILING_FAILED_PERMANENT, MAILING_FAILED_TEMPORARY, MAILING_COMPLAINED,    MAILING_UNSUBSCRIBED,
    };
    for (int i = 0; i < MAILING_FIGURES; i++)
        json_member_int(w, mailing_figure_name(order[i]), stats->figure[order[i]]);
    int64_t messages = stats->figure[MAILING_MESSAGES];
    render_rate(w, "open_rate", stats->figure[MAILING_OPENED], messages);
    render_rate(w, "click_rate", stats->figure[MAILING_CLICKED], messages);
    render_us(w, "first_event_at", stats->first_event_at_us, 0);
    render_us(w, "last_event_at", stats->last_event_at_us, 0);
}
