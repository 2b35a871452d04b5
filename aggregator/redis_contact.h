/*
 * Whether Redis answers the flusher: what is said about it in the log, and how long to wait until
 * it is asked again. What the workers go by, commits_redis_down(), is apart from this.
 *
 * Thread: flusher.
 */
#ifndef TALLYD_AGGREGATOR_REDIS_CONTACT_H
#define TALLYD_AGGREGATOR_REDIS_CONTACT_H

#include "aggregator/redis.h"
#include "common/compiler.h"
#include "common/log.h"

#include <stdbool.h>
#include <stdint.h>

/* The pause after a first failure; each further one doubles it, up to the second. */
#define REDIS_CONTACT_FIRST_MS 20
#define REDIS_CONTACT_MOST_MS  1000

/* Embedded, zeroed but for the first field. */
struct redis_contact {
    const struct redis_options *redis; /* borrowed: where it is, for messages */
    bool reached;                      /* it has answered at least once */
    uint64_t answered_ms;              /* when it did last */
    uint64_t backoff_ms;               /* the last pause; 0: it answers */
    struct log_limit limit;
};

/* It answered as it should, at `now_ms` by clock_now_ms(). Says so when that is news. */
void redis_contact_answered(struct redis_contact *contact, uint64_t now_ms);

/* It did not, and `why` tells the reason in one line. Says so now and then. Returns the time to
 * wait before it is tried again, in ms. */
uint64_t redis_contact_failed(struct redis_contact *contact, const char *why) MUST_CHECK;

#endif
