/* See proxy_refusals.h. Each reason has a limit of its own for lines of the log. */
#include "http/proxy_refusals.h"

#include "common/error.h"
#include "common/tls.h"

#include <openssl/ssl.h>
#include <stdatomic.h>
#include <string.h>

/* Counts one. Returns what its line is about. */
static struct log_about note(struct proxy_refusals *refusals, enum proxy_refusal reason,
                             const char *name)
{
    static const char *const kinds[] = {"http_tls", "http_crowd", "http_short"};

    atomic_fetch_add_explicit(&refusals->counts[reason], 1, memory_order_relaxed);
    return (struct log_about){
        .kind = kinds[reason], .peer = name, .limit = &refusals->limits[reason]};
}

/* Those who connect and leave without a word, as load balancers do, are not worth a line. */
void proxy_refusals_note_tls(struct proxy_refusals *refusals, const char *name, struct ssl_st *ssl)
{
    struct log_about about;
    char reason[ERROR_BYTES];

    tls_handshake_error(ssl, reason);
    if (BIO_number_read(SSL_get_rbio(ssl)) == 0)
        return;
    about = note(refusals, PROXY_REFUSED_TLS, name);
    log_event(LOG_WARN, &about, "TLS with a client of HTTP failed: %s", reason);
}

void proxy_refusals_note_slow(struct proxy_refusals *refusals, const char *name, const char *when)
{
    const struct log_about about = note(refusals, PROXY_REFUSED_TLS, name);

    log_event(LOG_WARN, &about, "a client of HTTP had not ended its TLS handshake %s", when);
}

void proxy_refusals_note_address(struct proxy_refusals *refusals, const char *name)
{
    const struct log_about about = note(refusals, PROXY_REFUSED_ADDRESS, name);

    log_event(LOG_WARN, &about,
              "HTTP: a connection was closed, since --http-connections-per-address are open");
}

void proxy_refusals_note_short(struct proxy_refusals *refusals, const char *name, int error)
{
    const struct log_about about = note(refusals, PROXY_REFUSED_SHORT, name);

    log_event(LOG_WARN, &about, "HTTP: a client of TLS cannot be served: %s", strerror(-error));
}

uint64_t proxy_refusals_count(const struct proxy_refusals *refusals, enum proxy_refusal reason)
{
    return atomic_load_explicit(&refusals->counts[reason], memory_order_relaxed);
}
