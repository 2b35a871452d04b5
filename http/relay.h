/*
 * One connection of a client over TLS, and the one to civetweb that carries its bytes: the
 * handshake, then bytes both ways until both sides are done. Nothing here blocks; what waits on one
 * side is bounded, and holds up the other.
 *
 * Thread: http, the one of http/tls_proxy.c.
 */
#ifndef TALLYD_HTTP_RELAY_H
#define TALLYD_HTTP_RELAY_H

#include "common/compiler.h"
#include "common/tls_guard.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ssl_ctx_st; /* OpenSSL's SSL_CTX and SSL */
struct ssl_st;

#define RELAY_UP_BYTES   4096  /* of requests */
#define RELAY_DOWN_BYTES 16384 /* of answers: a full TLS record */

struct relay;

/* One of its two sockets; what epoll is given. */
struct relay_end {
    struct relay *relay;
    int fd;           /* -1: none */
    uint32_t watched; /* epoll events asked for, */
    uint32_t wanted;  /* and those to ask for */
    bool added, left; /* in the epoll set; and out of it again */
};

enum relay_stage { RELAY_HANDSHAKE, RELAY_CARRIES, RELAY_LINGERS };

/* Shown because its owner embeds it. It may read `ssl`, `stage`, `deadline_ms`, and `backend.left`:
 * both sides have ended that connection, and the kernel may give its port to others. */
struct relay {
    struct relay_end client, backend;
    struct ssl_st *ssl;
    struct tls_guard guard;
    int epoll_fd;
    enum relay_stage stage;
    uint64_t timeout_ms;  /* for the handshake, and for the rest of an answer */
    uint64_t deadline_ms; /* by clock_now_ms(), for what must end; 0: nothing must */
    bool client_ended;    /* nothing more comes from there, */
    bool up_ended;        /* or goes to the backend, */
    bool backend_ended;   /* or comes from there */
    bool broken;          /* the client's side failed, */
    bool flooded;         /* with too many records that carry nothing */
    size_t up_start, up_end, down_start, down_end; /* what waits in the buffers */
    uint8_t up[RELAY_UP_BYTES], down[RELAY_DOWN_BYTES];
};

enum relay_result {
    RELAY_GOES_ON,
    RELAY_SHAKEN,   /* the handshake is done: the owner calls relay_connect() */
    RELAY_FAILED,   /* the handshake failed, or the client sent too many records that carry nothing:
                     tls_handshake_error(relay->ssl) says why, once */
    RELAY_ANSWERED, /* the backend has ended, and all is sent: the owner calls relay_linger() */
    RELAY_OVER,
};

/* Begins with a connected, non-blocking socket, which is the relay's from then on; the relay does
 * not move from then on. `context` is borrowed during the call. `timeout_ms`, from now on,
 * is what the handshake gets, and later the rest of an answer that civetweb has left. Returns 0, or
 * a negative errno; relay_fini() is due in any case. */
int relay_init(struct relay *relay, int epoll_fd, int client_fd, struct ssl_ctx_st *context,
               uint64_t timeout_ms) MUST_CHECK;

/* Closes both sockets. */
void relay_fini(struct relay *relay);

/* Handles events that epoll reported for an end. When it is over, the owner calls relay_fini(). */
enum relay_result relay_handle(struct relay_end *end, uint32_t events);

/* Goes on with a socket to the backend, which may still be connecting, and is the relay's from then
 * on. */
enum relay_result relay_connect(struct relay *relay, int backend_fd);

/* Closes the socket to the backend, and waits for the client's end. */
enum relay_result relay_linger(struct relay *relay);

/* True when the client has shown a certificate that was verified. Once the handshake is done. */
bool relay_is_verified(const struct relay *relay);

#endif
