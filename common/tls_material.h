/*
 * What a TLS server shows and whom it trusts, read from files and judged: the certificate with its
 * chain, its key, the CAs of the clients. Never changed once it is made; holders count.
 */
#ifndef TALLYD_COMMON_TLS_MATERIAL_H
#define TALLYD_COMMON_TLS_MATERIAL_H

#include "common/compiler.h"
#include "common/tls.h"

#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdint.h>

struct tls_material {
    atomic_uint holders;
    X509 *cert;
    STACK_OF(X509) * chain; /* the certificates behind it */
    EVP_PKEY *key;
    X509_STORE *clients;                 /* whom clients' certificates lead to; NULL: none asked */
    STACK_OF(X509_NAME) * clients_names; /* to tell clients; NULL with `clients` */
    uint64_t expiry_s;                   /* of the certificate: seconds since 1970 */
};

/* Reads the files; warns in the log of what is odd and no error, unless `files` is quiet. The
 * caller is its first holder. Returns NULL with `error`. Any thread. */
struct tls_material *tls_material_read(const struct tls_files *files,
                                       char error[ERROR_BYTES]) MUST_CHECK;

/* One holder less; the last one frees it. NULL does nothing. Any thread. */
void tls_material_release(struct tls_material *material);

/* Reads all certificates of a PEM file, at least one. The caller frees them, each with X509_free().
 * Returns NULL with `error`, which calls the file `what`. */
STACK_OF(X509) * tls_material_read_certificates(const char *path, const char *what,
                                                char error[ERROR_BYTES]) MUST_CHECK;

/* Reads the private key of a PEM file. The caller frees it. Returns NULL with `error`. */
EVP_PKEY *tls_material_read_key(const char *path, char error[ERROR_BYTES]) MUST_CHECK;

#endif
