/*
 * Who may have how many of the process's file descriptors. What commits comes first, and is no more
 * than some dozens; the rest is for connections, of gRPC and of HTTP. Where the limit of open files
 * (ulimit -n) is too small for as many as are configured, HTTP has half at most, so that neither
 * can take what the other or the flusher needs.
 *
 * Thread: main.
 */
#ifndef TALLYD_SERVER_DESCRIPTORS_H
#define TALLYD_SERVER_DESCRIPTORS_H

#include "common/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct descriptors_wanted {
    size_t workers;
    uint64_t connections;      /* of gRPC */
    uint64_t http_connections; /* that are served at once */
    bool tls;
};

struct descriptors {
    uint64_t limit;       /* of open files; UINT64_MAX: none */
    uint64_t connections; /* of gRPC, that there may be; a reload may want more than at first */
    uint64_t http_connections; /* that may be served at once; not more than wanted */
};

/* Raises the limit as far as the process may. Returns what it is then, UINT64_MAX for none. */
uint64_t descriptors_raise_limit(void);

/* Shares them out. Returns 0; or -EMFILE when the limit is too small to work with: then `limit` of
 * `shares` is the least that would do. */
int descriptors_share(uint64_t limit, const struct descriptors_wanted *wanted,
                      struct descriptors *shares) MUST_CHECK;

#endif
