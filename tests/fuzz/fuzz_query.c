/*
 * What a request's URL and headers say: the query and what a listing makes of it, the device id in
 * a path, a cursor, and the Accept headers. Each parser is held to a slow one of our own, or to
 * what must come out of a round trip.
 *
 * Input: one byte that picks the parser, then the text, up to the first NUL, as a C string in a
 * block of its own size.
 */
#include "common/compiler.h"
#include "common/utf8.h"
#include "http/accept.h"
#include "http/cursor.h"
#include "http/device_path.h"
#include "http/listing.h"
#include "http/query.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static const char *const parameters[] = {"prefix",    "sort", "limit", "cursor",
                                         "device_id", "n",    NULL};

static char *allocate(size_t bytes)
{
    char *block = malloc(bytes ? bytes : 1);

    FUZZ_CHECK(block);
    return block;
}

/* ---- Percent-encoding ----------------------------------------------------------------------- */

static bool is_hex(char c)
{
    return c && strchr("0123456789abcdefABCDEF", c);
}

/* Decodes `length` bytes of text; -1 for a wrong escape. `bytes` has room for as many. */
static long slow_decode(const char *text, size_t length, bool plus_is_blank, char *bytes)
{
    long used = 0;

    for (size_t i = 0; i < length; i++) {
        char c = text[i];

        if (c == '+' && plus_is_blank) {
            c = ' ';
        } else if (c == '%') {
            char digits[3] = "";

            if (length - i < 3 || !is_hex(text[i + 1]) || !is_hex(text[i + 2]))
                return -1;
            memcpy(digits, text + i + 1, 2);
            c = (char)strtoul(digits, NULL, 16);
            i += 2;
        }
        bytes[used++] = c;
    }
    return used;
}

/* Encodes every byte, so that the text has no character with a meaning in it. */
static char *encode_all(char *to, const void *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        to += sprintf(to, "%%%02x", ((const uint8_t *)bytes)[i]);
    return to;
}

/* ---- The query ------------------------------------------------------------------------------ */

/* True when the slow parser takes `part`, and then `pair` is what it is. */
static bool slow_pair(const char *part, size_t length, const struct query_pair *pair)
{
    const char *equals = memchr(part, '=', length);
    size_t name_length = equals ? (size_t)(equals - part) : length;
    size_t value_length = equals ? length - name_length - 1 : 0;
    char *name = allocate(length), *value = allocate(length);
    long name_used = slow_decode(part, name_length, true, name);
    long value_used = equals ? slow_decode(equals + 1, value_length, true, value) : 0;
    bool known = false;

    for (size_t i = 0; parameters[i] && name_used >= 0; i++)
        known |= strlen(parameters[i]) == (size_t)name_used &&
                 memcmp(parameters[i], name, (size_t)name_used) == 0;
    known &= value_used >= 0;
    if (known && pair) {
        FUZZ_CHECK(strlen(pair->name) == (size_t)name_used);
        FUZZ_CHECK(memcmp(pair->name, name, (size_t)name_used) == 0);
        FUZZ_CHECK(pair->length == (size_t)value_used);
        FUZZ_CHECK(memcmp(pair->value, value, pair->length) == 0);
        FUZZ_CHECK(pair->value[pair->length] == '\0');
    }
    free(name);
    free(value);
    return known;
}

/* Whether the text is a query; and if `query` is not NULL, checks that it has its pairs. */
static bool slow_query(const char *text, const struct query *query)
{
    size_t separators = 0, pairs = 0;

    for (const char *c = text; *c; c++)
        separators += *c == '&';
    if (separators >= QUERY_MAX_PAIRS)
        return false;
    for (;;) {
        size_t length = strcspn(text, "&");

        if (length > 0) {
            FUZZ_CHECK(!query || pairs < query->count);
            if (!slow_pair(text, length, query ? &query->pairs[pairs] : NULL))
                return false;
            pairs++;
        }
        if (!text[length])
            break;
        text += length + 1;
    }
    FUZZ_CHECK(!query || pairs == query->count);
    return true;
}

static void check_error(const struct query_error *error)
{
    FUZZ_CHECK(memchr(error->parameter, '\0', sizeof error->parameter));
    FUZZ_CHECK(memchr(error->text, '\0', sizeof error->text));
    FUZZ_CHECK(error->text[0]);
}

