#include "base/fold.h"

#include "base/fold_table.h"
#include "base/utf8.h"

uint32_t fold_char(uint32_t character)
{
    size_t low = 0, high = fold_range_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct fold_range *range = &fold_ranges[middle];
        if (character < range->first)
            high = middle;
        else if (character > range->last)
            low = middle + 1;
        else
            return (character - range->first) % (uint32_t)range->step == 0 ? character + (uint32_t)range->distance
                                                                           : character;
    }
    return character;
}

/* The number of a well-formed character of so many bytes. */
static uint32_t char_of(const char *text, size_t bytes)
{
    const unsigned char *p = (const unsigned char *)text;
    uint32_t character = p[0] & (0xffU >> (bytes + 1));
    for (size_t i = 1; i < bytes; i++)
        character = character << 6 | (p[i] & 0x3f);
    return character;
}

size_t fold_text(struct str text, char *ret_text)
{
    char *to = ret_text;
    size_t bad;
    for (size_t i = 0; i < text.n;) {
        char c = text.p[i];
        if ((unsigned char)c < 0x80) {
            *to++ = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
            i++;
            continue;
        }
        size_t bytes = utf8_length(text.p + i, text.n - i, &bad);
        if (bytes > 0)
            to += utf8_put(to, fold_char(char_of(text.p + i, bytes)));
        else
            *to++ = c; /* not UTF-8: compared as it is */
        i += bytes ? bytes : 1;
    }
    return (size_t)(to - ret_text);
}

/* True when every byte is ASCII and no letter is upper case, as in nearly all addresses. */
static bool is_folded_ascii(struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] >= 0x80 || (text.p[i] >= 'A' && text.p[i] <= 'Z'))
            return false;
    return true;
}

struct str fold_address(struct arena *arena, struct str address)
{
    address = str_trim(address);
    if (is_folded_ascii(address))
        return address;
    char *folded = arena_alloc_raw(arena, FOLD_BYTES_MAX(address.n));
    if (!folded)
        return (struct str){ NULL, 0 };
    return (struct str){ folded, fold_text(address, folded) };
}

struct str fold_phone(struct arena *arena, struct str number)
{
    size_t plus = str_find(number, '+');
    size_t n = 0;
    char *digits = arena_alloc_raw(arena, number.n + 1);
    if (!digits)
        return (struct str){ NULL, 0 };
    for (size_t i = plus < number.n ? plus + 1 : 0; i < number.n; i++)
        if (number.p[i] >= '0' && number.p[i] <= '9')
            digits[n++] = number.p[i];
    return (struct str){ digits, n };
}

struct str fold_message_id(struct str id)
{
    if (id.n >= 2 && id.p[0] == '<' && id.p[id.n - 1] == '>')
        return (struct str){ id.p + 1, id.n - 2 };
    return id;
}
