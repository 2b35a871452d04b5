/*
 * Accepts connections and gives each to the worker that has the fewest. That spreads few fat
 * connections as evenly as many thin ones, which SO_REUSEPORT, hashing addresses, does not.
 *
 * Thread: main.
 */
#ifndef TALLYD_SERVER_ACCEPTOR_H
#define TALLYD_SERVER_ACCEPTOR_H

#include "common/compiler.h"
#include "common/hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct acceptor;
struct pressure;
struct stats_main;
struct worker;

/* All that is pointed to is borrowed. */
struct acceptor_options {
    const char *address; /* IPv4 or IPv6 */
    uint16_t port;
    struct worker *const *workers;
    size_t worker_count;
    uint64_t max_connections, max_connections_per_address;
    uint64_t descriptors;     /* for connections */
    struct hash_key hash_key; /* random */
    struct stats_main *stats;
    const struct pressure *pressure;
};

/* Listens. Bounds the connections by the descriptors there are for them. Returns NULL with errno:
 * EADDRINUSE when the port is taken. */
struct acceptor *acceptor_create(const struct acceptor_options *options) MUST_CHECK;

/* Sets limits that a reload has changed. Connections over them are not closed. */
void acceptor_set_limits(struct acceptor *acceptor, uint64_t max_connections,
                         uint64_t max_connections_per_address);

/* Stops listening. NULL does nothing. */
void acceptor_close(struct acceptor *acceptor);

/* Closes it, if it was not, once all connections are closed. NULL does nothing. */
void acceptor_destroy(struct acceptor *acceptor);

/* Readable when connections wait. */
int acceptor_fd(const struct acceptor *acceptor);

/* Takes what waits, some dozens at most, or refuses it: past --max-connections, or too many from
 * one address. Returns false when connections may wait that are not to be taken now, for want of
 * descriptors or memory: try again later. */
bool acceptor_take(struct acceptor *acceptor) MUST_CHECK;

#endif
