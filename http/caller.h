/* Who asks, as far as the connection tells: with TLS, whether a certificate was shown. */
#ifndef TALLYD_HTTP_CALLER_H
#define TALLYD_HTTP_CALLER_H

#include "common/compiler.h"

#include <stdbool.h>

struct request;

/* True for a request that did not come through the TLS proxy although there is one: civetweb's own
 * port can be reached from this host then, and nothing is served there. Called by: http. */
bool caller_bypasses_tls(const struct request *request);

/* Lets a request for what is not public in, or answers it: with a client CA, 403 for a client that
 * has shown no certificate (one that has shown a wrong one is not connected). Returns 0 or the
 * status sent. Called by: http. */
int caller_admit(struct request *request) MUST_CHECK;

#endif
