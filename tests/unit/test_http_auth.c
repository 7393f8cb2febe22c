#include "net/http_auth.h"
#include "test.h"

TEST(http_auth, reads_bearer_tokens)
{
    STR_EQ(http_auth_bearer(S("Bearer ph_abc")), "ph_abc");
    STR_EQ(http_auth_bearer(S("bearer   ph_abc ")), "ph_abc");
    NO(str_given(http_auth_bearer(S("Basic ph_abc"))));
    NO(str_given(http_auth_bearer(S("Bearer"))));
    NO(str_given(http_auth_bearer(S("Bearer "))));
    NO(str_given(http_auth_bearer((struct str){ NULL, 0 })));
}

TEST(http_auth, reads_user_and_password)
{
    struct arena *arena = arena_new(65536);
    struct str user, password;
    YES(http_auth_basic(arena, S("Basic dXNlcjpwYXNzOndvcmQ="), &user, &password));
    STR_EQ(user, "user");
    STR_EQ(password, "pass:word");
    YES(http_auth_basic(arena, S("basic YXBpOg=="), &user, &password));
    STR_EQ(user, "api");
    STR_EQ(password, "");
    NO(http_auth_basic(arena, S("Basic dXNlcg=="), &user, &password)); /* no colon */
    NO(http_auth_basic(arena, S("Basic !!!!"), &user, &password));
    NO(http_auth_basic(arena, S("Basic"), &user, &password));
    NO(http_auth_basic(arena, S("Bearer YXBpOg=="), &user, &password));
    arena_free(arena);
}
