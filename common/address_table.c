/*
 * A hash table with chains, of which one thread, its owner, alone reads and writes all but the
 * counts.
 *
 * A count is raised by the owner and lowered by anybody. Lowering is the last that a closing thread
 * does with an entry (release), and the owner frees an entry only when it reads 0 (acquire), which
 * nobody else could raise again: so an entry is never freed under anybody's hands. Nobody tells the
 * owner of a close, and nobody has to: it drops the entries that are at 0 as it comes by, and each
 * look-up comes by one chain more than it needs, so that the dead do not pile up where nobody
 * looks.
 */
#include "common/address_table.h"

#include "common/network.h"
#include "common/thread.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

struct address {
    struct address *next;
    struct network network;
    _Atomic uint64_t count;
};

struct address_table {
    struct hash_key hash_key;
    size_t mask, sweep;
    struct address *chains[];
};

struct address_table *address_table_create(const struct hash_key *key, size_t expected)
{
    struct address_table *table;
    size_t chains = 64;

    thread_assert_role(THREAD_MAIN);
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
    thread_assert_role(THREAD_MAIN);
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

/* Frees what is at 0 in a chain, and returns the entry of that network, at whatever it is, or NULL.
 * A network of NULL is nobody's. */
static struct address *walk(struct address **link, const struct network *network)
{
    struct address *found = NULL, *entry;

    while ((entry = *link)) {
        if (network && network_compare(&entry->network, network) == 0) {
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
    struct network network = network_of(peer);
    uint64_t hash = hash_bytes(&table->hash_key, network.bytes, sizeof network.bytes);
    struct address *address, **chain = &table->chains[hash & table->mask];

    walk(&table->chains[table->sweep++ & table->mask], NULL); /* before the entry is held */
    address = walk(chain, &network);
    if (!address) {
        address = calloc(1, sizeof *address);
        if (!address) {
            errno = ENOMEM;
            return NULL;
        }
        address->network = network;
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
