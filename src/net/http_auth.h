/*
 * http_auth.h - what an Authorization header holds.
 */
#pragma once

#include "base/op.h"

/* The token of "Bearer TOKEN"; not given for anything else. Points into the header. */
struct str http_auth_bearer(struct str authorization);

/* User and password of "Basic base64(user:password)" (RFC 7617); false for anything else. Both live in the arena. */
bool http_auth_basic(struct arena *arena, struct str authorization, struct str *ret_user, struct str *ret_password);
