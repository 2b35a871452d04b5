/* The balance is published a few hundred times a second at most, so a mutex serves it well. */
#include "common/balance.h"

void balance_init(struct balance *balance)
{
    balance->values = (struct balance_values){0};
    pthread_mutex_init(&balance->lock, NULL);
}

void balance_fini(struct balance *balance)
{
    pthread_mutex_destroy(&balance->lock);
}

void balance_publish(struct balance *balance, const struct balance_values *values)
{
    pthread_mutex_lock(&balance->lock);
    balance->values = *values;
    pthread_mutex_unlock(&balance->lock);
}

struct balance_values balance_read(struct balance *balance)
{
    struct balance_values values;

    pthread_mutex_lock(&balance->lock);
    values = balance->values;
    pthread_mutex_unlock(&balance->lock);
    return values;
}

uint64_t balance_rejected_total(const struct balance_rejected *rejected)
{
#define ADD(name, help) +rejected->name
    return 0 BALANCE_REJECTED(ADD);
#undef ADD
}
