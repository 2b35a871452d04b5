/*
 * Content negotiation (RFC 9110, sections 12.4 and 12.5): what a client says that it takes.
 * Any thread; no state.
 */
#ifndef TALLYD_HTTP_ACCEPT_H
#define TALLYD_HTTP_ACCEPT_H

#include <stdbool.h>
#include <stddef.h>

/* One of the forms that an answer can have. */
struct accept_form {
    const char *type;    /* "text/plain" */
    const char *version; /* a range that names another version does not mean this form; NULL: any */
};

/* The index of the form that the Accept header `accept` (NULL: none was sent) wants most; of
 * several wanted alike, and when it wants none, the first. */
size_t accept_choose(const char *accept, const struct accept_form *forms, size_t count);

/* Whether an Accept-Encoding header (NULL: none) takes gzip. */
bool accept_gzip(const char *accept_encoding);

#endif
