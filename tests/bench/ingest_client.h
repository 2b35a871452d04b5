/*
 * The client's end of tests/bench/ingest_loop.c: one HTTP/2 connection with one StreamPackets call,
 * whose bytes are rendered before anything is measured, and the same in every run.
 *
 * It speaks just the frames that such a call needs, and keeps to the flow-control windows that the
 * server grants. Whatever goes wrong ends the program with a message.
 *
 * Thread: the one that runs the loop.
 */
#ifndef TALLYD_BENCH_INGEST_CLIENT_H
#define TALLYD_BENCH_INGEST_CLIENT_H

#include "common/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INGEST_FRAME_MAX_BYTES 16384 /* SETTINGS_MAX_FRAME_SIZE at its default */

struct ingest_client_options {
    uint64_t devices;       /* ids device-000 and on, with as many digits as the last one has */
    uint64_t packets;       /* of a pass: what is rendered */
    uint64_t packet_bytes;  /* of each message, without its 5 bytes of gRPC framing */
    uint64_t frame_packets; /* messages a DATA frame; 0: full frames, messages split anywhere */
};

struct ingest_client;

/* Renders a pass. `fd` is a connected, non-blocking stream socket, which it owns from then on. */
struct ingest_client *ingest_client_create(const struct ingest_client_options *options,
                                           int fd) MUST_CHECK;
void ingest_client_destroy(struct ingest_client *client);

/* Sends the connection preface; and then, once the server's settings came, the request. */
void ingest_client_greet(struct ingest_client *client);
void ingest_client_request(struct ingest_client *client);

/* Sends the next `bytes` bytes of a pass, fewer at its end. Returns false when the pass had ended;
 * the next call begins the next pass. */
bool ingest_client_send(struct ingest_client *client, size_t bytes) MUST_CHECK;

/* Ends the stream. */
void ingest_client_end(struct ingest_client *client);

/* Reads what the server has sent. */
void ingest_client_read(struct ingest_client *client);

/* True when the server has ended its response. */
bool ingest_client_answered(const struct ingest_client *client);

/* How many packets of a pass are the device's: 0 for an id that it has not. */
uint64_t ingest_client_expected(const struct ingest_client *client, const uint8_t *id,
                                size_t length);

/* Prints the message, one sentence, and ends the program. */
_Noreturn void ingest_die(const char *format, ...) PRINTF_LIKE(1, 2);

#endif
