#include "test.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/thread.h"

#define STAMP_BYTES 24 /* of an instant with milliseconds */

static char seen[LOG_LINE_BYTES_MAX + 1];
static int lines;

static void see(void *context, struct str line)
{
    (void)context;
    memcpy(seen, line.p, line.n);
    seen[line.n] = '\0';
    lines++;
}

static void start(enum log_form form)
{
    lines = 0;
    seen[0] = '\0';
    log_setup(LOG_LEVEL_INFO, form);
    log_capture(see, NULL);
}

/* The captured line without its instant, which is the clock's. */
static const char *line_without_time(void)
{
    static char rest[LOG_LINE_BYTES_MAX + 1];
    const char *begin = strstr(seen, "20");
    YES(begin != NULL && (begin - seen == 3 || begin - seen == 7));
    snprintf(rest, sizeof rest, "%.*s~%s", (int)(begin - seen), seen, begin + STAMP_BYTES);
    log_capture(NULL, NULL);
    log_setup(LOG_LEVEL_INFO, LOG_FORM_LOGFMT);
    return rest;
}

TEST(log, writes_logfmt)
{
    start(LOG_FORM_LOGFMT);
    log_info("source reads on", LOG_STR("source", S("mg")), LOG_INT("pages", -12), LOG_BOOL("late", true),
             LOG_NUM("share", 0.25), LOG_HEX("trace", 0xabc), LOG_INSTANT("at", 1),
             LOG_STR("absent", ((struct str){ NULL, 0 })), LOG_STR("empty", S("")));
    STR_EQ(str_of(line_without_time()),
           "ts=~ level=info msg=\"source reads on\" source=mg pages=-12 late=true share=0.25 trace=0000000000000abc "
           "at=1970-01-01T00:00:00.000001Z empty=\"\"");
}

TEST(log, writes_json_lines)
{
    start(LOG_FORM_JSON);
    log_warn("source reads on", LOG_STR("source", S("mg")), LOG_INT("pages", -12), LOG_BOOL("late", false),
             LOG_NUM("share", 0.25), LOG_NUM("none", 1.0 / 0.0));
    STR_EQ(str_of(line_without_time()),
           "{\"ts\":\"~\",\"level\":\"warn\",\"msg\":\"source reads on\",\"source\":\"mg\","
           "\"pages\":-12,\"late\":false,\"share\":0.25,\"none\":null}");
}

TEST(log, takes_a_message_without_fields)
{
    start(LOG_FORM_LOGFMT);
    log_error("alone");
    STR_EQ(str_of(line_without_time()), "ts=~ level=error msg=alone");
}

TEST(log, drops_lines_below_its_level)
{
    start(LOG_FORM_LOGFMT);
    log_debug("hidden");
    EQ(lines, 0);
    NO(log_on(LOG_LEVEL_DEBUG));
    log_setup(LOG_LEVEL_ERROR, LOG_FORM_LOGFMT);
    log_warn("hidden");
    EQ(lines, 0);
    log_error("shown");
    EQ(lines, 1);
    line_without_time();
}

TEST(log, escapes_what_would_break_a_line)
{
    start(LOG_FORM_LOGFMT);
    log_info("m", LOG_TEXT("t", "a \"b\"\\\n\r\t\x01 c=d é"), LOG_TEXT("bad", "\xff!"));
    STR_EQ(str_of(line_without_time()), "ts=~ level=info msg=m t=\"a \\\"b\\\"\\\\\\n\\r\\t\\u0001 c=d é\" bad=\"?!\"");
}

TEST(log, masks_addresses_in_every_text)
{
    start(LOG_FORM_JSON);
    log_info("mail to ann@x.org", LOG_TEXT("error", "550 <john@example.org> unknown"));
    STR_EQ(str_of(line_without_time()), "{\"ts\":\"~\",\"level\":\"info\",\"msg\":\"mail to a***@x.org\","
                                        "\"error\":\"550 <j***@example.org> unknown\"}");
}

