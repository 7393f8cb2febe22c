/*
 * test_json_portable.c - the scanner's tests again, with the code of machines without SSE2.
 *
 * The scanner compiled in here takes the place of the library's.
 */
#define JSON_PORTABLE 1
#include "../../src/base/json.c"
#include "../../src/base/json_text.c"
#include "../../src/base/json_value.c"

#include "test_json.c"
