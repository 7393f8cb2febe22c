#include "engine/status.h"
#include "test.h"

/* The table of the ledger rules, a row each: y move, . refused, = unchanged, e email only, l letter only. Columns:
 * sending pending sent delivered temporary permanent technical cancelled returned-letter. */
static const struct {
    enum status from;
    const char *row;
} table[] = {
    { STATUS_CREATED, "yyyyyyyy." },           { STATUS_SENDING, "=yyyyyy.l" },
    { STATUS_PENDING, ".=.yyyy.." },           { STATUS_SENT, "..=yyyy.." },
    { STATUS_TEMPORARY_FAILURE, "...y=yy.." }, { STATUS_TECHNICAL_FAILURE, "...y.y=.l" },
    { STATUS_DELIVERED, "...=.e..l" },         { STATUS_PERMANENT_FAILURE, ".....=..." },
    { STATUS_RETURNED_LETTER, "........=" },   { STATUS_CANCELLED, ".......=." },
    { STATUS_VIRUS_SCAN_FAILED, "........." }, { STATUS_VALIDATION_FAILED, "........." },
};
static const enum status columns[] = { STATUS_SENDING,           STATUS_PENDING,           STATUS_SENT,
                                       STATUS_DELIVERED,         STATUS_TEMPORARY_FAILURE, STATUS_PERMANENT_FAILURE,
                                       STATUS_TECHNICAL_FAILURE, STATUS_CANCELLED,         STATUS_RETURNED_LETTER };

static enum status_answer expected(char mark, enum channel channel)
{
    switch (mark) {
    case 'y':
        return STATUS_MOVES;
    case '=':
        return STATUS_STAYS;
    case 'e':
        return channel == CHANNEL_EMAIL ? STATUS_MOVES : STATUS_REFUSED;
    case 'l':
        return channel == CHANNEL_LETTER ? STATUS_MOVES : STATUS_REFUSED;
    default:
        return STATUS_REFUSED;
    }
}

TEST(status, moves_exactly_as_the_table_says)
{
    for (size_t r = 0; r < sizeof table / sizeof *table; r++)
        for (size_t c = 0; c < sizeof columns / sizeof *columns; c++)
            for (enum channel channel = CHANNEL_EMAIL; channel < CHANNEL_COUNT; channel++)
                EQ(status_may_move(table[r].from, columns[c], channel), expected(table[r].row[c], channel));
}

TEST(status, leaves_the_virus_check_to_five_places)
{
    EQ(status_may_move(STATUS_PENDING_VIRUS_CHECK, STATUS_CREATED, CHANNEL_LETTER), STATUS_MOVES);
    EQ(status_may_move(STATUS_PENDING_VIRUS_CHECK, STATUS_VIRUS_SCAN_FAILED, CHANNEL_LETTER), STATUS_MOVES);
    EQ(status_may_move(STATUS_PENDING_VIRUS_CHECK, STATUS_VALIDATION_FAILED, CHANNEL_LETTER), STATUS_MOVES);
    EQ(status_may_move(STATUS_PENDING_VIRUS_CHECK, STATUS_TECHNICAL_FAILURE, CHANNEL_LETTER), STATUS_MOVES);
    EQ(status_may_move(STATUS_PENDING_VIRUS_CHECK, STATUS_CANCELLED, CHANNEL_LETTER), STATUS_MOVES);
    EQ(status_may_move(STATUS_PENDING_VIRUS_CHECK, STATUS_DELIVERED, CHANNEL_LETTER), STATUS_REFUSED);
}

TEST(status, a_configured_switch_closes_a_move_but_never_adds_one)
{
    struct op op;
    struct arena *arena = arena_new(1 << 16);
    op_init(&op, arena, 0);
    SUCCEEDS(&op, status_configure(&op, S("delivered.permanent-failure"), S("never")));
    EQ(status_may_move(STATUS_DELIVERED, STATUS_PERMANENT_FAILURE, CHANNEL_EMAIL), STATUS_REFUSED);
    SUCCEEDS(&op, status_configure(&op, S("delivered.permanent-failure"), S("always")));
    EQ(status_may_move(STATUS_DELIVERED, STATUS_PERMANENT_FAILURE, CHANNEL_SMS), STATUS_MOVES);
    EQ(status_configure(&op, S("permanent-failure.delivered"), S("always")), ERR_INVALID);
    EQ(status_configure(&op, S("delivered.nowhere"), S("always")), ERR_INVALID);
    EQ(status_configure(&op, S("delivered.permanent-failure"), S("sometimes")), ERR_INVALID);
    status_configure_none();
    EQ(status_may_move(STATUS_DELIVERED, STATUS_PERMANENT_FAILURE, CHANNEL_EMAIL), STATUS_MOVES);
    arena_free(arena);
}

/* Longest way without repeating: history never meets its limit of 100 entries. */
static int longest_from(enum status from)
{
    int best = 0;
    for (enum status to = STATUS_CREATED; to < STATUS_COUNT; to++)
        if (status_may_move(from, to, CHANNEL_EMAIL) == STATUS_MOVES ||
            status_may_move(from, to, CHANNEL_LETTER) == STATUS_MOVES) {
            int length = 1 + longest_from(to);
            best = length > best ? length : best;
        }
    return best;
}

TEST(status, has_no_way_back_so_a_life_has_fewer_than_ten_moves)
{
    YES(longest_from(STATUS_PENDING_VIRUS_CHECK) < 10);
}

TEST(status, knows_its_words_both_ways)
{
    for (enum status s = STATUS_CREATED; s < STATUS_COUNT; s++) {
        enum status back;
        YES(status_of(str_of(status_name(s)), &back));
        EQ(back, s);
    }
    enum status none;
    NO(status_of(S(""), &none));
    NO(status_of(S("Delivered"), &none));
}
