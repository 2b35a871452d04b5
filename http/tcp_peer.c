/* See tcp_peer.h. */
#include "http/tcp_peer.h"

#include <arpa/inet.h>
#include <linux/tcp.h> /* the libc's tcp_info is shorter */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static uint16_t port_of(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)address)->sin_port);
    if (address->ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)address)->sin6_port);
    return 0;
}

/* The bytes of an address; of an IPv4 one that is written as IPv6, those of the former. */
static const void *bytes_of(const struct sockaddr_storage *address, int *family)
{
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)address)->sin6_addr;

    *family = AF_INET;
    if (address->ss_family == AF_INET)
        return &((const struct sockaddr_in *)address)->sin_addr;
    /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): the kernel has set it */
    if (IN6_IS_ADDR_V4MAPPED(v6))
        return v6->s6_addr + 12;
    *family = AF_INET6;
    return v6;
}

bool tcp_peer_read(int fd, uint64_t own_port, struct tcp_peer *peer)
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    const void *bytes;
    int family;

    if (getsockname(fd, (struct sockaddr *)&address, &length) || port_of(&address) != own_port)
        return false;
    length = sizeof address;
    if (getpeername(fd, (struct sockaddr *)&address, &length) || !port_of(&address))
        return false;
    *peer = (struct tcp_peer){.port = port_of(&address)};
    bytes = bytes_of(&address, &family);
    memcpy(peer->network, bytes, family == AF_INET ? 4 : TCP_PEER_NETWORK_BYTES);
    return true;
}

bool tcp_peer_is_equal(const struct tcp_peer *a, const struct tcp_peer *b)
{
    return a->port == b->port && memcmp(a->network, b->network, TCP_PEER_NETWORK_BYTES) == 0;
}

void tcp_peer_name(int fd, char name[TCP_PEER_NAME_BYTES])
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    const void *bytes;
    int family;

    snprintf(name, TCP_PEER_NAME_BYTES, "?");
    if (getpeername(fd, (struct sockaddr *)&address, &length))
        return;
    bytes = bytes_of(&address, &family);
    inet_ntop(family, bytes, name, TCP_PEER_NAME_BYTES);
}

uint64_t tcp_peer_bytes_acked(int fd)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof info;

    getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length);
    return info.tcpi_bytes_acked;
}
