#include "base/log.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/instant.h"
#include "base/mask.h"

#define TAIL_BYTES 16 /* kept free for the mark of a cut line, the brace and the line feed */

static const char *const level_names[] = { "debug", "info", "warn", "error" };

static _Atomic int least_level = LOG_LEVEL_INFO;
static _Atomic int line_form = LOG_FORM_LOGFMT;
static void (*capture)(void *context, struct str line);
static void *capture_context;

/* The line while it grows; what does not fit before `limit` is left out and noted. */
struct line {
    char p[LOG_LINE_BYTES_MAX];
    size_t n, limit;
    enum log_form form;
    bool cut;
};

static bool put(struct line *line, const char *p, size_t n)
{
    if (n > line->limit - line->n) {
        line->cut = true;
        return false;
    }
    memcpy(line->p + line->n, p, n);
    line->n += n;
    return true;
}

static bool put_cstr(struct line *line, const char *text)
{
    return put(line, text, strlen(text));
}

/* How a byte is written inside quotes, alike for logfmt and JSON (RFC 8259); `utf8` tells whether high bytes may pass.
 */
static size_t escape(char c, bool utf8, char ret[8])
{
    static const char plain[] = "\"\\\n\r\t", letters[] = "\"\\nrt";
    const char *special = c ? strchr(plain, c) : NULL;
    if (special) {
        ret[0] = '\\';
        ret[1] = letters[special - plain];
        return 2;
    }
    if ((unsigned char)c < 0x20 || c == 0x7f)
        return (size_t)snprintf(ret, 8, "\\u%04x", (unsigned char)c);
    ret[0] = (unsigned char)c >= 0x80 && !utf8 ? '?' : c;
    return 1;
}

static bool is_tail_byte(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* A text in quotes, cut between characters if it must be; one byte is kept for the closing quote. */
static void put_quoted(struct line *line, struct str text)
{
    bool utf8 = str_is_utf8(text);
    char out[8];
    if (!put(line, "\"", 1))
        return;
    line->limit--;
    for (size_t i = 0; i < text.n; i++) {
        size_t n = escape(text.p[i], utf8, out);
        if (put(line, out, n))
            continue;
        while (utf8 && i > 0 && is_tail_byte(text.p[i])) {
            i--; /* the character's first bytes stand in the line already: take them back */
            line->n--;
        }
        break;
    }
    line->limit++;
    put(line, "\"", 1);
}

static bool is_bare(struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] <= ' ' || text.p[i] > '~' || text.p[i] == '"' || text.p[i] == '=' || text.p[i] == '\\')
            return false;
    return text.n > 0;
}

static void put_text(struct line *line, struct str text)
{
    char masked[LOG_LINE_BYTES_MAX];
    size_t n = mask_into(text, masked, sizeof masked);
    struct str shown = { masked, n };
    if (line->form == LOG_FORM_LOGFMT && is_bare(shown) && n <= line->limit - line->n)
        put(line, shown.p, shown.n);
    else
        put_quoted(line, shown);
}

static void put_real(struct line *line, double value)
{
    char text[32];
    if (!isfinite(value)) {
        put_cstr(line, "null"); /* JSON knows no infinity */
        return;
    }
    snprintf(text, sizeof text, "%.9g", value);
    put_cstr(line, text);
}

static void put_value(struct line *line, const struct log_field *field)
{
    char text[INSTANT_TEXT_BYTES];
    switch (field->type) {
    case LOG_TYPE_NONE:
    case LOG_TYPE_STR:
        put_text(line, field->text);
        return;
    case LOG_TYPE_INT:
        snprintf(text, sizeof text, "%lld", (long long)field->number);
        put_cstr(line, text);
        return;
    case LOG_TYPE_NUM:
        put_real(line, field->real);
        return;
    case LOG_TYPE_BOOL:
        put_cstr(line, field->number ? "true" : "false");
        return;
    case LOG_TYPE_HEX:
        snprintf(text, sizeof text, "%016llx", (unsigned long long)field->number);
        put_text(line, str_of(text));
        return;
    case LOG_TYPE_INSTANT:
        put_text(line, instant_text(field->number, 6, text));
        return;
    }
}

/* A key with its value, or nothing of it when not even the key and some of the value fit. */
static void put_field(struct line *line, const struct log_field *field)
{
    size_t before = line->n;
    const char *separator = line->form == LOG_FORM_JSON ? (line->n == 1 ? "\"" : ",\"") : line->n == 0 ? "" : " ";
    const char *assign = line->form == LOG_FORM_JSON ? "\":" : "=";
    if (field->type == LOG_TYPE_STR && !str_given(field->text))
        return;
    if (!put_cstr(line, separator) || !put_cstr(line, field->key) || !put_cstr(line, assign) ||
        line->limit - line->n < 32) {
        line->n = before;
        line->cut = true;
        return;
    }
    put_value(line, field);
}

static void put_end(struct line *line)
{
    line->limit = sizeof line->p;
    if (line->form == LOG_FORM_JSON)
        put_cstr(line, line->cut ? ",\"cut\":true}\n" : "}\n");
    else
        put_cstr(line, line->cut ? " cut=true\n" : "\n");
}

static void write_line(const struct line *line)
{
    if (capture) {
        capture(capture_context, (struct str){ line->p, line->n - 1 });
        return;
    }
    ssize_t written;
    do {
        written = write(STDERR_FILENO, line->p, line->n);
    } while (written < 0 && errno == EINTR);
    /* There is nowhere left to tell that stderr cannot be written. */
}

void log_setup(enum log_level least, enum log_form form)
{
    atomic_store_explicit(&least_level, (int)least, memory_order_relaxed);
    atomic_store_explicit(&line_form, (int)form, memory_order_relaxed);
}

bool log_on(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&least_level, memory_order_relaxed);
}

void log_write(enum log_level level, const char *message, const struct log_field *fields)
{
    struct line line;
    char now[INSTANT_TEXT_BYTES];
    line.n = 0;
    line.limit = sizeof line.p - TAIL_BYTES;
    line.cut = false;
    line.form = (enum log_form)atomic_load_explicit(&line_form, memory_order_relaxed);
    if (line.form == LOG_FORM_JSON)
        put(&line, "{", 1);

    const struct log_field head[] = {
        LOG_STR("ts", instant_text(clock_wall_us(), 3, now)),
        LOG_TEXT("level", level_names[level]),
        LOG_TEXT("msg", message),
    };
    for (size_t i = 0; i < sizeof head / sizeof *head; i++)
        put_field(&line, &head[i]);
    for (; fields->key; fields++)
        put_field(&line, fields);
    put_end(&line);
    write_line(&line);
}

bool log_level_parse(struct str name, enum log_level *ret_level)
{
    for (size_t i = 0; i < sizeof level_names / sizeof *level_names; i++) {
        if (!str_eq(name, str_of(level_names[i])))
            continue;
        *ret_level = (enum log_level)i;
        return true;
    }
    return false;
}

void log_capture(void (*see)(void *context, struct str line), void *context)
{
    capture = see;
    capture_context = context;
}