TEST(log, carries_the_error_of_an_operation)
{
    struct op op;
    op_init(&op, NULL, 0);
    op.trace = 255;
    fail(&op, ERR_CONFLICT, "it stands elsewhere");
    start(LOG_FORM_LOGFMT);
    log_error("page refused", LOG_ERROR_OF(&op), LOG_TRACE_OF(&op));
    STR_EQ(str_of(line_without_time()),
           "ts=~ level=error msg=\"page refused\" error=\"it stands elsewhere\" trace=00000000000000ff");
}

static void log_much(const char *text)
{
    log_info("m", LOG_TEXT("long", text), LOG_INT("behind", 1));
}

TEST(log, cuts_a_long_line_between_characters_and_says_so)
{
    static char text[3 * LOG_LINE_BYTES_MAX];
    for (size_t i = 0; i + 2 < sizeof text; i += 2)
        memcpy(text + i, "é", 2);
    for (size_t shift = 0; shift < 2; shift++) {
        start(LOG_FORM_LOGFMT);
        log_much(text + 2 * shift);
        size_t n = strlen(seen);
        YES(n < LOG_LINE_BYTES_MAX && n > LOG_LINE_BYTES_MAX - 40);
        YES(str_is_utf8(str_of(seen)));
        YES(str_ends(str_of(seen), S("\" cut=true")));

        start(LOG_FORM_JSON);
        text[0] = 'x'; /* the second round: odd bytes before the cut */
        text[1] = 'x';
        log_much(text + 1 - shift);
        YES(strlen(seen) < LOG_LINE_BYTES_MAX);
        YES(str_is_utf8(str_of(seen)));
        YES(str_ends(str_of(seen), S("\",\"cut\":true}")));
    }
    line_without_time();
}

TEST(log, leaves_out_whole_fields_that_have_no_room)
{
    static char text[LOG_LINE_BYTES_MAX];
    for (size_t n = 3900; n < sizeof text; n++) {
        memset(text, 'a', n);
        text[n] = '\0';
        start(LOG_FORM_JSON);
        log_much(text);
        YES(strlen(seen) < LOG_LINE_BYTES_MAX);
        EQ(seen[strlen(seen) - 1], '}');
        YES(str_ends(str_of(seen), S("\",\"behind\":1}")) || str_ends(str_of(seen), S("\",\"cut\":true}")));
    }
    line_without_time();
}

TEST(log, knows_the_names_of_levels)
{
    enum log_level level = LOG_LEVEL_ERROR;
    YES(log_level_parse(S("debug"), &level));
    EQ(level, LOG_LEVEL_DEBUG);
    NO(log_level_parse(S("loud"), &level));
    EQ(level, LOG_LEVEL_DEBUG);
}

static void log_many(void *context)
{
    for (int i = 0; i < 2000; i++)
        log_info("a line of some length", LOG_TEXT("thread", context), LOG_INT("number", i));
}

TEST(log, never_mixes_lines_of_two_threads)
{
    struct op op;
    struct thread threads[2];
    char path[] = "/tmp/log-test-XXXXXX", line[512];
    int file = mkstemp(path), saved = dup(STDERR_FILENO), count = 0;
    YES(file >= 0 && saved >= 0);
    close(file);
    file = open(path, O_WRONLY | O_APPEND);
    dup2(file, STDERR_FILENO);
    op_init(&op, NULL, 0);
    thread_start(&op, &threads[0], "a", log_many, (char[]){ "a" });
    thread_start(&op, &threads[1], "b", log_many, (char[]){ "b" });
    thread_join(&threads[0]);
    thread_join(&threads[1]);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(file);

    FILE *written = fopen(path, "r");
    while (fgets(line, sizeof line, written)) {
        YES(str_starts(str_of(line), S("ts=20")));
        YES(strstr(line + 1, "ts=") == NULL);
        YES(strstr(line, " thread=a number=") || strstr(line, " thread=b number="));
        count++;
    }
    fclose(written);
    unlink(path);
    EQ(count, 4000);
}
