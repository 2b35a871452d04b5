/* See guests.h. */
#include "http/guests.h"

#include "common/address_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

TAILQ_HEAD(guest_list, guest);

struct guests {
    struct guest_list here, gone;
    size_t count; /* of `here` */
    struct address_table *addresses;
    size_t per_address;
};

struct guests *guests_create(const struct hash_key *key, size_t expected, size_t per_address)
{
    struct guests *guests = calloc(1, sizeof *guests);

    if (!guests)
        return NULL;
    TAILQ_INIT(&guests->here);
    TAILQ_INIT(&guests->gone);
    guests->per_address = per_address;
    guests->addresses = address_table_create(key, expected);
    if (guests->addresses)
        return guests;
    free(guests);
    errno = ENOMEM;
    return NULL;
}

void guests_destroy(struct guests *guests)
{
    if (!guests)
        return;
    guests_free_gone(guests);
    address_table_destroy(guests->addresses);
    free(guests);
}

struct guest *guests_admit(struct guests *guests, const struct sockaddr *address)
{
    struct address *counted = address_table_take(guests->addresses, address, guests->per_address);
    struct guest *guest;

    if (!counted)
        return NULL;
    guest = malloc(sizeof *guest); /* its buffers are not touched before use */
    if (!guest) {
        address_table_release(counted);
        errno = ENOMEM;
        return NULL;
    }
    memset(&guest->link, 0, sizeof *guest - offsetof(struct guest, link));
    guest->address = counted;
    network_name_address(address, guest->name);
    TAILQ_INSERT_TAIL(&guests->here, guest, link);
    guests->count++;
    return guest;
}

void guests_dismiss(struct guests *guests, struct guest *guest)
{
    guest->gone = true;
    address_table_release(guest->address);
    TAILQ_REMOVE(&guests->here, guest, link);
    TAILQ_INSERT_TAIL(&guests->gone, guest, link);
    guests->count--;
}

void guests_free_gone(struct guests *guests)
{
    struct guest *guest;

    while ((guest = TAILQ_FIRST(&guests->gone))) {
        TAILQ_REMOVE(&guests->gone, guest, link);
        free(guest);
    }
}

size_t guests_count(const struct guests *guests)
{
    return guests->count;
}

struct guest *guests_first(const struct guests *guests)
{
    return TAILQ_FIRST(&guests->here);
}

struct guest *guests_next(const struct guest *guest)
{
    return TAILQ_NEXT(guest, link);
}
