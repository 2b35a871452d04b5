/*
 * How the packets of a run are laid out over streams. Packets are numbered from 0; a stream
 * carries a range of consecutive numbers. The plan depends on the options alone, so a run can be
 * repeated, and any stream can take the next range from any slot.
 */
#ifndef TALLYD_CLIENT_PLAN_H
#define TALLYD_CLIENT_PLAN_H

#include <stdint.h>

struct plan {
    uint64_t packets;
    uint64_t streams;    /* ranges in all */
    uint64_t per_stream; /* packets a stream; 0: split evenly, the first ones get one more */
};

struct plan_range {
    uint64_t first, count; /* packets first to first + count - 1 */
};

/* Plans `packets` for `slots` streams that are open at once: streams of `per_stream` packets (the
 * last one may be shorter), or, with 0, one stream a slot. No stream is empty. */
struct plan plan_make(uint64_t packets, uint64_t slots, uint64_t per_stream);

/* The packets of stream number `stream`, which is below plan->streams. */
struct plan_range plan_stream(const struct plan *plan, uint64_t stream);

#endif
