#include "base/fold.h"

#include <string.h>

#include "base/fold_table.h"

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

/* Bytes of the UTF-8 character at the front and its number; 0 when the bytes are none. */
static size_t read_char(const unsigned char *p, size_t n, uint32_t *ret_character)
{
    size_t bytes = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc2 ? 2 : 0;
    if (bytes == 0 || p[0] > 0xf4 || bytes > n)
        return 0;
    uint32_t character = p[0] & (0xffU >> (bytes + 1));
    for (size_t i = 1; i < bytes; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        character = character << 6 | (p[i] & 0x3f);
    }
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    if (character < least[bytes] || character > 0x10ffff || (character >= 0xd800 && character <= 0xdfff))
        return 0;
    *ret_character = character;
    return bytes;
}

static char *put_char(char *to, uint32_t character)
{
    if (character < 0x80) {
        *to++ = (char)character;
    } else if (character < 0x800) {
        *to++ = (char)(0xc0 | character >> 6);
        *to++ = (char)(0x80 | (character & 0x3f));
    } else if (character < 0x10000) {
        *to++ = (char)(0xe0 | character >> 12);
        *to++ = (char)(0x80 | (character >> 6 & 0x3f));
        *to++ = (char)(0x80 | (character & 0x3f));
    } else {
        *to++ = (char)(0xf0 | character >> 18);
        *to++ = (char)(0x80 | (character >> 12 & 0x3f));
        *to++ = (char)(0x80 | (character >> 6 & 0x3f));
        *to++ = (char)(0x80 | (character & 0x3f));
    }
    return to;
}

size_t fold_text(struct str text, char *ret_text)
{
    char *to = ret_text;
    for (size_t i = 0; i < text.n;) {
        unsigned char c = (unsigned char)text.p[i];
        uint32_t character;
        if (c < 0x80) {
            *to++ = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
            i++;
            continue;
        }
        size_t bytes = read_char((const unsigned char *)text.p + i, text.n - i, &character);
        if (bytes > 0)
            to = put_char(to, fold_char(character));
        else
            *to++ = text.p[i]; /* not UTF-8: compared as it is */
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