/* Every pair written in another way must be read as the same. */
static void check_round_trip(const struct query *query)
{
    struct query_error error;
    struct query again;
    size_t bytes = 1;
    char *text, *to;

    for (size_t i = 0; i < query->count; i++)
        bytes += 3 * (strlen(query->pairs[i].name) + query->pairs[i].length) + 2;
    text = to = allocate(bytes);
    for (size_t i = 0; i < query->count; i++) {
        to = encode_all(to, query->pairs[i].name, strlen(query->pairs[i].name));
        *to++ = '=';
        to = encode_all(to, query->pairs[i].value, query->pairs[i].length);
        *to++ = '&';
    }
    *to = '\0';
    if (query->count == QUERY_MAX_PAIRS && to > text)
        to[-1] = '\0'; /* without the last separator: they are what is counted */
    FUZZ_CHECK(query_parse(&again, text, parameters, &error) == 0);
    FUZZ_CHECK(again.count == query->count);
    for (size_t i = 0; i < query->count; i++) {
        FUZZ_CHECK(strcmp(again.pairs[i].name, query->pairs[i].name) == 0);
        FUZZ_CHECK(again.pairs[i].length == query->pairs[i].length);
        FUZZ_CHECK(memcmp(again.pairs[i].value, query->pairs[i].value, again.pairs[i].length) == 0);
    }
    query_free(&again);
    free(text);
}

/* A number as a person would read it: digits, and no more than the range says. */
static bool slow_number(const struct query_pair *pair, uint64_t low, uint64_t high, uint64_t *value)
{
    __extension__ unsigned __int128 number = 0;

    for (size_t i = 0; i < pair->length; i++) {
        if (pair->value[i] < '0' || pair->value[i] > '9')
            return false;
        if (number <= UINT64_MAX)
            number = number * 10 + (pair->value[i] - '0');
    }
    *value = (uint64_t)number;
    return pair->length > 0 && number >= low && number <= high;
}

static void check_number(const struct query *query, uint64_t low, uint64_t high)
{
    const uint64_t untouched = 0x5a5a;
    const struct query_pair *pair;
    uint64_t value = untouched, expected;
    struct query_error error;

    if (query_single(query, "n", &pair, &error)) {
        FUZZ_CHECK(query_number(query, "n", low, high, &value, &error) == -EINVAL);
        check_error(&error);
    } else if (!pair) {
        FUZZ_CHECK(query_number(query, "n", low, high, &value, &error) == 0);
        FUZZ_CHECK(value == untouched);
    } else if (slow_number(pair, low, high, &expected)) {
        FUZZ_CHECK(query_number(query, "n", low, high, &value, &error) == 0);
        FUZZ_CHECK(value == expected);
    } else {
        FUZZ_CHECK(query_number(query, "n", low, high, &value, &error) == -EINVAL);
        FUZZ_CHECK(value == untouched);
        check_error(&error);
    }
}

static void check_listing(const struct query *query)
{
    struct listing_query wanted;
    struct query_error error;

    if (listing_parse(query, &wanted, &error)) {
        check_error(&error);
        return;
    }
    FUZZ_CHECK(wanted.order >= CURSOR_BY_ID && wanted.order <= CURSOR_BY_COUNT_UP);
    FUZZ_CHECK(wanted.limit <= LISTING_MAX_LIMIT);
    FUZZ_CHECK(!wanted.prefix || utf8_is_valid(wanted.prefix->value, wanted.prefix->length));
    if (wanted.resumed)
        FUZZ_CHECK(wanted.after.order == wanted.order);
    if (wanted.ids)
        FUZZ_CHECK(!wanted.prefix && !wanted.limit && !wanted.resumed);
}

static void fuzz_query(const char *text)
{
    struct query_error error;
    struct query query;

    if (query_parse(&query, text, parameters, &error)) {
        FUZZ_CHECK(!slow_query(text, NULL));
        check_error(&error);
        return;
    }
    FUZZ_CHECK(slow_query(text, &query));
    check_round_trip(&query);
    check_number(&query, 1, 100);
    check_number(&query, 0, UINT64_MAX);
    check_listing(&query);
    query_free(&query);
}

/* ---- The device id in a path ---------------------------------------------------------------- */

