/*
 * glob.h - patterns with '*', '?' and '[a-z]', as people write them for file names.
 */
#pragma once

#include "base/str.h"

/*
 * True when the glob covers the whole text: '*' any bytes, '?' one, '[a-z]' one of a class, '[^a]' one that is not, and
 * '\' before a byte that means itself. A class that does not end is a plain '['. Takes at most glob.n * text.n steps.
 */
bool glob_covers(struct str glob, struct str text);
