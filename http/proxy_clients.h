/*
 * The clients that are connected to the TLS proxy (http/tls_proxy.h): each with its relay, and
 * counted at its address.
 *
 * Thread: http, the proxy's, but for proxy_clients_create() and proxy_clients_destroy(), which are
 * main's.
 */
#ifndef TALLYD_HTTP_PROXY_CLIENTS_H
#define TALLYD_HTTP_PROXY_CLIENTS_H

#include "common/compiler.h"
#include "common/network.h"
#include "http/relay.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct address;
struct hash_key;
struct proxy_clients;
struct sockaddr;

/* The proxy's, from proxy_clients_add() to proxy_clients_remove(); but `removed` and `relay`, which
 * the proxy begins and ends, may be looked at until proxy_clients_free_removed(). */
struct proxy_client {
    struct relay relay; /* the first member */
    TAILQ_ENTRY(proxy_client) link;
    struct address *address;
    char name[NETWORK_NAME_BYTES]; /* the address, for the log */
    uint16_t port;                 /* the proxy's: it reaches the backend from there; 0: none */
    bool removed;
};

/* `key` is random; `expected` is about how many clients there will be, and `per_address` how many
 * there may be of one address. Returns NULL with errno ENOMEM. */
struct proxy_clients *proxy_clients_create(const struct hash_key *key, size_t expected,
                                           size_t per_address) MUST_CHECK;

/* All clients must have been removed. NULL does nothing. */
void proxy_clients_destroy(struct proxy_clients *clients);

/* Adds one, whose relay is not begun. Returns NULL with errno: EUSERS when its address has too
 * many, ENOMEM. */
struct proxy_client *proxy_clients_add(struct proxy_clients *clients,
                                       const struct sockaddr *address) MUST_CHECK;

/* Its events of this round may still be to come, so it is only put aside, and counted no more. */
void proxy_clients_remove(struct proxy_clients *clients, struct proxy_client *client);

/* Frees those that were removed. */
void proxy_clients_free_removed(struct proxy_clients *clients);

/* How many there are, without those that were removed; the first of them, and the one behind;
 * NULL: none. */
size_t proxy_clients_count(const struct proxy_clients *clients) MUST_CHECK;
struct proxy_client *proxy_clients_first(const struct proxy_clients *clients) MUST_CHECK;
struct proxy_client *proxy_clients_next(const struct proxy_client *client) MUST_CHECK;

#endif
