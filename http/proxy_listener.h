/*
 * The TLS proxy's listening socket in its epoll set. While it is paused, who connects waits in the
 * kernel's queue.
 *
 * Thread: http, the proxy's, but for proxy_listener_open() and proxy_listener_close(), which are
 * main's.
 */
#ifndef TALLYD_HTTP_PROXY_LISTENER_H
#define TALLYD_HTTP_PROXY_LISTENER_H

#include "common/compiler.h"
#include "common/log.h"

#include <stdbool.h>
#include <stdint.h>

#define PROXY_LISTENER_PAUSE_MS 200 /* within which its owner resumes */

struct sockaddr_storage;

/* Embedded; it does not move while it is open. */
struct proxy_listener {
    int fd, epoll_fd;
    bool watched; /* connections are reported */
    struct log_limit paused;
};

/* Listens on an IPv4 or IPv6 address; "::" is IPv4 as well. epoll reports connections with the
 * listener as its pointer. Returns 0 or a negative errno; proxy_listener_close() is due in any
 * case. */
int proxy_listener_open(struct proxy_listener *listener, const char *bind, uint64_t port,
                        int epoll_fd) MUST_CHECK;

void proxy_listener_close(struct proxy_listener *listener);

void proxy_listener_pause(struct proxy_listener *listener);
void proxy_listener_resume(struct proxy_listener *listener);

/* Takes a connection. Returns its socket, non-blocking and the caller's, with `address`; or a
 * negative errno: -EAGAIN when none is to be had for now, since nobody waits, or memory or
 * descriptors are short, and then it has paused; another one when that connection failed. */
int proxy_listener_accept(struct proxy_listener *listener,
                          struct sockaddr_storage *address) MUST_CHECK;

#endif
