/*
 * `tallyd --healthcheck`: asks a running tallyd whether it lives, so that a container needs no
 * curl. Thread: main.
 */
#ifndef TALLYD_SERVER_HEALTHCHECK_H
#define TALLYD_SERVER_HEALTHCHECK_H

#include "common/compiler.h"

#include <stdint.h>

/* GETs /healthz from the HTTP port at `bind` (the loopback address when that is "every address").
 * Returns 0 when the answer is 200; -EBADMSG when it is another, or a negative errno. Takes at most
 * a few seconds. */
int healthcheck(const char *bind, uint16_t port) MUST_CHECK;

#endif
