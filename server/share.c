/* See share.h. */
#include "server/share.h"

static const size_t most[SHARE_KINDS] = {
    [SHARE_CALLS] = 2 * 65536,         /* at about 1 KB each, and as much for an answer */
    [SHARE_OPEN_CALLS] = 65536,        /* the others are errors that wait to be sent */
    [SHARE_INFLATING] = 1024,          /* at up to 40 KB each */
    [SHARE_SERVICE_BYTES] = 16u << 20, /* 256 calls whose responses wait, or 4,096 requests */
};

bool share_take(struct share *all, struct share *own, enum share_kind kind, size_t amount)
{
    if (own->held[kind] + amount > most[kind] - all->held[kind])
        return false;
    own->held[kind] += amount;
    all->held[kind] += amount;
    return true;
}

void share_give(struct share *all, struct share *own, enum share_kind kind, size_t amount)
{
    own->held[kind] -= amount;
    all->held[kind] -= amount;
}
