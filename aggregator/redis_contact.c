/* See redis_contact.h. */
#include "aggregator/redis_contact.h"

void redis_contact_answered(struct redis_contact *contact, uint64_t now_ms)
{
    char address[ERROR_BYTES];

    if (contact->backoff_ms || !contact->reached)
        log_info("Redis at %s answers", redis_address(contact->redis, address));
    contact->reached = true;
    contact->answered_ms = now_ms;
    contact->backoff_ms = 0;
    contact->limit = (struct log_limit){0}; /* new trouble is news */
}

uint64_t redis_contact_failed(struct redis_contact *contact, const char *why)
{
    contact->backoff_ms = contact->backoff_ms ? contact->backoff_ms * 2 : REDIS_CONTACT_FIRST_MS;
    if (contact->backoff_ms > REDIS_CONTACT_MOST_MS)
        contact->backoff_ms = REDIS_CONTACT_MOST_MS;
    log_event(LOG_WARN, &(struct log_about){.kind = "redis_trouble", .limit = &contact->limit},
              "Redis: %s; %s", why,
              contact->reached
                  ? "counting goes on, Acks wait, and past the grace time new streams are refused"
                  : "new streams are refused until it can be used");
    return contact->backoff_ms;
}
