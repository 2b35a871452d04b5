/*
 * The bytes of a connection on their way between the socket and the session: as they are, or
 * through TLS. Nothing here blocks; the owner watches the socket. One thread.
 */
#ifndef TALLYD_CLIENT_CONDUIT_H
#define TALLYD_CLIENT_CONDUIT_H

#include "client/output.h"
#include "common/compiler.h"
#include "common/tls.h"
#include "common/tls_guard.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CONDUIT_RECORD_BYTES 16384 /* of plain text in a TLS record; RFC 8446, section 5.1 */

/* Embedded in its owner. Only `why` is for others. */
struct conduit {
    int fd; /* borrowed */
    struct ssl_st *ssl;
    struct tls_guard guard;
    uint8_t *record; /* small pieces of output put together; NULL without TLS */
    const char *why; /* what TLS says went wrong, or NULL; valid while the conduit is */
    char text[ERROR_BYTES];
};

enum conduit_state {
    CONDUIT_OPEN,        /* bytes may go both ways */
    CONDUIT_WANTS_READ,  /* the handshake waits for the server, */
    CONDUIT_WANTS_WRITE, /* or for the socket */
    CONDUIT_FAILED,      /* `why` says it */
};

/* Begins on a connected socket, and does not move from then on. `context` is NULL for no TLS, else
 * the server must be called `server_name`. Returns 0 or -ENOMEM. Whatever it returns,
 * conduit_fini() releases what it has. */
int conduit_init(struct conduit *conduit, int fd, struct ssl_ctx_st *context,
                 const char *server_name) MUST_CHECK;

/* Tells the server of the end, as far as the socket takes it, and frees what the conduit has.
 * Zeroed, or over already: does nothing. */
void conduit_fini(struct conduit *conduit);

/* Goes on with the handshake. */
enum conduit_state conduit_open(struct conduit *conduit);

/* Returns the bytes received, 0 at the end, or a negative errno: -EAGAIN when none are there now,
 * -ECONNABORTED when TLS failed. */
ssize_t conduit_receive(struct conduit *conduit, uint8_t *bytes, size_t size) MUST_CHECK;

/* As output_send(), and -ECONNABORTED. */
int conduit_send(struct conduit *conduit, struct output *output) MUST_CHECK;

#endif
