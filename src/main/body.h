/*
 * body.h - options of a command as the JSON body of a request.
 *
 *     --timezone Europe/London --contact a@x.org --contact b@x.org
 *     {"timezone":"Europe/London","contacts":["a@x.org","b@x.org"]}
 *
 * One table says which option fills which member. --body FILE ("-": standard
 * input) sends a ready JSON document instead.
 */
#pragma once

#include "main/cli.h"

#define BODY_BYTES_MAX (1 << 20)

enum body_kind {
    BODY_TEXT,
    BODY_FILE,     /* the contents of a file without the last line feed; for secrets */
    BODY_BOOL,     /* yes, no, true, false, on, off */
    BODY_TEXTS,    /* a list: the option may stand several times, and commas separate */
    BODY_TEXT_MAP, /* {"email":"7d"} from email=7d, the same way */
    BODY_NUMBER,
    BODY_RATE, /* {"limit":40,"per":"60s","burst":3} from 40/60s/3; the burst may be left out */
    BODY_JSON  /* JSON as it stands */
};

/* A table of them ends with one that has no option. */
struct body_field {
    const char *option;
    const char *member;
    const char *parent; /* "timing": the member lies inside this object; NULL: in the body itself */
    enum body_kind kind;
    bool may_be_none; /* "none" takes away what was set: null */
};

/* The option every command with a body has. */
#define BODY_OPTION                                                                                                    \
    {                                                                                                                  \
        "body", "FILE", "a JSON document to send instead of what the options say ('-': standard input)"                \
    }

/* The body; CLI_USAGE after saying what is wrong. Fields of one parent stand together in the table. */
int body_of(struct cli *cli, const struct body_field *fields, struct str *ret_body);

/* A whole file, or standard input for "-", in the op's arena. ERR_IO, ERR_TOO_LARGE. */
enum err read_whole(struct op *op, const char *path, size_t max_bytes, struct str *ret_text);
