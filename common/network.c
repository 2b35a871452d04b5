/* See network.h. The family is part of a network: 32.1.13.184 and 2001:db8::/64 begin alike. */
#include "common/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define IPV4_BYTES   4
#define IPV6_BYTES   8  /* of an IPv6 address */
#define MAPPED_START 12 /* where the IPv4 address begins in ::ffff:0:0/96 */

enum kind { KIND_OTHER, KIND_IPV4, KIND_IPV6 };

_Static_assert(NETWORK_NAME_BYTES >= INET6_ADDRSTRLEN, "room for any address");

/* The bytes of an address, in `bytes`, and of which kind they are. */
static enum kind find_bytes(const struct sockaddr *address, const uint8_t **bytes)
{
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;

    switch (address->sa_family) {
    case AF_INET:
        *bytes = (const uint8_t *)&((const struct sockaddr_in *)address)->sin_addr;
        return KIND_IPV4;
    case AF_INET6:
        *bytes = v6->sin6_addr.s6_addr;
        if (!IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
            return KIND_IPV6;
        *bytes += MAPPED_START;
        return KIND_IPV4;
    default:
        return KIND_OTHER;
    }
}

struct network network_of(const struct sockaddr *address)
{
    struct network network = {{0}};
    const uint8_t *bytes;
    enum kind kind = find_bytes(address, &bytes);

    network.bytes[0] = (uint8_t)kind;
    if (kind != KIND_OTHER)
        memcpy(network.bytes + 1, bytes, kind == KIND_IPV4 ? IPV4_BYTES : IPV6_BYTES);
    return network;
}

int network_compare(const struct network *a, const struct network *b)
{
    return memcmp(a->bytes, b->bytes, NETWORK_BYTES);
}

void network_name_address(const struct sockaddr *address, char name[NETWORK_NAME_BYTES])
{
    const uint8_t *bytes;
    enum kind kind = find_bytes(address, &bytes);

    snprintf(name, NETWORK_NAME_BYTES, "?");
    if (kind != KIND_OTHER)
        inet_ntop(kind == KIND_IPV4 ? AF_INET : AF_INET6, bytes, name, NETWORK_NAME_BYTES);
}

void network_name_peer(int fd, char name[NETWORK_NAME_BYTES])
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;

    if (getpeername(fd, (struct sockaddr *)&address, &length))
        address.ss_family = AF_UNSPEC;
    network_name_address((const struct sockaddr *)&address, name);
}
