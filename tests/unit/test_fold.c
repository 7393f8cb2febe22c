#include "test.h"

#include "base/fold.h"
#include "base/fold_table.h"

#define TABLE "/usr/share/unicode/CaseFolding.txt"

/* The folded form, in memory that the next call reuses. */
static struct str folded(const char *text)
{
    static char kept[256];
    struct arena *arena = arena_new(4096);
    struct str result = fold_address(arena, str_of(text));
    YES(result.n <= sizeof kept);
    memcpy(kept, result.p, result.n);
    arena_free(arena);
    return (struct str){ kept, result.n };
}

TEST(fold, makes_addresses_comparable)
{
    STR_EQ(folded("Ann@Example.ORG"), "ann@example.org");
    STR_EQ(folded("  ann@example.org\r\n"), "ann@example.org");
    STR_EQ(folded("JÖRG@BÜCHER.example"), "jörg@bücher.example");
    STR_EQ(folded("ΣΊΣΥΦΟΣ@example.org"), "σίσυφοσ@example.org");
    STR_EQ(folded("ς@example.org"), "σ@example.org"); /* a final sigma is a sigma */
    STR_EQ(folded("ЖЁ@пример.рф"), "жё@пример.рф");
    STR_EQ(folded(""), "");
}

TEST(fold, is_simple_so_that_distinct_letters_stay_distinct)
{
    STR_EQ(folded("straße@x.org"), "straße@x.org"); /* full folding would give ss */
    STR_EQ(folded("İ@x.org"), "İ@x.org");           /* only the Turkish table folds it */
    STR_EQ(folded("ẞ@x.org"), "ß@x.org");
}

TEST(fold, borrows_what_is_folded_already)
{
    struct str address = S("ann@example.org");
    YES(fold_address(NULL, address).p == address.p);
}

TEST(fold, may_change_the_length_of_a_character)
{
    STR_EQ(folded("\u212A"), "k");      /* Kelvin sign, 3 bytes to 1 */
    STR_EQ(folded("\u023A"), "\u2C65"); /* 2 bytes to 3 */
    char out[FOLD_BYTES_MAX(8)];
    EQ(fold_text(S("\u023A\u023A\u023A\u023A"), out), 12);
}

TEST(fold, leaves_broken_utf_8_as_it_is)
{
    STR_EQ(folded("\xff\xc3 A\xe2\x84"), "\xff\xc3 a\xe2\x84");
    STR_EQ(folded("\xc1\x81\xed\xa0\x80Z"), "\xc1\x81\xed\xa0\x80z"); /* overlong, surrogate */
}

TEST(fold, says_so_when_the_arena_is_full)
{
    static char large[100000];
    struct arena *small = arena_new(4096);
    memset(large, 'A', sizeof large);
    NO(str_given(fold_address(small, (struct str){ large, sizeof large })));
    NO(str_given(fold_phone(small, (struct str){ large, sizeof large })));
    arena_free(small);
}

TEST(fold, gives_the_same_when_folded_twice)
{
    for (uint32_t c = 0; c <= 0x10ffff; c++)
        if (fold_char(fold_char(c)) != fold_char(c))
            EQ(c, UINT32_MAX); /* shows the character at fault */
}

TEST(fold, has_rows_that_rise_and_do_not_overlap)
{
    for (size_t i = 0; i < fold_range_count; i++) {
        const struct fold_range *range = &fold_ranges[i];
        YES(range->first <= range->last);
        YES(range->step == 1 || range->step == 2);
        YES((range->last - range->first) % (uint32_t)range->step == 0);
        YES(i == 0 || range[-1].last < range->first);
    }
}

TEST(fold, agrees_with_the_unicode_table_on_every_character)
{
    static uint32_t expected[0x110000];
    FILE *file = fopen(TABLE, "r");
    if (!file)
        skip();
    for (uint32_t c = 0; c < 0x110000; c++)
        expected[c] = c;
    char line[256];
    while (fgets(line, sizeof line, file)) {
        unsigned from, to;
        char status;
        if (sscanf(line, "%x; %c; %x;", &from, &status, &to) == 3 && (status == 'C' || status == 'S'))
            expected[from] = to;
    }
    fclose(file);
    for (uint32_t c = 0; c < 0x110000; c++)
        if (fold_char(c) != expected[c])
            EQ(c, UINT32_MAX); /* shows the character at fault */
}

TEST(fold, compares_phone_numbers_by_their_digits)
{
    struct arena *arena = arena_new(4096);
    STR_EQ(fold_phone(arena, S("+44 7700 900-123")), "447700900123");
    STR_EQ(fold_phone(arena, S("tel:+44(7700)900123")), "447700900123");
    STR_EQ(fold_phone(arena, S("ext 12 +447700900123")), "447700900123");
    STR_EQ(fold_phone(arena, S("447700900123")), "447700900123");
    STR_EQ(fold_phone(arena, S("+")), "");
    arena_free(arena);
}

TEST(fold, takes_one_pair_of_brackets_off_a_message_id)
{
    STR_EQ(fold_message_id(S("<20261121.1@mg.x.org>")), "20261121.1@mg.x.org");
    STR_EQ(fold_message_id(S("20261121.1@mg.x.org")), "20261121.1@mg.x.org");
    STR_EQ(fold_message_id(S("<<A>>")), "<A>");
    STR_EQ(fold_message_id(S("<A")), "<A");
    STR_EQ(fold_message_id(S("A>")), "A>");
    STR_EQ(fold_message_id(S(" <A>")), " <A>");
    STR_EQ(fold_message_id(S("<>")), "");
    STR_EQ(fold_message_id(S("<")), "<");
}
