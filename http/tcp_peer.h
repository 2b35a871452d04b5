/* Who is at the other end of a TCP connection, and how far it has got; asked of the kernel. Any
 * thread. */
#ifndef TALLYD_HTTP_TCP_PEER_H
#define TALLYD_HTTP_TCP_PEER_H

#include "common/compiler.h"
#include "common/network.h"

#include <stdbool.h>
#include <stdint.h>

struct tcp_peer {
    uint16_t port;
    struct network network;
};

/* True when a descriptor is a connection to our port; `peer` gets who is at its other end. */
bool tcp_peer_read(int fd, uint64_t own_port, struct tcp_peer *peer);

/* Calls `found` for each descriptor of this process that is a connection to our port, which others
 * may close at any time. Returns 0 or a negative errno: nothing could be looked at. */
int tcp_peer_each(uint64_t own_port,
                  void (*found)(void *context, int fd, const struct tcp_peer *peer),
                  void *context) MUST_CHECK;

bool tcp_peer_is_equal(const struct tcp_peer *a, const struct tcp_peer *b);

enum tcp_peer_end {
    TCP_PEER_OPEN,
    TCP_PEER_ENDED, /* it sends no more: it has closed, or waits for what it asked for */
    TCP_PEER_SHUT,  /* we have shut it, both ways */
};

/* Whether a connection is at its end. */
enum tcp_peer_end tcp_peer_end(int fd);

/* Bytes that were sent on it, ever, and have arrived. */
uint64_t tcp_peer_bytes_acked(int fd);

#endif
