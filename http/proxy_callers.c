/*
 * See proxy_callers.h. The proxy's thread alone writes. civetweb asks when it has read a request,
 * whose first byte went out after its port's entry was made: the kernel, which carried it, keeps
 * the order. Names are for the log and have a lock, since they are more than one store.
 */
#include "http/proxy_callers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define PORTS 65536

struct proxy_callers {
    _Atomic uint8_t callers[PORTS];        /* enum proxy_caller */
    pthread_mutex_t lock;                  /* of the names; nothing is taken under it */
    char names[PORTS][NETWORK_NAME_BYTES]; /* where there is a caller */
};

struct proxy_callers *proxy_callers_create(void)
{
    struct proxy_callers *callers = calloc(1, sizeof *callers);

    if (callers)
        pthread_mutex_init(&callers->lock, NULL);
    return callers;
}

void proxy_callers_destroy(struct proxy_callers *callers)
{
    if (!callers)
        return;
    pthread_mutex_destroy(&callers->lock);
    free(callers);
}

void proxy_callers_set(struct proxy_callers *callers, uint16_t port, enum proxy_caller caller,
                       const char name[NETWORK_NAME_BYTES])
{
    pthread_mutex_lock(&callers->lock);
    memcpy(callers->names[port], name, NETWORK_NAME_BYTES);
    pthread_mutex_unlock(&callers->lock);
    atomic_store(&callers->callers[port], (uint8_t)caller);
}

void proxy_callers_clear(struct proxy_callers *callers, uint16_t port)
{
    atomic_store(&callers->callers[port], (uint8_t)PROXY_CALLER_NONE);
}

enum proxy_caller proxy_callers_get(const struct proxy_callers *callers, int port)
{
    return port > 0 && port < PORTS ? atomic_load(&callers->callers[port]) : PROXY_CALLER_NONE;
}

bool proxy_callers_name(struct proxy_callers *callers, int port, char name[NETWORK_NAME_BYTES])
{
    if (proxy_callers_get(callers, port) == PROXY_CALLER_NONE)
        return false;
    pthread_mutex_lock(&callers->lock);
    memcpy(name, callers->names[port], NETWORK_NAME_BYTES);
    pthread_mutex_unlock(&callers->lock);
    return true;
}
