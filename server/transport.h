/*
 * The bytes of a connection: a plain socket, or TLS over one.
 *
 * Thread: worker, the one that owns the connection. Functions that move bytes return how many, or a
 * negative errno: -EAGAIN when the socket has, or takes, none now; -EPROTO when TLS has failed, and
 * tls_last_error() says why; -EPROTOTYPE when the peer's first byte is none of TLS; -EOVERFLOW when
 * it sends too many records that carry nothing.
 */
#ifndef TALLYD_SERVER_TRANSPORT_H
#define TALLYD_SERVER_TRANSPORT_H

#include "common/compiler.h"
#include "common/tls_guard.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct ssl_ctx_st; /* OpenSSL's SSL_CTX and SSL */
struct ssl_st;

/* Shown because connections embed it. Its own to write; `fd` may be read. */
struct transport {
    int fd;
    struct ssl_st *ssl; /* NULL: plain */
    bool begun, shaken; /* the TLS handshake */
    bool wants_write;   /* receiving waits for the socket to take more */
    ssize_t end;        /* how receiving has ended, 0 or a negative errno; 1: it has not */
    struct tls_guard guard;
};

/* Takes over a connected, non-blocking socket, and does not move from then on. `tls` is borrowed
 * during the call, NULL for a plain one. Returns 0 or -ENOMEM; the socket is then the caller's
 * still. */
int transport_init(struct transport *transport, int fd, struct ssl_ctx_st *tls) MUST_CHECK;

/* Closes the socket. */
void transport_fini(struct transport *transport);

/* Receives what there is, at most `size` bytes, and of TLS no more records than a turn may have;
 * returns 0 at the peer's end. Shakes hands first. */
ssize_t transport_receive(struct transport *transport, void *buffer, size_t size) MUST_CHECK;

/* True when bytes have come that nobody received yet. */
bool transport_has_unread(const struct transport *transport);

/* True when something waits that epoll does not see: receive again. */
bool transport_pending(const struct transport *transport);

/* Sends as much as is taken. What was not has to come again, first and the same. */
ssize_t transport_send(struct transport *transport, const void *bytes, size_t length) MUST_CHECK;

/* Ends the sending side. What still comes may be read from `fd` and thrown away. */
void transport_shut(struct transport *transport);

/* True once bytes can be sent: at once when it is plain. */
static inline bool transport_is_ready(const struct transport *transport)
{
    return !transport->ssl || transport->shaken;
}

#endif
