#include "engine/agent.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define STATES_MAX  65535 /* a state number takes two bytes; 0 is the root */
#define BEGIN_BYTE  0x01  /* stands before the first byte of every agent, so that ^ is a byte like others */
#define END_BYTE    0x02  /* stands behind the last */
#define OTHER_CLASS 0     /* bytes that no entry holds */

/* The list of the project as it is in data/scanners.txt. */
__asm__(".pushsection .rodata\n"
        ".global agent_scanners\n"
        "agent_scanners: .incbin \"data/scanners.txt\"\n"
        ".global agent_scanners_end\n"
        "agent_scanners_end: .byte 0\n"
        ".popsection\n");
extern const char agent_scanners[];
extern const char agent_scanners_end[];

enum says { SAYS_NOTHING, SAYS_MACHINE, SAYS_NO_MACHINE };

/*
 * The automaton: state x class of the next byte -> state. A state stands for the longest beginning of an entry that
 * the bytes read so far end with, and says what the longest entry says that they end with.
 */
struct agent_list {
    uint8_t class_of[256]; /* of a byte as it comes; upper and lower case share one */
    size_t classes;
    uint16_t *next; /* [state * classes + class] */
    uint8_t *says;  /* [state], enum says */
    size_t states, room;
};

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
}

/* Every byte of the lists gets a class of its own; that there are fewer than 256 keeps the table small. */
static void classes_learn(struct agent_list *list, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        uint8_t byte = lower((uint8_t)text.p[i]);
        if (byte >= ' ' && list->class_of[byte] == OTHER_CLASS)
            list->class_of[byte] = (uint8_t)list->classes++;
    }
}

static void classes_finish(struct agent_list *list)
{
    list->class_of[BEGIN_BYTE] = (uint8_t)list->classes++;
    list->class_of[END_BYTE] = (uint8_t)list->classes++;
    for (int byte = 'A'; byte <= 'Z'; byte++)
        list->class_of[byte] = list->class_of[lower((uint8_t)byte)];
}

/* A new state without ways out, 0 when there are too many. */
static uint16_t state_add(struct agent_list *list)
{
    if (list->states == STATES_MAX)
        return 0;
    if (list->states == list->room) {
        list->room = list->room ? list->room * 2 : 1024;
        list->next = realloc(list->next, list->room * list->classes * sizeof *list->next);
        list->says = realloc(list->says, list->room);
        assert(list->next && list->says);
    }
    memset(list->next + list->states * list->classes, 0, list->classes * sizeof *list->next);
    list->says[list->states] = SAYS_NOTHING;
    return (uint16_t)list->states++;
}

/* The state behind one byte more, made when it is not there; 0 when there are too many. */
static uint16_t state_grow(struct agent_list *list, uint16_t state, uint8_t byte)
{
    size_t way = state * list->classes + list->class_of[byte];
    if (list->next[way] == 0) {
        uint16_t made = state_add(list); /* may move the table */
        list->next[way] = made;
    }
    return list->next[way];
}

static enum err entry_add(struct op *op, struct agent_list *list, struct str entry, size_t line)
{
    char mark = strchr("!^=", entry.p[0]) ? entry.p[0] : ' ';
    struct str text = mark == ' ' ? entry : (struct str){ entry.p + 1, entry.n - 1 };
    if (text.n == 0 || text.n > AGENT_ENTRY_BYTES_MAX)
        return fail(op, ERR_INVALID, "line %zu: an entry has 1 to %d bytes", line, AGENT_ENTRY_BYTES_MAX);

    uint16_t state = 0;
    bool room = true;
    if (mark == '^' || mark == '=')
        state = state_grow(list, state, BEGIN_BYTE);
    for (size_t i = 0; i < text.n && room; i++) {
        if ((uint8_t)text.p[i] < ' ')
            return fail(op, ERR_INVALID, "line %zu: control byte in an entry", line);
        state = state_grow(list, state, (uint8_t)text.p[i]);
        room = state != 0;
    }
    if (mark == '=' && room)
        room = (state = state_grow(list, state, END_BYTE)) != 0;
    if (!room)
        return fail(op, ERR_TOO_LARGE, "line %zu: the list of agents is too long", line);
    list->says[state] = mark == '!' ? SAYS_NO_MACHINE : SAYS_MACHINE;
    return OK;
}

