/*
 * The clients that are connected to the front (http/front.h): each with its relay, and counted at
 * its address.
 *
 * Thread: http, the front's, but for guests_create() and guests_destroy(), which are main's.
 */
#ifndef TALLYD_HTTP_GUESTS_H
#define TALLYD_HTTP_GUESTS_H

#include "common/compiler.h"
#include "common/network.h"
#include "http/relay.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct address;
struct guests;
struct hash_key;
struct sockaddr;

/* The front's, from guests_admit() to guests_dismiss(); but `gone` and `relay`, which the front
 * begins and ends, may be looked at until guests_free_gone(). */
struct guest {
    struct relay relay; /* the first member */
    TAILQ_ENTRY(guest) link;
    struct address *address;
    char name[NETWORK_NAME_BYTES]; /* the address, for the log */
    uint16_t port;                 /* the front's: where it reaches the backend from; 0: not yet */
    bool gone;
};

/* `key` is random; `expected` is about how many guests there will be, and `per_address` how many
 * there may be of one address. Returns NULL with errno ENOMEM. */
struct guests *guests_create(const struct hash_key *key, size_t expected,
                             size_t per_address) MUST_CHECK;

/* All of them must have been dismissed. NULL does nothing. */
void guests_destroy(struct guests *guests);

/* Lets one in, whose relay is not begun. Returns NULL with errno: EUSERS when its address has too
 * many, ENOMEM. */
struct guest *guests_admit(struct guests *guests, const struct sockaddr *address) MUST_CHECK;

/* Its events of this round may still be to come, so it is only put aside, and counted no more. */
void guests_dismiss(struct guests *guests, struct guest *guest);

/* Frees those that were dismissed. */
void guests_free_gone(struct guests *guests);

/* How many there are, without those that were dismissed; the first of them, and the one behind;
 * NULL: none. */
size_t guests_count(const struct guests *guests) MUST_CHECK;
struct guest *guests_first(const struct guests *guests) MUST_CHECK;
struct guest *guests_next(const struct guest *guest) MUST_CHECK;

#endif
