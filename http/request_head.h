/* What is wrong with a request's head that civetweb took all the same. */
#ifndef TALLYD_HTTP_REQUEST_HEAD_H
#define TALLYD_HTTP_REQUEST_HEAD_H

#include "common/compiler.h"

#include <stdbool.h>
#include <stddef.h>

struct mg_request_info;

/* The buffer into which a thread of civetweb's reads one head after the other, as far as is known.
 * It begins as {.bytes = its size}. */
struct request_head_buffer {
    const char *start; /* the lowest place where a head began; NULL: there was none yet */
    size_t bytes;
};

/* Says what is wrong with the head, for whoever sent it; NULL when nothing is. `info` is what
 * civetweb made of a head in `buffer`, before anything of it is changed. Called by: http, the
 * thread whose buffer it is. */
const char *request_head_fault(const struct mg_request_info *info,
                               struct request_head_buffer *buffer) MUST_CHECK;

/* Whether it is known that the head ends where civetweb says: only then what comes behind it is the
 * next request. False for one whose lines end in LF alone. */
bool request_head_is_certain(const struct mg_request_info *info) MUST_CHECK;

#endif
