/*
 * The addresses of a host name, within a bound. getaddrinfo() waits as long as its configuration
 * has it, a minute or more when name servers are away, and nothing ends it: so a thread of its own
 * asks, at most one at a time, and who wants to know waits for that thread no longer than it may.
 *
 * One user at a time.
 */
#ifndef TALLYD_AGGREGATOR_RESOLVER_H
#define TALLYD_AGGREGATOR_RESOLVER_H

#include "common/compiler.h"
#include "common/error.h"

#include <netdb.h>
#include <stdint.h>

/* Embedded; all zeroes: nothing asked yet. */
struct resolver {
    struct resolver_question *question; /* one that was not answered in time; else NULL */
};

/* Looks a host name up, which is always the same one, within `timeout_ms`; an address needs no
 * asking. Returns its TCP addresses, the caller's, to be freed by freeaddrinfo(); or NULL with one
 * line in `error`. A question that takes longer goes on: the next call waits for its answer.
 * Called by: the user. */
struct addrinfo *resolver_find(struct resolver *resolver, const char *host, uint64_t timeout_ms,
                               char error[ERROR_BYTES]) MUST_CHECK;

/* Forgets what was asked; its thread ends when it is answered, and disturbs nobody. Called by: the
 * user, or whoever comes after it. */
void resolver_fini(struct resolver *resolver);

#endif
