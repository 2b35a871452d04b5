/*
 * What the two discarding servers share, so that they differ in HTTP/2 and in nothing else: one
 * thread, one epoll set, one receive buffer of tallyd's size, tallyd's own listening socket.
 *
 * Single-threaded. The clients are the benchmark's own and trusted.
 */
#ifndef TALLYD_BENCH_LOOP_H
#define TALLYD_BENCH_LOOP_H

#include "common/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop_handler {
    /* A connection came. The socket `fd` is the loop's. Returns what the other two are called
     * with, or NULL to refuse it. */
    void *(*open)(void *context, int fd);

    /* Bytes came, valid until it returns. Returns false to close the connection. */
    bool (*receive)(void *connection, const uint8_t *bytes, size_t length);

    /* The connection is over; frees what `open` made. Not called for those that are still open
     * when the program is told to stop. */
    void (*close)(void *connection);
};

/* Listens on 127.0.0.1:port (0: one that is free), prints one line that says where, and serves
 * until SIGTERM or SIGINT. `context` is passed to `open`. Returns 0 or a negative errno. */
int loop_run(uint16_t port, const struct loop_handler *handler, void *context) MUST_CHECK;

/* Sends all of `bytes`, and waits for the socket when it is full. Returns 0 or a negative errno:
 * -EAGAIN when the peer takes nothing for a second. */
int loop_send(int fd, const uint8_t *bytes, size_t length) MUST_CHECK;

#endif
