/*
 * Keeps the rate: says how many packets may go now. Time is divided into equal intervals, one a
 * packet; a sender that was held up may catch up on PACER_BURST_NS at most, so that a stalled
 * server is not flooded when it comes back. One thread.
 */
#ifndef TALLYD_CLIENT_PACER_H
#define TALLYD_CLIENT_PACER_H

#include <stdint.h>

#define PACER_BURST_NS 100000000u

struct pacer {
    double interval_ns; /* between two packets; 0: no limit */
    double next_ns;     /* when the next packet is due, on the clock that the caller uses */
};

/* Starts at `now_ns` with `rate` packets a second; 0 is without limit. */
void pacer_init(struct pacer *pacer, uint64_t rate, uint64_t now_ns);

/* How many packets may go at `now_ns`; UINT64_MAX without limit. */
uint64_t pacer_credit(struct pacer *pacer, uint64_t now_ns);

/* Notes that `packets` went. They must be covered by the last credit. */
void pacer_take(struct pacer *pacer, uint64_t packets);

/* Nanoseconds from `now_ns` until at least one packet may go; 0 when one may. */
uint64_t pacer_wait_ns(const struct pacer *pacer, uint64_t now_ns);

#endif
