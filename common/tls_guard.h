/*
 * What a peer may cost by TLS itself. OpenSSL does not return before it has data, or the socket
 * has none: as long as records come that carry no data, as KeyUpdates do, it goes on. So a guard
 * stands between OpenSSL and the socket, which has nothing more to read in this turn once enough
 * was read; the rest stays in the socket, where poll and epoll see it. And it refuses peers whose
 * records are more, or whose ClientHello is larger, than any client has a reason for.
 *
 * Thread: the connection's.
 */
#ifndef TALLYD_COMMON_TLS_GUARD_H
#define TALLYD_COMMON_TLS_GUARD_H

#include "common/compiler.h"

#include <stdbool.h>
#include <stdint.h>

struct ssl_st; /* OpenSSL's SSL */

enum tls_guard_refusal { TLS_GUARD_FINE, TLS_GUARD_FLOOD, TLS_GUARD_HELLO };

/* Shown because connections embed it; it must not move. Its own. */
struct tls_guard {
    struct ssl_st *ssl;
    unsigned reads_left; /* of this turn */
    enum tls_guard_refusal refusal;
    bool shaken;              /* hands, once */
    uint64_t level, since_ms; /* of the bucket of records without data */

    /* Where in a record the bytes from the socket are, during the handshake. */
    uint8_t header_bytes, type;
    uint32_t record_left;
    uint8_t message_bytes; /* of the header of a message that comes in plain text, */
    uint32_t message;      /* its header: a type, and a length of three bytes; then what is left */
};

/* Begins with an SSL that has its socket, before the handshake; borrowed. */
void tls_guard_init(struct tls_guard *guard, struct ssl_st *ssl);

/* Begins a turn. Before SSL_do_handshake() and reads; a turn may have several of them. */
void tls_guard_turn(struct tls_guard *guard);

/* What a call of OpenSSL's that did nothing comes to. */
enum tls_result {
    TLS_WANTS_READ, /* the socket has nothing more, or the turn is over */
    TLS_WANTS_WRITE,
    TLS_ENDED,   /* by the peer, as it should be */
    TLS_CUT,     /* errno says why; it may be 0. Set it to 0 before the call */
    TLS_FAILED,  /* tls_last_error() and tls_handshake_error() say why */
    TLS_FLOODED, /* the same; after the handshake */
};
enum tls_result tls_guard_result(struct tls_guard *guard, int result) MUST_CHECK;

#endif
