/* See query.h. Everything is decoded in place, in one copy of the text: what is decoded is never
 * longer than what it comes from. */
#include "http/query.h"

#include "common/hex.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int query_fail(struct query_error *error, const char *name, const char *format, ...)
{
    va_list args;

    snprintf(error->parameter, sizeof error->parameter, "%s", name);
    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    return -EINVAL;
}

/* Decodes `text`, of which a NUL is the end, in place. Returns 0 and its length, or -EINVAL for a
 * percent sign without two hexadecimal digits after it. */
static int decode(char *text, size_t *length)
{
    char *to = text;

    for (const char *from = text; *from; from++) {
        if (*from == '+') {
            *to++ = ' ';
        } else if (*from != '%') {
            *to++ = *from;
        } else if (hex_byte(from + 1) < 0) {
            return -EINVAL;
        } else {
            *to++ = (char)hex_byte(from + 1);
            from += 2;
        }
    }
    *to = '\0';
    *length = (size_t)(to - text);
    return 0;
}

static bool is_allowed(const char *name, size_t length, const char *const *allowed)
{
    for (; allowed && *allowed; allowed++) {
        if (strlen(*allowed) == length && !memcmp(*allowed, name, length))
            return true;
    }
    return false;
}

/* Takes one `name=value`, or a name alone, whose value is empty. */
static int take_pair(struct query *query, char *text, const char *const *allowed,
                     struct query_error *error)
{
    struct query_pair *pair = &query->pairs[query->count];
    char *value = strchr(text, '=');
    size_t name_length;

    if (value)
        *value++ = '\0';
    else
        value = text + strlen(text);
    if (decode(text, &name_length) || !is_allowed(text, name_length, allowed))
        return query_fail(error, text, "there is no such parameter here");
    if (decode(value, &pair->length))
        return query_fail(error, text, "it has a %% without two hexadecimal digits after it");
    pair->name = text;
    pair->value = (const uint8_t *)value;
    query->count++;
    return 0;
}

int query_parse(struct query *query, const char *text, const char *const *allowed,
                struct query_error *error)
{
    size_t most = 1;
    int result = 0;

    *query = (struct query){0};
    if (!text || !*text)
        return 0;
    for (const char *c = text; *c; c++)
        most += *c == '&';
    if (most > QUERY_MAX_PAIRS)
        return query_fail(error, "", "more than %d parameters are too many", QUERY_MAX_PAIRS);
    query->pairs = calloc(most, sizeof *query->pairs);
    query->text = strdup(text);
    if (!query->pairs || !query->text)
        result = -ENOMEM;
    for (char *rest = query->text, *part; !result && (part = strsep(&rest, "&"));)
        result = *part ? take_pair(query, part, allowed, error) : 0;
    if (result)
        query_free(query);
    return result;
}

void query_free(struct query *query)
{
    free(query->pairs);
    free(query->text);
    *query = (struct query){0};
}

const struct query_pair *query_find(const struct query *query, const char *name,
                                    const struct query_pair *from)
{
    const struct query_pair *pair = from ? from : query->pairs;

    if (!query->count) /* there is no array to point into */
        return NULL;
    for (; pair < query->pairs + query->count; pair++) {
        if (!strcmp(pair->name, name))
            return pair;
    }
    return NULL;
}

int query_single(const struct query *query, const char *name, const struct query_pair **pair,
                 struct query_error *error)
{
    *pair = query_find(query, name, NULL);
    if (*pair && query_find(query, name, *pair + 1))
        return query_fail(error, name, "it may be given only once");
    return 0;
}

/* Reads digits, of which there must be one, and nothing else; false also past 64 bits. */
static bool read_digits(const struct query_pair *pair, uint64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < pair->length; i++) {
        unsigned digit = (unsigned)pair->value[i] - '0';

        if (digit > 9 || __builtin_mul_overflow(*number, 10, number) ||
            __builtin_add_overflow(*number, digit, number))
            return false;
    }
    return pair->length > 0;
}

int query_number(const struct query *query, const char *name, uint64_t low, uint64_t high,
                 uint64_t *value, struct query_error *error)
{
    const struct query_pair *pair;
    uint64_t number;
    int result = query_single(query, name, &pair, error);

    if (result || !pair)
        return result;
    if (!read_digits(pair, &number) || number < low || number > high)
        return query_fail(error, name, "it must be a whole number from %llu to %llu",
                          (unsigned long long)low, (unsigned long long)high);
    *value = number;
    return 0;
}
