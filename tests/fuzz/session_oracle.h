/*
 * What must come of a session: what the client sent in each stream is held to what it was answered,
 * and to what was counted. Whoever sends writes into the streams what was sent; the server's side
 * writes the totals.
 */
#ifndef TALLYD_TESTS_FUZZ_SESSION_ORACLE_H
#define TALLYD_TESTS_FUZZ_SESSION_ORACLE_H

#include "tests/fuzz/session_client.h"
#include "tests/fuzz/session_packets.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SESSION_MAX_STREAMS 8     /* at a time, that the server takes */
#define SESSION_STALL_MS    60000 /* for how long it lets a stream stand inside a packet */

/* What was sent in a stream. */
struct session_stream {
    bool counts; /* it is of StreamPackets, with headers that are taken */
    bool gzip;
    bool timed;     /* it has a deadline, past which an answer promises nothing */
    bool ended;     /* by us */
    bool reset;     /* by us */
    bool failed;    /* by a bad packet, or by its end inside one */
    bool rejected;  /* by a bad packet */
    bool uncertain; /* the server ended it before we did: of what we sent, some may not count */
    uint64_t packets[SESSION_DEVICES];
    uint8_t rest[SESSION_PACKET_BYTES]; /* of a packet that is sent in part */
    size_t rest_length;
    unsigned rest_device;
    uint64_t still_ms; /* since when we sent nothing more of it */
    bool stalled;      /* for too long, so that the server may end it */
};

struct session_oracle {
    struct session_client *client; /* borrowed */
    struct session_stream streams[SESSION_STREAMS];
    unsigned opened;
    bool any_frame;     /* some frame was one that no client sends */
    bool shutting_down; /* the server is */

    uint64_t counted[SESSION_DEVICES], others, rejected, received; /* handed over, ever */
    uint64_t committed;
};

void session_oracle_init(struct session_oracle *oracle, struct session_client *client);

/* A stream that may still be sent on, the one that the detail picks; NULL: there is none. */
struct session_stream *session_oracle_open_stream(struct session_oracle *oracle, unsigned detail,
                                                  uint32_t *id);

/* Time passes. */
void session_oracle_pass_time(struct session_oracle *oracle, uint64_t ms);

uint64_t session_oracle_counted(const struct session_oracle *oracle);

/* Reads what the server answered so far, and checks that no more is told than is committed. */
void session_oracle_read(struct session_oracle *oracle);

/* Checks the whole: all that was sent was received, all cuts are taken and committed. `connected`
 * tells whether the server still has the connection. */
void session_oracle_check(const struct session_oracle *oracle, bool connected);

#endif
