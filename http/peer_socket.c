/*
 * The socket is the one of this process that leads from the server's port to the client's address
 * and port. Two may, when a client reaches two addresses of the server's from one port; then
 * neither is given. It cannot be closed meanwhile, since the thread that asks is the one that
 * serves the connection. The search costs two system calls a descriptor, so it is for answers that
 * go on for long.
 */
#include "http/peer_socket.h"

#include "common/network.h"
#include "http/tcp_peer.h"

#include <civetweb.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

struct search {
    uint16_t port; /* the client's, with its address, whole */
    char name[NETWORK_NAME_BYTES];
    int found;
};

static void look_at(void *context, int fd, const struct tcp_peer *peer)
{
    struct search *search = context;
    char name[NETWORK_NAME_BYTES];

    if (peer->port != search->port)
        return;
    network_name_peer(fd, name);
    if (!strcmp(name, search->name))
        search->found = search->found == -ENOENT ? fd : -ENOTUNIQ;
}

int peer_socket_find(struct mg_connection *connection)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
    const struct mg_request_info *info = mg_get_request_info(connection);
    struct search search = {.port = (uint16_t)info->remote_port, .found = -ENOENT};
    struct addrinfo *address;
    int result;

    if (getaddrinfo(info->remote_addr, NULL, &hints, &address))
        return -ENOENT;
    network_name_address(address->ai_addr, search.name); /* as look_at() has it */
    freeaddrinfo(address);
    result = tcp_peer_each((uint64_t)info->server_port, look_at, &search);
    return result ? result : search.found;
}

void peer_socket_bound_unsent(int socket, int bytes)
{
    setsockopt(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
}

void peer_socket_shut(int socket)
{
    shutdown(socket, SHUT_RDWR);
}
