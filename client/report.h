/*
 * What came of a run: totals, Ack latencies, and failures grouped by status and message; and how
 * they are told, as text or as JSON. One thread.
 */
#ifndef TALLYD_CLIENT_REPORT_H
#define TALLYD_CLIENT_REPORT_H

#include "client/latency.h"
#include "client/rpc_reply.h"
#include "common/compiler.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Groups of failures kept apart; the last one takes whatever differs from all others. */
#define REPORT_FAILURES 16

enum report_kind { REPORT_STREAM, REPORT_CONNECTION };

struct report_failure {
    enum report_kind kind;
    enum grpc_status status;
    char message[RPC_MESSAGE_BYTES];
    uint64_t count;    /* streams or connections */
    uint64_t packets;  /* sent on these streams */
    uint64_t told;     /* streams of which the server told what it counted, */
    uint64_t received; /* and what it counted of them */
};

/* Zero it to start. The owner sets the first group of fields. */
struct report {
    uint64_t planned; /* packets to send */
    uint64_t sent;    /* packets of which at least the first byte was handed to HTTP/2 */
    double seconds;   /* from the first connection attempt to the end of the last stream */
    int signal;       /* that ended the run early, or 0 */

    uint64_t acknowledged; /* packets of streams whose Ack was OK */
    uint64_t streams_acknowledged;
    uint64_t streams_failed;
    struct latency latency; /* END_STREAM handed to the socket, to the Ack */
    struct report_failure failures[REPORT_FAILURES];
    size_t failure_count;
};

/* Notes a stream of `packets` packets that was acknowledged after `latency_ns`. */
void report_add_acknowledged(struct report *report, uint64_t packets, uint64_t latency_ns);

/* Notes a failed stream on which `packets` packets were sent, or a failed connection. */
void report_add_failure(struct report *report, enum report_kind kind,
                        const struct rpc_outcome *outcome, uint64_t packets);

/* True when all planned packets were sent and acknowledged. */
bool report_complete(const struct report *report);

/* Writes the failures, each with a hint where one is known; nothing when there are none. */
void report_print_failures(const struct report *report, FILE *out);

/* Writes the summary as a few lines of text. */
void report_print_text(const struct report *report, FILE *out);

/* Writes the summary as one line of JSON:
 *
 *     {"packets": n, "sent": n, "acknowledged": n, "complete": bool, "seconds": s,
 *      "packets_per_second": r, "streams": {"acknowledged": n, "failed": n},
 *      "ack_latency_ms": {"p50": t, "p90": t, "p99": t, "p99.9": t, "max": t},
 *                                                                        or null without an Ack
 *      "failures": [{"of": "stream" or "connection", "status": "UNAVAILABLE", "message": "...",
 *                    "count": n, "packets": n, "tally_received": n or null}]}
 *
 * Returns 0 or -ENOMEM. */
int report_print_json(const struct report *report, FILE *out) MUST_CHECK;

#endif
