/* See target.h. */
#include "client/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int target_parse(struct target *target, const char *text)
{
    const char *host = text, *colon = strrchr(host, ':');
    size_t host_length, port_length;
    unsigned long port;

    if (!colon)
        return -EINVAL;
    host_length = (size_t)(colon - host);
    if (*host == '[') {
        if (host_length < 3 || colon[-1] != ']')
            return -EINVAL;
        host++;
        host_length -= 2;
    } else if (memchr(host, ':', host_length)) {
        return -EINVAL; /* an IPv6 address without brackets: its end is anyone's guess */
    }
    port_length = strlen(++colon);
    if (!host_length || host_length >= TARGET_HOST_BYTES || port_length >= TARGET_PORT_BYTES ||
        strspn(colon, "0123456789") != port_length)
        return -EINVAL;
    port = strtoul(colon, NULL, 10);
    if (port < 1 || port > 65535)
        return -EINVAL;
    memcpy(target->host, host, host_length);
    target->host[host_length] = '\0';
    memcpy(target->port, colon, port_length + 1);
    return 0;
}

struct addrinfo *target_resolve(const struct target *target, struct rpc_outcome *outcome)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *addresses;
    int error = getaddrinfo(target->host, target->port, &hints, &addresses);

    if (!error)
        return addresses;
    *outcome = (struct rpc_outcome){.status = GRPC_UNAVAILABLE};
    snprintf(outcome->message, sizeof outcome->message, "cannot resolve %.150s: %s", target->host,
             gai_strerror(error));
    return NULL;
}
