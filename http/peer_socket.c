/*
 * The socket is the one of this process that leads from the server's port to the client's address
 * and port. Two may, when a client reaches two addresses of the server's from one port; then
 * neither is given. It cannot be closed meanwhile, since the thread that asks is the one that
 * serves the connection. The search costs two system calls a descriptor, so it is for answers that
 * go on for long.
 */
#include "http/peer_socket.h"

#include <civetweb.h>
#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define ADDRESS_BYTES 64

struct end {
    char address[ADDRESS_BYTES];
    int port;
};

/* Finds out one end of a socket, by getpeername() or getsockname(). */
static bool find_end(int fd, int name(int, struct sockaddr *, socklen_t *), struct end *end)
{
    struct sockaddr_storage storage;
    struct sockaddr *address = (struct sockaddr *)&storage;
    socklen_t length = sizeof storage;
    char port[8];

    if (name(fd, address, &length) ||
        (address->sa_family != AF_INET && address->sa_family != AF_INET6) ||
        getnameinfo(address, length, end->address, sizeof end->address, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV))
        return false;
    end->port = (int)strtol(port, NULL, 10);
    return true;
}

static bool serves(int fd, const struct mg_request_info *info)
{
    struct end peer, local;

    return find_end(fd, getpeername, &peer) && peer.port == info->remote_port &&
           !strcmp(peer.address, info->remote_addr) && find_end(fd, getsockname, &local) &&
           local.port == info->server_port;
}

int peer_socket_find(struct mg_connection *connection)
{
    const struct mg_request_info *info = mg_get_request_info(connection);
    DIR *descriptors = opendir("/proc/self/fd");
    const struct dirent *entry;
    int found = -ENOENT;

    if (!descriptors)
        return -errno;
    while ((entry = readdir(descriptors))) {
        int fd =
            (int)strtol(entry->d_name, NULL, 10); /* of "." and "..": 0, which is no such socket */

        if (serves(fd, info))
            found = found == -ENOENT ? fd : -ENOTUNIQ;
    }
    closedir(descriptors);
    return found;
}

void peer_socket_bound_unsent(int socket, int bytes)
{
    setsockopt(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
}

void peer_socket_shut(int socket)
{
    shutdown(socket, SHUT_RDWR);
}