static void fuzz_device_path(const char *text)
{
    size_t room = strlen(text), length, again_length, limit = 20;
    uint8_t *id = (uint8_t *)allocate(room);
    char *expected = allocate(room), *encoded = allocate(3 * room + 1);
    long used = slow_decode(text, room, false, expected);
    enum device_path_result result = device_path_decode(text, limit, id, &length);

    FUZZ_CHECK(*device_path_text(result));
    if (used < 0) {
        FUZZ_CHECK(result == DEVICE_PATH_BAD_ESCAPE);
    } else if (used == 0) {
        FUZZ_CHECK(result == DEVICE_PATH_EMPTY);
    } else if ((size_t)used > limit) {
        FUZZ_CHECK(result == DEVICE_PATH_TOO_LONG);
    } else if (!utf8_is_valid((uint8_t *)expected, (size_t)used)) {
        FUZZ_CHECK(result == DEVICE_PATH_NOT_UTF8);
    } else {
        FUZZ_CHECK(result == DEVICE_PATH_OK);
        FUZZ_CHECK(length == (size_t)used && memcmp(id, expected, length) == 0);
        *encode_all(encoded, id, length) = '\0';
        id = realloc(id, 3 * length);
        FUZZ_CHECK(id && device_path_decode(encoded, limit, id, &again_length) == DEVICE_PATH_OK);
        FUZZ_CHECK(again_length == length && memcmp(id, expected, length) == 0);
    }
    free(id);
    free(expected);
    free(encoded);
}

/* ---- Cursors -------------------------------------------------------------------------------- */

/* Of a text that is a cursor, only that text is this cursor. */
static void fuzz_cursor(const char *text)
{
    char again[CURSOR_TEXT_BYTES];
    struct cursor cursor;

    if (cursor_decode(text, strlen(text), &cursor))
        return;
    FUZZ_CHECK(cursor.id_length > 0 && cursor.id_length <= CURSOR_MAX_ID_BYTES);
    FUZZ_CHECK(utf8_is_valid(cursor.id, cursor.id_length));
    FUZZ_CHECK(cursor.order != CURSOR_BY_ID || cursor.count == 0);
    cursor_encode(&cursor, again);
    FUZZ_CHECK(strcmp(again, text) == 0);
}

/* And every cursor comes back from its text. */
static void fuzz_cursor_of(const char *text)
{
    struct cursor cursor = {.order = CURSOR_BY_ID + (unsigned)text[0] % 3}, again;
    char encoded[CURSOR_TEXT_BYTES];

    text += *text != '\0';
    cursor.id_length = strnlen(text, CURSOR_MAX_ID_BYTES);
    memcpy(cursor.id, text, cursor.id_length);
    if (cursor.order != CURSOR_BY_ID)
        memcpy(&cursor.count, cursor.id, sizeof cursor.count);
    if (cursor.id_length == 0 || !utf8_is_valid(cursor.id, cursor.id_length))
        return;
    cursor_encode(&cursor, encoded);
    FUZZ_CHECK(strlen(encoded) < CURSOR_TEXT_BYTES);
    FUZZ_CHECK(cursor_decode(encoded, strlen(encoded), &again) == 0);
    FUZZ_CHECK(again.order == cursor.order && again.count == cursor.count);
    FUZZ_CHECK(again.id_length == cursor.id_length);
    FUZZ_CHECK(memcmp(again.id, cursor.id, again.id_length) == 0);
}

/* ---- Accept --------------------------------------------------------------------------------- */

/* Header names and types know no upper case, and what names nothing of ours says nothing. */
static void fuzz_accept(const char *text)
{
    static const struct accept_form forms[] = {
        {"application/json", NULL},
        {"text/plain", "0.0.4"},
        {"application/openmetrics-text", "1.0.0"},
    };
    size_t length = strlen(text), chosen = accept_choose(text, forms, ARRAY_LENGTH(forms));
    char *other = allocate(2 * length + 32);
    bool gzip = accept_gzip(text);

    FUZZ_CHECK(chosen < ARRAY_LENGTH(forms));
    sprintf(other, "image/x-none , %s\t,image/*", text);
    for (char *c = other; *c; c++)
        *c = *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
    FUZZ_CHECK(accept_choose(other, forms, ARRAY_LENGTH(forms)) == chosen);
    FUZZ_CHECK(accept_gzip(other) == gzip);
    sprintf(other, "%s, gzip;q=1", text);
    FUZZ_CHECK(accept_gzip(other));
    free(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const parsers[])(const char *) = {fuzz_query, fuzz_device_path, fuzz_cursor,
                                                    fuzz_accept, fuzz_cursor_of};
    size_t length;
    char *text;

    if (size < 1)
        return 0;
    length = strnlen((const char *)data + 1, size - 1);
    text = allocate(length + 1);
    memcpy(text, data + 1, length);
    text[length] = '\0';
    parsers[data[0] % ARRAY_LENGTH(parsers)](text);
    free(text);
    return 0;
}
