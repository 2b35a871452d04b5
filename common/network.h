/*
 * Who somebody is for the bounds on what one address may have: an IPv4 address, or the first 64
 * bits of an IPv6 one, since that is what one customer is given. An IPv4 address that is written as
 * IPv6 (::ffff:192.0.2.1) is the IPv4 one. Any thread.
 */
#ifndef TALLYD_COMMON_NETWORK_H
#define TALLYD_COMMON_NETWORK_H

#include "common/compiler.h"

#include <stdbool.h>
#include <stdint.h>

#define NETWORK_BYTES      9  /* the family, and up to eight of the address */
#define NETWORK_NAME_BYTES 46 /* INET6_ADDRSTRLEN */

struct sockaddr;

/* All of it is significant, so its bytes may be hashed. */
struct network {
    uint8_t bytes[NETWORK_BYTES];
};

/* The network of an address. Those that are no IP addresses are all in one, of their own. */
struct network network_of(const struct sockaddr *address) MUST_CHECK;

/* Orders networks, as memcmp() does: 0 for equal ones. */
int network_compare(const struct network *a, const struct network *b) MUST_CHECK;

/* Writes an address, whole, for the log: "192.0.2.1", also for ::ffff:192.0.2.1, or
 * "2001:db8::1"; "?" for what is no IP address. */
void network_name_address(const struct sockaddr *address, char name[NETWORK_NAME_BYTES]);

/* The same of the other end of a socket; "?" also when it is not connected any more. */
void network_name_peer(int fd, char name[NETWORK_NAME_BYTES]);

#endif
