/*
 * The two halves of the ledger share this, and nobody else: ledger.c commits batches, and
 * ledger_position.c finds out where the ledger stands. Thread: flusher.
 */
#ifndef TALLYD_AGGREGATOR_LEDGER_PRIVATE_H
#define TALLYD_AGGREGATOR_LEDGER_PRIVATE_H

#include "aggregator/ledger.h"
#include "aggregator/replies.h"
#include "aggregator/resolver.h"
#include "aggregator/resp.h"

#include <stdbool.h>

enum position { POSITION_UNKNOWN, POSITION_READY, POSITION_APPLIED, POSITION_FENCED };

struct ledger {
    const struct redis_options *options;
    struct stats_flusher *stats;
    char *key;            /* of the ledger */
    char *quarantine_key; /* of the hash of refused counts */

    struct resolver resolver;
    redisContext *context;  /* NULL: not connected, and position is UNKNOWN */
    struct replies replies; /* the context's */
    enum position position;
    uint64_t owner;     /* random, of this process: no other start of this name has it */
    uint64_t epoch;     /* 0: not begun yet */
    uint64_t started;   /* when it was begun: see ledger_position.c */
    uint64_t committed; /* number of the last batch known to be in Redis */
    bool in_flight;     /* batch committed + 1 was sent at least once, its EXEC included */
    bool rolled_back;   /* Redis has lost our ledger; the next batch restores it */
    bool examined;      /* whether this connection's Redis keeps what it is given */

    /* The batch whose counts stand in a MULTI that is open on this connection; NULL: none is. */
    const struct batch *ahead;

    uint64_t timeout_ms;
    uint64_t last_commit_ms;
    struct resp resp; /* empty, but while commands are put together */
    char error[ERROR_BYTES + 64];
};

/* Reaches READY, APPLIED or FENCED from UNKNOWN: connects if need be, arms the guard, and looks. */
enum ledger_result ledger_locate(struct ledger *ledger) MUST_CHECK;

/* Receives the look behind a pipeline and judges it: the result is in ledger->position. */
enum ledger_result ledger_receive_position(struct ledger *ledger) MUST_CHECK;

/* Gives the connection up. What it was asked last may or may not still happen. */
void ledger_disconnect(struct ledger *ledger);

/* Returns LEDGER_UNAVAILABLE, and keeps `what` and `why` for ledger_error(). */
enum ledger_result ledger_unavailable(struct ledger *ledger, const char *what, const char *why);

/* The same, when the connection failed or said what it should not have; disconnects. */
enum ledger_result ledger_broken(struct ledger *ledger, const char *what);

#endif
