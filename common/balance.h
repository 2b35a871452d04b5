/*
 * Promise P3 as numbers: received = committed + pending + rejected, as of the last cut. The flusher
 * publishes all of them at once, so that they balance whenever they are read.
 *
 * `received` is what the workers counted as it arrived, `committed` what the flusher took from
 * their counters and Redis confirmed. `pending` is the difference while a commit is under way, and
 * is set to 0 when the counters are found empty; so after a commit the sum holds only if nothing
 * got lost or doubled on the way.
 */
#ifndef TALLYD_COMMON_BALANCE_H
#define TALLYD_COMMON_BALANCE_H

#include <pthread.h>
#include <stdint.h>

#define BALANCE_REJECTED(X)                                                                        \
    X(malformed, "broken protobuf or gRPC framing")                                                \
    X(utf8, "device_id that is not UTF-8")                                                         \
    X(device_id, "device_id empty or too long")                                                    \
    X(too_large, "message over the limit")                                                         \
    X(denied, "device_id that the sender's token does not cover")

#define BALANCE_FIELD(name, help) uint64_t name;

struct balance_values {
    uint64_t received;    /* packets that arrived whole, the rejected ones included */
    uint64_t committed;   /* packets that Redis confirmed, the quarantined ones included */
    uint64_t quarantined; /* of the committed: in the quarantine hash */
    uint64_t pending;     /* packets cut and not yet confirmed */
    struct balance_rejected {
        BALANCE_REJECTED(BALANCE_FIELD)
    } rejected;
};

struct balance {
    pthread_mutex_t lock; /* leaf: nothing else is taken under it */
    struct balance_values values;
};

void balance_init(struct balance *balance);
void balance_fini(struct balance *balance);

/* Publishes `values`. Called by: flusher. */
void balance_publish(struct balance *balance, const struct balance_values *values);

/* Copies what was last published. Called by: any thread. */
struct balance_values balance_read(struct balance *balance);

/* The sum of all reasons. */
uint64_t balance_rejected_total(const struct balance_rejected *rejected);

#endif
