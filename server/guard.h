/*
 * Counts what a peer does that costs the server something and serves nobody, and says when it is
 * more than any client has a reason for: frames that carry nothing, streams that are reset before
 * they can have been of use, pings.
 *
 * Times are in ms by clock_now_ms(), and may be as old as the worker's round. Thread: worker, the
 * one that owns the connection. Each guard_* that returns a bool returns false once the peer is
 * past the bound; the connection shall then be closed.
 */
#ifndef TALLYD_SERVER_GUARD_H
#define TALLYD_SERVER_GUARD_H

#include "common/compiler.h"

#include <stdbool.h>
#include <stdint.h>

/* Full at its burst, and leaking at its rate. */
struct guard_bucket {
    uint64_t level; /* in thousandths */
    uint64_t since_ms;
};

struct guard {
    uint64_t min_ping_ms;
    uint32_t reset_burst;
    uint32_t frame_credit; /* frames that answers of ours may have caused */
    uint32_t ping_credit;  /* pings */
    uint32_t ping_strikes;
    uint64_t ping_ms; /* the last ping; 0: none since our last answer */
    struct guard_bucket frames, resets;
};

/* `max_streams` is how many the connection may have at a time; `min_ping_ms` how long it should
 * leave between two pings, 0: as it likes. */
void guard_init(struct guard *guard, uint32_t max_streams, uint64_t min_ping_ms);

/* A frame that carries nothing: WINDOW_UPDATE, PRIORITY, DATA without data, an unknown type, an
 * RST_STREAM or an error that meets no stream. A PING: guard_ping(), SETTINGS: guard_settings(). */
bool guard_frame(struct guard *guard, uint64_t now_ms) MUST_CHECK;

/* SETTINGS, with so many entries. Weighs more, since each may touch all streams. */
bool guard_settings(struct guard *guard, uint32_t entries, uint64_t now_ms) MUST_CHECK;

/* A PING that is no answer. */
enum guard_ping { GUARD_PING_FINE, GUARD_PING_TOO_OFTEN, GUARD_PING_FLOOD };
enum guard_ping guard_ping(struct guard *guard, uint64_t now_ms) MUST_CHECK;

/* A stream was reset, by either side, after it was open for so long. */
bool guard_reset(struct guard *guard, uint64_t lived_ms, uint64_t now_ms) MUST_CHECK;

/* HEADERS or DATA were sent: a client may answer with window updates, and a ping that measures the
 * bandwidth. */
void guard_sent(struct guard *guard);

#endif
