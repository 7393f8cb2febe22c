#include "net/http_auth.h"

#include "base/hex.h"

/* What follows the scheme's name and at least one blank; not given when it is another scheme. */
static struct str after_scheme(struct str authorization, struct str scheme)
{
    struct str rest = str_trim(authorization);
    struct str word = str_cut(&rest, ' ');
    return str_eq_nocase(word, scheme) && str_given(rest) ? str_trim(rest) : (struct str){ NULL, 0 };
}

struct str http_auth_bearer(struct str authorization)
{
    struct str token = after_scheme(authorization, S("Bearer"));
    return token.n ? token : (struct str){ NULL, 0 };
}

bool http_auth_basic(struct arena *arena, struct str authorization, struct str *ret_user, struct str *ret_password)
{
    struct str text = after_scheme(authorization, S("Basic"));
    if (!text.n)
        return false;
    char *plain = arena_alloc_raw(arena, BASE64_RAW_MAX(text.n));
    size_t n;
    if (!plain || !base64_decode(text, plain, &n))
        return false;
    struct str both = { plain, n };
    size_t colon = str_find(both, ':');
    if (colon == n)
        return false;
    *ret_user = (struct str){ plain, colon };
    *ret_password = (struct str){ plain + colon + 1, n - colon - 1 };
    return true;
}
