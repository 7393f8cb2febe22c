#include "main/show.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/json.h"

#define TEXT_BYTES_MAX (1u << 20) /* of one value on the screen */
#define ROWS_MAX       100000

static const char *const bold[2] = { "", "\033[1m" };
static const char *const plain[2] = { "", "\033[0m" };

/* A terminal must not be told things by data: control characters become blanks. */
static struct str clean(struct cli *cli, struct str text)
{
    struct str copy = arena_str(cli->op.arena, text);
    char *p = arena_alloc(cli->op.arena, copy.n + 1);
    if (!p)
        return S("");
    for (size_t i = 0; i < copy.n; i++)
        p[i] = (unsigned char)copy.p[i] < 0x20 || copy.p[i] == 0x7f ? ' ' : copy.p[i];
    return (struct str){ p, copy.n };
}

/* What an item of a list is called: a text itself, an object by its "code". */
static bool item_name(struct json *j, struct str *ret)
{
    struct str name;
    if (json_type(j) == JSON_STRING)
        return json_string(j, ret);
    bool found = false;
    if (json_enter_object(j))
        while (json_next_member(j, &name))
            if (str_eq(name, S("code")))
                found = json_string(j, ret);
    return found;
}

/* Names of an array's items joined; false when some have none. */
static bool join_texts(struct cli *cli, struct str raw, struct str *ret)
{
    struct json j;
    struct buf out;
    buf_init_arena(&out, cli->op.arena, TEXT_BYTES_MAX);
    json_init(&j, cli->op.arena, raw, JSON_TOLERANT);
    if (!json_enter_array(&j))
        return false;
    while (json_next_item(&j)) {
        struct str text;
        if (!item_name(&j, &text))
            return false;
        if (out.n)
            buf_add(&out, ", ", 2);
        buf_add_str(&out, text);
    }
    *ret = out.n ? buf_str(&out) : S("-");
    return true;
}

/* The value in front of j as text. */
static struct str value_text(struct cli *cli, struct json *j)
{
    struct str text = { 0 };
    switch (json_type(j)) {
    case JSON_STRING:
        json_string(j, &text);
        return clean(cli, text);
    case JSON_NULL:
        json_null(j);
        return S("-");
    case JSON_ARRAY:
        json_raw(j, &text);
        join_texts(cli, text, &text);
        return clean(cli, text);
    case JSON_OBJECT:
    case JSON_NUMBER:
    case JSON_BOOL:
    case JSON_END:
        break;
    }
    return json_raw(j, &text) ? clean(cli, text) : S("-");
}

struct str show_value(struct cli *cli, struct str json, const char *member)
{
    struct str path = str_of(member);
    while (str_given(path)) {
        struct str name = str_cut(&path, '.');
        if (!json_find(cli->op.arena, json, JSON_TOLERANT, name, &json))
            return S("-");
    }
    struct json j;
    json_init(&j, cli->op.arena, json, JSON_TOLERANT);
    return value_text(cli, &j);
}

void show_json(struct str json)
{
    printf("%.*s\n", STR(json));
}

/* --- objects -------------------------------------------------------------- */

static bool is_in(struct str name, const char *const *list)
{
    for (; list && *list; list++)
        if (str_eq(name, str_of(*list)))
            return true;
    return false;
}

/* Columns, not bytes: what continues a UTF-8 character takes no place. */
static int width_of(struct str text)
{
    int width = 0;
    for (size_t i = 0; i < text.n; i++)
        width += ((unsigned char)text.p[i] & 0xc0) != 0x80;
    return width;
}

static int widest_name(struct cli *cli, struct str json, const char *const *skip)
{
    struct json j;
    struct str name;
    int widest = 0;
    json_init(&j, cli->op.arena, json, JSON_TOLERANT);
    if (json_enter_object(&j))
        while (json_next_member(&j, &name))
            if (!is_in(name, skip) && width_of(name) > widest)
                widest = width_of(name);
    return widest;
}

void show_object(struct cli *cli, struct str json, const char *const *skip)
{
    struct json j;
    struct str name;
    int widest = widest_name(cli, json, skip);
    json_init(&j, cli->op.arena, json, JSON_TOLERANT);
    if (!json_enter_object(&j))
        return;
    while (json_next_member(&j, &name)) {
        if (is_in(name, skip))
            continue;
        struct str value = value_text(cli, &j);
        printf("%.*s%*s  %.*s\n", STR(name), widest - width_of(name), "", STR(value));
    }
}

/* --- tables --------------------------------------------------------------- */

struct table {
    const struct show_column *columns;
    int column_count, widths[SHOW_COLUMNS_MAX];
    bool right[SHOW_COLUMNS_MAX]; /* every value is a number */
    struct str (*rows)[SHOW_COLUMNS_MAX];
    size_t row_count, row_room;
};

static bool is_number(struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (!strchr("0123456789.-", text.p[i]))
            return false;
    return text.n > 0;
}

static void table_add(struct cli *cli, struct table *table, struct str item)
{
    if (table->row_count == table->row_room) {
        table->row_room = table->row_room ? 2 * table->row_room : 64;
        table->rows = realloc(table->rows, table->row_room * sizeof *table->rows);
        if (!table->rows)
            abort();
    }
    struct str *row = table->rows[table->row_count++];
    for (int i = 0; i < table->column_count; i++) {
        row[i] = show_value(cli, item, table->columns[i].member);
        table->right[i] = table->right[i] && (is_number(row[i]) || str_eq(row[i], S("-")));
        if (width_of(row[i]) > table->widths[i])
            table->widths[i] = width_of(row[i]);
    }
}

static void print_cell(const struct table *table, int i, struct str text)
{
    int pad = table->widths[i] - width_of(text);
    bool last = i == table->column_count - 1;
    if (table->right[i])
        printf("%*s%.*s", pad, "", STR(text));
    else
        printf("%.*s%*s", STR(text), last ? 0 : pad, "");
    fputs(last ? "\n" : "  ", stdout);
}

static void table_print(const struct table *table)
{
    bool colors = cli_colors();
    fputs(bold[colors], stdout);
    for (int i = 0; i < table->column_count; i++)
        print_cell(table, i, str_of(table->columns[i].title));
    fputs(plain[colors], stdout);
    for (size_t row = 0; row < table->row_count; row++)
        for (int i = 0; i < table->column_count; i++)
            print_cell(table, i, table->rows[row][i]);
}

void show_items(struct cli *cli, struct str json, const char *member, const struct show_column *columns,
                const char *none)
{
    struct table table = { .columns = columns };
    for (; columns[table.column_count].title; table.column_count++) {
        table.widths[table.column_count] = (int)strlen(columns[table.column_count].title);
        table.right[table.column_count] = true;
    }
    if (member && !json_find(cli->op.arena, json, JSON_TOLERANT, str_of(member), &json))
        json = S("[]");
    struct json j;
    struct str item;
    json_init(&j, cli->op.arena, json, JSON_TOLERANT);
    if (json_enter_array(&j))
        while (json_next_item(&j) && table.row_count < ROWS_MAX)
            if (json_raw(&j, &item))
                table_add(cli, &table, item);
    if (table.row_count)
        table_print(&table);
    else if (none)
        puts(none);
    free(table.rows);
}