static enum err list_read(struct op *op, struct agent_list *list, struct str text)
{
    for (size_t line = 1; str_given(text); line++) {
        struct str entry = str_trim(str_cut(&text, '\n'));
        if (entry.n && entry.p[0] != '#')
            TRY(entry_add(op, list, entry, line));
    }
    return OK;
}

/* Breadth first, so that the state a failing one falls back to is complete when it is needed. */
static void list_link(struct agent_list *list)
{
    uint16_t *fallback = calloc(list->states, sizeof *fallback);
    uint16_t *queue = calloc(list->states, sizeof *queue);
    assert(fallback && queue);
    size_t head = 0, tail = 0;
    queue[tail++] = 0;

    while (head < tail) {
        uint16_t state = queue[head++];
        uint16_t *next = list->next + state * list->classes;
        const uint16_t *back = list->next + fallback[state] * list->classes;
        if (list->says[state] == SAYS_NOTHING)
            list->says[state] = list->says[fallback[state]];
        for (size_t c = 0; c < list->classes; c++) {
            if (next[c] == 0) {
                next[c] = back[c];
                continue;
            }
            fallback[next[c]] = state == 0 ? 0 : back[c];
            queue[tail++] = next[c];
        }
    }
    free(fallback);
    free(queue);
}

enum err agent_list_new(struct op *op, struct str more, struct agent_list **ret_list)
{
    struct str ours = { agent_scanners, (size_t)(agent_scanners_end - agent_scanners) };
    if (more.n > AGENT_LIST_BYTES_MAX)
        return fail(op, ERR_TOO_LARGE, "a list of agents has at most %d bytes", AGENT_LIST_BYTES_MAX);

    struct agent_list *list = calloc(1, sizeof *list);
    assert(list);
    list->classes = OTHER_CLASS + 1;
    classes_learn(list, ours);
    classes_learn(list, more);
    classes_finish(list);
    state_add(list);

    enum err err = list_read(op, list, ours);
    if (err == OK)
        err = list_read(op, list, more);
    if (err != OK) {
        agent_list_free(list);
        return err;
    }
    list_link(list);
    *ret_list = list;
    return OK;
}

void agent_list_free(struct agent_list *list)
{
    if (list) {
        free(list->next);
        free(list->says);
    }
    free(list);
}

bool agent_is_scanner(const struct agent_list *list, struct str agent)
{
    size_t bytes = agent.n < AGENT_BYTES_MAX ? agent.n : AGENT_BYTES_MAX;
    size_t state = list->next[list->class_of[BEGIN_BYTE]];
    for (size_t i = 0; i < bytes; i++) {
        uint8_t byte = (uint8_t)agent.p[i];
        state = list->next[state * list->classes + (byte < ' ' ? OTHER_CLASS : list->class_of[byte])];
        if (list->says[state] == SAYS_MACHINE)
            return true;
    }
    state = list->next[state * list->classes + list->class_of[END_BYTE]];
    return bytes == agent.n && list->says[state] == SAYS_MACHINE;
}

/* Proxies that fetch pictures for a person who is reading: evidence only that the person's own agent is not known. */
static bool is_image_proxy(struct str agent)
{
    return str_search(agent, S("GoogleImageProxy")) < agent.n || str_search(agent, S("YahooMailProxy")) < agent.n;
}

uint32_t agent_bits(const struct agent_list *list, struct str agent, bool is_open)
{
    if (!str_given(agent))
        return 0;
    if (str_trim(agent).n == 0)
        return BIT_AGENT;
    if (str_eq(agent, S("Mozilla/5.0")))
        return BIT_MAIL_PROXY;
    /* Before the list, which would make a machine of the word "proxy" behind which a person reads. */
    if (is_image_proxy(agent))
        return is_open ? BIT_IMAGE_PROXY : 0;
    return list && agent_is_scanner(list, agent) ? BIT_AGENT : 0;
}
