/*
 * A hash table with chains, of which main alone reads and writes all but the counts.
 *
 * A count is raised by main and lowered by anybody. Lowering is the last that a closing thread does
 * with an entry (release), and main frees an entry only when it reads 0 (acquire), which nobody but
 * main could raise again: so an entry is never freed under anybody's hands. Nobody tells main of a
 * close, and nobody has to: it drops the entries that are at 0 as it comes by, and each look-up
 * comes by one chain more than it needs, so that the dead do not pile up where nobody looks.
 */
#include "common/address_table.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define KEY_BYTES 9 /* the kind, and up to eight of the address */

struct address {
    struct address *next;
    uint8_t key[KEY_BYTES];
    _Atomic uint64_t count;
};

struct address_table {
    struct hash_key hash_key;
    size_t mask, sweep;
    struct address *chains[];
};

enum { KIND_OTHER, KIND_IPV4, KIND_IPV6 };

struct address_table *address_table_create(const struct hash_key *key, size_t expected)
{
    struct address_table *table;
    size_t chains = 64;

    while (chains < expected)
        chains *= 2;
    table = calloc(1, sizeof *table + chains * sizeof table->chains[0]);
    if (!table) {
        errno = ENOMEM;
        return NULL;
    }
    table->hash_key = *key;
    table->mask = chains - 1;
    return table;
}

void address_table_destroy(struct address_table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i <= table->mask; i++) {
        while (table->chains[i]) {
            struct address *next = table->chains[i]->next;

            free(table->chains[i]);
            table->chains[i] = next;
        }
    }
    free(table);
}

static void make_key(const struct sockaddr *peer, uint8_t key[KEY_BYTES])
{
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)peer;
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)peer;

    memset(key, 0, KEY_BYTES);
    if (peer->sa_family == AF_INET) {
        key[0] = KIND_IPV4;
        memcpy(key + 1, &v4->sin_addr, 4);
    } else if (peer->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        key[0] = KIND_IPV4;
        memcpy(key + 1, v6->sin6_addr.s6_addr + 12, 4);
    } else if (peer->sa_family == AF_INET6) {
        key[0] = KIND_IPV6;
        memcpy(key + 1, v6->sin6_addr.s6_addr, 8);
    }
}

/* Frees what is at 0 in a chain, and returns the entry of that key, at whatever it is, or NULL. */
static struct address *walk(struct address **link, const uint8_t key[KEY_BYTES])
{
    struct address *found = NULL, *entry;

    while ((entry = *link)) {
        if (memcmp(entry->key, key, KEY_BYTES) == 0) {
            found = entry;
        } else if (atomic_load_explicit(&entry->count, memory_order_acquire) == 0) {
            *link = entry->next;
            free(entry);
            continue;
        }
        link = &entry->next;
    }
    return found;
}

struct address *address_table_take(struct address_table *table, const struct sockaddr *peer,
                                   uint64_t limit)
{
    static const uint8_t nobody[KEY_BYTES] = {UINT8_MAX};
    struct address *address, **chain;
    uint8_t key[KEY_BYTES];

    make_key(peer, key);
    chain = &table->chains[hash_bytes(&table->hash_key, key, KEY_BYTES) & table->mask];
    walk(&table->chains[table->sweep++ & table->mask], nobody); /* before the entry is held */
    address = walk(chain, key);
    if (!address) {
        address = calloc(1, sizeof *address);
        if (!address) {
            errno = ENOMEM;
            return NULL;
        }
        memcpy(address->key, key, KEY_BYTES);
        address->next = *chain;
        *chain = address;
    }
    if (atomic_load_explicit(&address->count, memory_order_relaxed) >= limit) {
        errno = EUSERS;
        return NULL;
    }
    atomic_fetch_add_explicit(&address->count, 1, memory_order_relaxed);
    return address;
}

void address_table_release(struct address *address)
{
    if (address)
        atomic_fetch_sub_explicit(&address->count, 1, memory_order_release);
}
