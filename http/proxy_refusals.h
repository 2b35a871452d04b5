/*
 * The connections that the TLS proxy closed before a request, counted and logged by reason.
 *
 * Thread: http, the proxy's, unless stated.
 */
#ifndef TALLYD_HTTP_PROXY_REFUSALS_H
#define TALLYD_HTTP_PROXY_REFUSALS_H

#include "common/log.h"

#include <stdint.h>

struct ssl_st; /* OpenSSL's SSL */

enum proxy_refusal {
    PROXY_REFUSED_TLS,     /* TLS failed, or the handshake was not ended in time */
    PROXY_REFUSED_ADDRESS, /* its address had too many connections */
    PROXY_REFUSED_SHORT,   /* memory or descriptors were short */
    PROXY_REFUSALS
};

/* Embedded; all zeros at first. */
struct proxy_refusals {
    _Atomic uint64_t counts[PROXY_REFUSALS];
    struct log_limit limits[PROXY_REFUSALS];
};

/* Each is called once for a connection; `name` is the client's address.
 *
 * TLS failed on it, `ssl` knows why: */
void proxy_refusals_note_tls(struct proxy_refusals *refusals, const char *name, struct ssl_st *ssl);

/* The handshake was not ended; `when` completes the sentence: */
void proxy_refusals_note_slow(struct proxy_refusals *refusals, const char *name, const char *when);

/* Its address has too many: */
void proxy_refusals_note_address(struct proxy_refusals *refusals, const char *name);

/* Memory or descriptors were short; `error` is a negative errno: */
void proxy_refusals_note_short(struct proxy_refusals *refusals, const char *name, int error);

/* How many there were for a reason. Any thread. */
uint64_t proxy_refusals_count(const struct proxy_refusals *refusals, enum proxy_refusal reason);

#endif
