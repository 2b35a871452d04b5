/*
 * The client's end of a session in fuzz_session.c: HTTP/2 frames as bytes, and what came back, read
 * without the server's code. nghttp2 only decodes header blocks.
 */
#ifndef TALLYD_TESTS_FUZZ_SESSION_CLIENT_H
#define TALLYD_TESTS_FUZZ_SESSION_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SESSION_STREAMS 16

enum frame_type {
    F_DATA,
    F_HEADERS,
    F_PRIORITY,
    F_RST,
    F_SETTINGS,
    F_PUSH,
    F_PING,
    F_GOAWAY,
    F_WINDOW,
    F_CONTINUATION
};
enum { F_ACK = 1, F_END_STREAM = 1, F_END_HEADERS = 4, F_PADDED = 8 };

/* What the server said of a stream; id 2 * i + 1 stands at i. */
struct session_answer {
    bool has_status, reset;
    uint32_t reset_code;
    int status;       /* gRPC's */
    uint64_t number;  /* of the trailer tally-received */
    uint8_t body[32]; /* of which the Ack is the start */
    size_t body_length;
};

struct session_client {
    int fd;
    uint8_t output[1 << 15]; /* frames to be sent */
    size_t output_length;
    uint8_t input[1 << 16]; /* bytes of a frame that is not whole yet */
    size_t input_length;
    void *inflater; /* nghttp2's */
    struct session_answer answers[SESSION_STREAMS];
    bool saw_goaway, saw_end; /* of the connection */
    uint32_t last_stream;     /* that a GOAWAY named: what is behind it was not processed */
};

/* The client owns the socket. */
void session_client_init(struct session_client *client, int fd);
void session_client_fini(struct session_client *client);

/* Adds bytes, or a frame, to the output; what finds no room is left out: false. */
bool session_put(struct session_client *client, const void *bytes, size_t length);
bool session_frame(struct session_client *client, unsigned type, unsigned flags, uint32_t stream,
                   const void *payload, size_t length);

/* Adds a header to a block that has `*length` of 512 bytes. */
void session_header(uint8_t block[512], size_t *length, const char *name, const char *value);

/* What the answer to a StreamPackets call tells: the number in its Ack, a message with one field,
 * or in the trailer of an error. */
uint64_t session_answered(const struct session_answer *answer);

/* Reads what has come, and checks that it is what a server may send. */
void session_read(struct session_client *client);

#endif
