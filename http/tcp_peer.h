/* Who is at the other end of a TCP connection, and how far it has got; asked of the kernel. Any
 * thread. */
#ifndef TALLYD_HTTP_TCP_PEER_H
#define TALLYD_HTTP_TCP_PEER_H

#include <stdbool.h>
#include <stdint.h>

#define TCP_PEER_NETWORK_BYTES 8
#define TCP_PEER_NAME_BYTES    46

struct tcp_peer {
    uint16_t port;
    uint8_t
        network[TCP_PEER_NETWORK_BYTES]; /* an IPv4 address, or the first 64 bits of an IPv6 one */
};

/* True when a descriptor is a connection to our port; `peer` gets who is at its other end. */
bool tcp_peer_read(int fd, uint64_t own_port, struct tcp_peer *peer);

bool tcp_peer_is_equal(const struct tcp_peer *a, const struct tcp_peer *b);

/* The address of a connection's other end, for the log: "?" when it has none. */
void tcp_peer_name(int fd, char name[TCP_PEER_NAME_BYTES]);

/* Bytes that were sent on it, ever, and have arrived. */
uint64_t tcp_peer_bytes_acked(int fd);

#endif
