/* Certificates for tests of TLS, made with OpenSSL into files of a directory that goes away. */
#ifndef TALLYD_TESTS_TLS_CERTIFICATES_H
#define TALLYD_TESTS_TLS_CERTIFICATES_H

#include "tests/unit/unit.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define A_DAY (24L * 3600)

struct maker {
    X509 *cert;
    EVP_PKEY *key;
};

struct made {
    char cert[160], key[160]; /* paths */
};

static char certificates_directory[] = "/tmp/tallyd-test-tls-XXXXXX";

static inline const char *certificates_path(const char *name)
{
    static char path[160];

    snprintf(path, sizeof path, "%s/%s", certificates_directory, name);
    return path;
}

static inline void certificates_write(const char *path, X509 *cert, EVP_PKEY *key)
{
    FILE *file = fopen(path, "a");

    assert_non_null(file);
    if (cert)
        assert_true(PEM_write_X509(file, cert));
    if (key)
        assert_true(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL));
    fclose(file);
    chmod(path, key ? 0600 : 0644);
}

static inline void certificates_extend(X509 *cert, int kind, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, kind, value);

    assert_non_null(extension);
    X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
}

/* A certificate signed by `maker`, or by itself if that is NULL; valid from a day ago for
 * `days` days. */
static inline struct maker certificates_make(const char *name, const struct maker *maker,
                                             bool is_ca, long days, EVP_PKEY *key)
{
    static long serial = 1;
    struct maker made = {X509_new(), key};
    X509_NAME *subject = X509_get_subject_name(made.cert);

    X509_set_version(made.cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made.cert), serial++);
    X509_gmtime_adj(X509_getm_notBefore(made.cert), -2 * A_DAY);
    X509_gmtime_adj(X509_getm_notAfter(made.cert), days * A_DAY);
    X509_set_pubkey(made.cert, made.key);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(made.cert, maker ? X509_get_subject_name(maker->cert) : subject);
    certificates_extend(made.cert, NID_basic_constraints, is_ca ? "critical,CA:TRUE" : "CA:FALSE");
    certificates_extend(made.cert, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
    assert_true(X509_sign(made.cert, maker ? maker->key : made.key, EVP_sha256()));
    return made;
}

static inline EVP_PKEY *certificates_key(void)
{
    return EVP_EC_gen("P-256");
}

static inline void certificates_free(struct maker *maker)
{
    X509_free(maker->cert);
    EVP_PKEY_free(maker->key);
}

/* Writes NAME.pem and NAME.key. */
static inline struct made certificates_save(const char *name, const struct maker *maker)
{
    struct made made;

    snprintf(made.cert, sizeof made.cert, "%s/%s.pem", certificates_directory, name);
    snprintf(made.key, sizeof made.key, "%s/%s.key", certificates_directory, name);
    unlink(made.cert);
    unlink(made.key);
    certificates_write(made.cert, maker->cert, NULL);
    certificates_write(made.key, NULL, maker->key);
    return made;
}

static inline int certificates_remove(void)
{
    char command[80];

    snprintf(command, sizeof command, "rm -r %s", certificates_directory);
    return system(command);
}

#endif
