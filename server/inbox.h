/*
 * A worker's inbox: the way of new connections from main to the worker, one of the crossings in
 * ARCHITECTURE.md. It holds what has been put in and not been taken yet, in that order.
 */
#ifndef TALLYD_SERVER_INBOX_H
#define TALLYD_SERVER_INBOX_H

#include "common/compiler.h"

#include <stddef.h>

struct address;
struct inbox;

/* A connection on its way: whoever takes it owns the socket and one count of the peer's address. */
struct inbox_item {
    int fd;
    struct address *address;
};

/* Returns NULL with errno. Called by: main. */
struct inbox *inbox_create(void) MUST_CHECK;

/* What epoll or poll finds readable while something is in. Valid as long as the inbox. */
int inbox_fd(const struct inbox *inbox);

/* Never waits. Returns 0, or a negative errno, -EAGAIN when the inbox is full; then the caller
 * keeps what it wanted to give. Called by: main. */
int inbox_put(struct inbox *inbox, int fd, struct address *address) MUST_CHECK;

/* Takes up to `room` items, and returns how many; 0 when nothing is in. Never waits. Called by:
 * worker. */
size_t inbox_take(struct inbox *inbox, struct inbox_item *items, size_t room) MUST_CHECK;

/* What is still in it is not closed. Called by: main, once the worker has ended. NULL does
 * nothing. */
void inbox_destroy(struct inbox *inbox);

#endif
