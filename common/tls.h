/*
 * TLS with OpenSSL: contexts whose certificate can be replaced while they serve.
 *
 * The context itself never changes; each handshake takes the certificate and the key (and the
 * clients' CA) that are in force at that moment, so a reload needs no new listener and disturbs no
 * connection. TLS 1.2 and 1.3; in 1.2 only AEAD ciphers with forward secrecy; no renegotiation, no
 * compression, no resumption.
 *
 * tls_connect_context() is the other side, for clients of ours: tally-send, the health check.
 */
#ifndef TALLYD_COMMON_TLS_H
#define TALLYD_COMMON_TLS_H

#include "common/compiler.h"
#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

struct ssl_ctx_st; /* OpenSSL's SSL_CTX */
struct ssl_st;     /* its SSL */
struct tls;
struct tls_material;

/* Files in PEM; borrowed during the call. */
struct tls_files {
    const char *cert;      /* the chain, the server's own certificate first */
    const char *key;       /* its private key, without a passphrase */
    const char *client_ca; /* who signs the clients' certificates; NULL: none is asked for */
    bool quiet;            /* what is odd is not logged: the files are read often */
};

/* Reads the files. Returns NULL with one line in `error` that names the file. A certificate that
 * has expired, and a key that everybody may read, are no errors: the log has a warning. Called by:
 * main. */
struct tls *tls_create(const struct tls_files *files, char error[ERROR_BYTES]) MUST_CHECK;

/* Its contexts live on while connections use them, but no handshake may begin any more. NULL does
 * nothing. Called by: main. */
void tls_destroy(struct tls *tls);

/* Reads files again, and changes nothing yet. Returns what tls_replace() or tls_discard() takes, or
 * NULL with `error`. A certificate that has expired is refused here unless the one in force has
 * expired by now, too. Called by: main. */
struct tls_material *tls_prepare(struct tls *tls, const struct tls_files *files,
                                 char error[ERROR_BYTES]) MUST_CHECK;

/* Puts it in force, for handshakes that begin later; cannot fail. Called by: main; while other
 * threads shake hands. */
void tls_replace(struct tls *tls, struct tls_material *material);

/* Drops it. NULL does nothing. Called by: main. */
void tls_discard(struct tls_material *material);

/* When the certificate in force expires: seconds since 1970. Any thread. */
uint64_t tls_expiry_s(struct tls *tls);

/* True when a client CA is in force. Any thread. */
bool tls_asks_clients(struct tls *tls);

/* A context for a server of one protocol, by its ALPN name ("h2"), a literal: a client that offers
 * ALPN without it is refused; one that offers none is too when `alpn_required` is set. When there
 * is a client CA, a client must show a certificate that it signed if `certificate_required` is set;
 * if not, it may show one, and a wrong one is refused. Owned by `tls`. Returns NULL when memory is
 * short. Called by: main. */
struct ssl_ctx_st *tls_context(struct tls *tls, const char *alpn, bool alpn_required,
                               bool certificate_required) MUST_CHECK;

/* For tls_connect_context(): trust whom the system trusts. */
#define TLS_SYSTEM_CA ""

/* A context for clients: trusts `ca` (NULL: nobody is verified), and shows a certificate if `cert`
 * and `key` are not NULL. The caller frees it with SSL_CTX_free(). Returns NULL with `error`.
 * Any thread. */
struct ssl_ctx_st *tls_connect_context(const char *ca, const char *cert, const char *key,
                                       const char *alpn, char error[ERROR_BYTES]) MUST_CHECK;

/* Warns in the log of what is odd about such a certificate and key and no error, which the function
 * above, that may be called for each connection, does not. NULL: does nothing. */
void tls_warn_of(const char *cert, const char *key);

/* Makes a client's connection ask for the server of this name (a DNS name or an IP address) and
 * take no other, if its context verifies at all. Returns 0 or -ENOMEM. */
int tls_expect_name(struct ssl_st *ssl, const char *name) MUST_CHECK;

/* True when the peer has shown a certificate, and it was verified. After the handshake. */
bool tls_peer_verified(const struct ssl_st *ssl);

/* Why a handshake failed, in one line: what is wrong with the peer's certificate, or what OpenSSL
 * says. Right after the call that failed. Forgets OpenSSL's errors. Returns `out`. */
const char *tls_handshake_error(const struct ssl_st *ssl, char out[ERROR_BYTES]);

/* What OpenSSL says went wrong in this thread, in one line: the first thing since its errors were
 * forgotten, which is the cause of the others. Forgets them. Returns `out`. */
const char *tls_last_error(char out[ERROR_BYTES]);

#endif
