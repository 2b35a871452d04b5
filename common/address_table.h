/*
 * How many connections each peer address has, or each network of such (common/network.h).
 *
 * A table is one thread's: main's for gRPC, the TLS proxy's for HTTP. A count of it travels with
 * the connection: its thread takes it, and whoever closes the connection gives it back, on any
 * thread.
 */
#ifndef TALLYD_COMMON_ADDRESS_TABLE_H
#define TALLYD_COMMON_ADDRESS_TABLE_H

#include "common/compiler.h"
#include "common/hash.h"

#include <stddef.h>
#include <stdint.h>

struct address;
struct address_table;
struct sockaddr;

/* `key` is random, so that nobody can choose addresses that meet in one chain; `expected` is about
 * how many addresses there will be. Returns NULL with errno ENOMEM. Called by: main. */
struct address_table *address_table_create(const struct hash_key *key, size_t expected) MUST_CHECK;

/* All that was taken must have been given back. NULL does nothing. Called by: main. */
void address_table_destroy(struct address_table *table);

/* Takes one for a connection from `peer`, unless its address has `limit` already. Returns what
 * address_table_release() gives back, or NULL with errno: EUSERS for too many, ENOMEM. Called by:
 * the table's thread. */
struct address *address_table_take(struct address_table *table, const struct sockaddr *peer,
                                   uint64_t limit) MUST_CHECK;

/* Gives it back; NULL does nothing. Any thread. */
void address_table_release(struct address *address);

#endif
