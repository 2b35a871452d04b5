/*
 * The query of a request's URL: `name=value` pairs between `&`, percent-encoded; a `+` stands for
 * a blank, as forms send it. Values are binary-safe: %00 is a byte like any other.
 */
#ifndef TALLYD_HTTP_QUERY_H
#define TALLYD_HTTP_QUERY_H

#include "common/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUERY_MAX_PAIRS   1024
#define QUERY_ERROR_BYTES 192

struct query_pair {
    const char *name; /* with a NUL */
    const uint8_t *value;
    size_t length; /* of the value */
};

struct query {
    struct query_pair *pairs; /* in the order of the URL */
    size_t count;
    char *text; /* what the pairs point into */
};

/* What is wrong with a query: the name of the parameter, cut if it is long, and a sentence. */
struct query_error {
    char parameter[64];
    char text[QUERY_ERROR_BYTES];
};

/* Reads `text`, the part of a URL after its question mark, or NULL. Every name must be one of
 * `allowed`, which ends in NULL; NULL allows none. Returns 0, and query_free() frees it; or
 * -EINVAL with `error`, or -ENOMEM, and there is nothing to free. Any thread; no state. */
int query_parse(struct query *query, const char *text, const char *const *allowed,
                struct query_error *error) MUST_CHECK;
void query_free(struct query *query);

/* The first pair of that name that stands at or behind `from`, or NULL; `from` is NULL for the
 * first, or the pair found before plus one. */
const struct query_pair *query_find(const struct query *query, const char *name,
                                    const struct query_pair *from);

/* Finds the only pair of that name: *pair is NULL when there is none. Returns 0, or -EINVAL with
 * `error` when there are several. */
int query_single(const struct query *query, const char *name, const struct query_pair **pair,
                 struct query_error *error) MUST_CHECK;

/* Reads a number from `low` to `high`; *value is unchanged when there is no such parameter.
 * Returns 0, or -EINVAL with `error` when it is no such number, or stands there twice. */
int query_number(const struct query *query, const char *name, uint64_t low, uint64_t high,
                 uint64_t *value, struct query_error *error) MUST_CHECK;

/* Says what is wrong with a parameter. Returns -EINVAL, for callers to return. */
int query_fail(struct query_error *error, const char *name, const char *format, ...)
    PRINTF_LIKE(3, 4);

#endif
