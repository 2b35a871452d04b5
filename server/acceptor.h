/*
 * Accepts connections and gives each to the worker that has the fewest. That spreads few fat
 * connections as evenly as many thin ones, which SO_REUSEPORT, hashing addresses, does not.
 *
 * Thread: main.
 */
#ifndef TALLYD_SERVER_ACCEPTOR_H
#define TALLYD_SERVER_ACCEPTOR_H

#include "common/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct acceptor;
struct worker;

/* Listens on an IPv4 or IPv6 address for `workers`, which are borrowed. Raises the process's limit
 * of open files as far as it may, and bounds the connections by it. Returns NULL with errno:
 * EADDRINUSE when the port is taken. */
struct acceptor *acceptor_create(const char *address, uint16_t port, struct worker *const *workers,
                                 size_t worker_count) MUST_CHECK;

/* Stops listening. NULL does nothing. */
void acceptor_destroy(struct acceptor *acceptor);

/* Readable when connections wait. */
int acceptor_fd(const struct acceptor *acceptor);

/* Takes what waits, some dozens at most. Returns false when connections wait that cannot be taken
 * now, for want of descriptors or memory: try again later. */
bool acceptor_take(struct acceptor *acceptor) MUST_CHECK;

#endif
