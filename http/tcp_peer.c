/* See tcp_peer.h. */
#include "http/tcp_peer.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <linux/tcp.h> /* the libc's tcp_info is shorter */
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

static uint16_t port_of(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)address)->sin_port);
    if (address->ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)address)->sin6_port);
    return 0;
}

bool tcp_peer_read(int fd, uint64_t own_port, struct tcp_peer *peer)
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;

    if (getsockname(fd, (struct sockaddr *)&address, &length) || port_of(&address) != own_port)
        return false;
    length = sizeof address;
    if (getpeername(fd, (struct sockaddr *)&address, &length) || !port_of(&address))
        return false;
    peer->port = port_of(&address);
    peer->network = network_of((const struct sockaddr *)&address);
    return true;
}

int tcp_peer_each(uint64_t own_port,
                  void (*found)(void *context, int fd, const struct tcp_peer *peer), void *context)
{
    DIR *descriptors = opendir("/proc/self/fd");
    const struct dirent *entry;

    if (!descriptors)
        return -errno;
    while ((entry = readdir(descriptors))) {
        int fd = (int)strtol(entry->d_name, NULL, 10); /* of ".": 0, which is no such socket */
        struct tcp_peer peer;

        if (tcp_peer_read(fd, own_port, &peer))
            found(context, fd, &peer);
    }
    closedir(descriptors);
    return 0;
}

bool tcp_peer_is_equal(const struct tcp_peer *a, const struct tcp_peer *b)
{
    return a->port == b->port && network_compare(&a->network, &b->network) == 0;
}

enum tcp_peer_end tcp_peer_end(int fd)
{
    struct pollfd found = {.fd = fd, .events = POLLRDHUP};

    poll(&found, 1, 0);
    if (found.revents & POLLHUP)
        return TCP_PEER_SHUT;
    return found.revents & POLLRDHUP ? TCP_PEER_ENDED : TCP_PEER_OPEN;
}

uint64_t tcp_peer_bytes_acked(int fd)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof info;

    getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length);
    return info.tcpi_bytes_acked;
}
