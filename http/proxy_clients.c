/* See proxy_clients.h. */
#include "http/proxy_clients.h"

#include "common/address_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

TAILQ_HEAD(proxy_client_list, proxy_client);

struct proxy_clients {
    struct proxy_client_list connected, removed;
    size_t count; /* of `connected` */
    struct address_table *addresses;
    size_t per_address;
};

struct proxy_clients *proxy_clients_create(const struct hash_key *key, size_t expected,
                                           size_t per_address)
{
    struct proxy_clients *clients = calloc(1, sizeof *clients);

    if (!clients)
        return NULL;
    TAILQ_INIT(&clients->connected);
    TAILQ_INIT(&clients->removed);
    clients->per_address = per_address;
    clients->addresses = address_table_create(key, expected);
    if (clients->addresses)
        return clients;
    free(clients);
    errno = ENOMEM;
    return NULL;
}

void proxy_clients_destroy(struct proxy_clients *clients)
{
    if (!clients)
        return;
    proxy_clients_free_removed(clients);
    address_table_destroy(clients->addresses);
    free(clients);
}

struct proxy_client *proxy_clients_add(struct proxy_clients *clients,
                                       const struct sockaddr *address)
{
    struct address *counted = address_table_take(clients->addresses, address, clients->per_address);
    struct proxy_client *client;

    if (!counted)
        return NULL;
    client = malloc(sizeof *client); /* its buffers are not touched before use */
    if (!client) {
        address_table_release(counted);
        errno = ENOMEM;
        return NULL;
    }
    memset(&client->link, 0, sizeof *client - offsetof(struct proxy_client, link));
    client->address = counted;
    network_name_address(address, client->name);
    TAILQ_INSERT_TAIL(&clients->connected, client, link);
    clients->count++;
    return client;
}

void proxy_clients_remove(struct proxy_clients *clients, struct proxy_client *client)
{
    client->removed = true;
    address_table_release(client->address);
    TAILQ_REMOVE(&clients->connected, client, link);
    TAILQ_INSERT_TAIL(&clients->removed, client, link);
    clients->count--;
}

void proxy_clients_free_removed(struct proxy_clients *clients)
{
    struct proxy_client *client;

    while ((client = TAILQ_FIRST(&clients->removed))) {
        TAILQ_REMOVE(&clients->removed, client, link);
        free(client);
    }
}

size_t proxy_clients_count(const struct proxy_clients *clients)
{
    return clients->count;
}

struct proxy_client *proxy_clients_first(const struct proxy_clients *clients)
{
    return TAILQ_FIRST(&clients->connected);
}

struct proxy_client *proxy_clients_next(const struct proxy_client *client)
{
    return TAILQ_NEXT(client, link);
}
