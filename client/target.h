/* Where the server is: the parts of "host:port", and its addresses. Called by: main. */
#ifndef TALLYD_CLIENT_TARGET_H
#define TALLYD_CLIENT_TARGET_H

#include "client/rpc_reply.h"
#include "common/compiler.h"

#include <netdb.h>

#define TARGET_HOST_BYTES 256
#define TARGET_PORT_BYTES 6

struct target {
    char host[TARGET_HOST_BYTES], port[TARGET_PORT_BYTES];
};

/* Splits "host:port" or "[IPv6 address]:port". Returns 0, or -EINVAL for anything else. */
int target_parse(struct target *target, const char *text) MUST_CHECK;

/* Looks its addresses up. NULL on failure, which `outcome` then tells. freeaddrinfo() frees them.
 */
struct addrinfo *target_resolve(const struct target *target,
                                struct rpc_outcome *outcome) MUST_CHECK;

#endif
