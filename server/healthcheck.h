/*
 * `tallyd --healthcheck`: asks a running tallyd whether it lives, so that a container needs no
 * curl. Thread: main.
 */
#ifndef TALLYD_SERVER_HEALTHCHECK_H
#define TALLYD_SERVER_HEALTHCHECK_H

#include "common/compiler.h"

#include <stdbool.h>
#include <stdint.h>

/* GETs /healthz from the HTTP port at `bind` (the loopback address when that is "every address"),
 * over TLS if `tls` is set. Returns 0 when the answer tells of life: 200, or that the path is not
 * for everybody; -EPROTOTYPE when it looks like TLS and `tls` is not set, -EBADMSG when it is
 * another, -EPROTO when TLS fails, or another negative errno.
 * Takes at most a few seconds. */
int healthcheck(const char *bind, uint16_t port, bool tls) MUST_CHECK;

#endif
