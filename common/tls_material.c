/*
 * Reading the PEM files of a TLS server, and what is wrong with them.
 *
 * OpenSSL would tell of most faults at the first handshake only; here they are found when the files
 * are read, by using them on a context that is thrown away. Two things are odd but no faults: a
 * certificate whose time is over, since there are devices without a clock, and a key that everybody
 * may read, since a container may know nobody else.
 */
#include "common/tls_material.h"

#include "common/log.h"
#include "common/regular_file.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define SUBJECT_BYTES 128

/* Opens a file for OpenSSL. */
static BIO *open_file(const char *path, const char *what, char error[ERROR_BYTES])
{
    FILE *file = regular_file_open(path);
    int reason = file ? ENOMEM : errno;
    BIO *bio = file ? BIO_new_fp(file, BIO_CLOSE) : NULL;

    if (bio)
        return bio; /* cppcheck-suppress resourceLeak ; it closes the file */
    if (file)
        fclose(file);
    snprintf(error, ERROR_BYTES, "%s %.200s cannot be read: %s", what, path,
             regular_file_strerror(reason));
    return NULL;
}

/* True when the last thing that OpenSSL found was the end of the file, not a fault in it. */
static bool at_end(void)
{
    unsigned long last = ERR_peek_last_error();

    return ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
}

static void free_certificates(STACK_OF(X509) * certificates)
{
    sk_X509_pop_free(certificates, X509_free);
}

STACK_OF(X509) *
    tls_material_read_certificates(const char *path, const char *what, char error[ERROR_BYTES])
{
    STACK_OF(X509) *certificates = NULL;
    char reason[ERROR_BYTES];
    BIO *bio = open_file(path, what, error);
    X509 *certificate;
    bool ended;

    if (!bio)
        return NULL;
    ERR_clear_error();
    certificates = sk_X509_new_null();
    while (certificates && (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        if (!sk_X509_push(certificates, certificate)) {
            X509_free(certificate);
            break;
        }
    }
    ended = at_end();
    BIO_free(bio);
    if (certificates && ended && sk_X509_num(certificates) > 0) {
        ERR_clear_error();
        return certificates;
    }
    snprintf(error, ERROR_BYTES, "%s %.200s: %.200s", what, path,
             ended ? "there is no certificate (PEM) in it" : tls_last_error(reason));
    ERR_clear_error();
    free_certificates(certificates);
    return NULL;
}

/* OpenSSL would ask at the terminal. */
/* NOLINTNEXTLINE(readability-non-const-parameter): OpenSSL's type */
static int no_passphrase(char *buffer, int size, int writing, void *context)
{
    (void)buffer;
    (void)size;
    (void)writing;
    *(bool *)context = true;
    return -1;
}

EVP_PKEY *tls_material_read_key(const char *path, char error[ERROR_BYTES])
{
    BIO *bio = open_file(path, "private key", error);
    bool encrypted = false;
    EVP_PKEY *key;

    if (!bio)
        return NULL;
    ERR_clear_error();
    key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &encrypted);
    BIO_free(bio);
    if (!key && encrypted)
        snprintf(error, ERROR_BYTES, "private key %.200s: it has a passphrase, and must not", path);
    else if (!key)
        snprintf(error, ERROR_BYTES, "private key %.200s: there is none (PEM) in it", path);
    ERR_clear_error();
    return key;
}

/* When its time is over: seconds since 1970, 0 for what is before that. */
static uint64_t expiry_s(const X509 *certificate)
{
    struct tm utc;
    time_t seconds;

    if (!ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &utc))
        return 0;
    seconds = timegm(&utc);
    return seconds > 0 ? (uint64_t)seconds : 0;
}

static void warn_of_readers(const char *path)
{
    struct stat status;

    if (stat(path, &status) == 0 && (status.st_mode & S_IROTH))
        log_warn("TLS: everybody on this machine may read the private key %s; chmod 600 it", path);
}

/* Tells of a certificate that is not valid now. */
static void warn_of_dates(X509 *certificate, const char *path)
{
    bool early = X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0;
    bool late = X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0;
    char subject[SUBJECT_BYTES] = "";

    if (early || late) {
        X509_NAME_oneline(X509_get_subject_name(certificate), subject, sizeof subject);
        log_warn("TLS: a certificate of %s (%s) %s", path, subject,
                 late ? "has expired" : "is not valid yet");
    }
}

/* Uses certificate and key as a server does, since security levels and the like are judged there:
 * an RSA key of 1024 bits is read well, and refused here. */
static int try_pair(const struct tls_material *material, const struct tls_files *files,
                    char error[ERROR_BYTES])
{
    char reason[ERROR_BYTES];
    SSL_CTX *scratch;
    int used;

    if (X509_check_private_key(material->cert, material->key) != 1) {
        ERR_clear_error();
        snprintf(error, ERROR_BYTES,
                 "private key %.200s is not the one of the first certificate in %.200s", files->key,
                 files->cert);
        return -EINVAL;
    }
    scratch = SSL_CTX_new(TLS_server_method());
    used = scratch && SSL_CTX_use_cert_and_key(scratch, material->cert, material->key,
                                               material->chain, 1) == 1;
    SSL_CTX_free(scratch);
    if (used)
        return 0;
    snprintf(error, ERROR_BYTES, "certificate %.200s: %.200s", files->cert, tls_last_error(reason));
    return -EINVAL;
}

/* Trusts the certificates of a file as they are: an issuing CA does without its root there. */
static int read_client_ca(struct tls_material *material, const char *path, bool warns,
                          char error[ERROR_BYTES])
{
    STACK_OF(X509) *certificates = tls_material_read_certificates(path, "client CA", error);
    bool complete;

    if (!certificates)
        return -EINVAL;
    material->clients = X509_STORE_new();
    material->clients_names = sk_X509_NAME_new_null();
    complete = material->clients && material->clients_names &&
               X509_STORE_set_flags(material->clients, X509_V_FLAG_PARTIAL_CHAIN);
    for (int i = 0; complete && i < sk_X509_num(certificates); i++) {
        X509 *certificate = sk_X509_value(certificates, i);
        X509_NAME *name = X509_NAME_dup(X509_get_subject_name(certificate));

        if (warns)
            warn_of_dates(certificate, path);
        complete = name && sk_X509_NAME_push(material->clients_names, name);
        if (!complete)
            X509_NAME_free(name);
        complete = complete && X509_STORE_add_cert(material->clients, certificate);
    }
    free_certificates(certificates);
    if (!complete)
        snprintf(error, ERROR_BYTES, "client CA %.200s: out of memory", path);
    return complete ? 0 : -EINVAL;
}

struct tls_material *tls_material_read(const struct tls_files *files, char error[ERROR_BYTES])
{
    struct tls_material *material = calloc(1, sizeof *material);

    if (!material) {
        snprintf(error, ERROR_BYTES, "TLS: out of memory");
        return NULL;
    }
    atomic_init(&material->holders, 1);
    material->chain = tls_material_read_certificates(files->cert, "certificate", error);
    if (!material->chain)
        goto err;
    material->cert = sk_X509_shift(material->chain);
    material->key = tls_material_read_key(files->key, error);
    if (!material->key || try_pair(material, files, error))
        goto err;
    material->expiry_s = expiry_s(material->cert);
    if (!files->quiet) {
        warn_of_readers(files->key);
        warn_of_dates(material->cert, files->cert);
    }
    if (files->client_ca && read_client_ca(material, files->client_ca, !files->quiet, error))
        goto err;
    return material;

err:
    tls_material_release(material);
    return NULL;
}

void tls_material_release(struct tls_material *material)
{
    /* Who lets go last sees all that the others did with it. */
    if (!material || atomic_fetch_sub_explicit(&material->holders, 1, memory_order_acq_rel) != 1)
        return;
    X509_free(material->cert);
    free_certificates(material->chain);
    EVP_PKEY_free(material->key);
    X509_STORE_free(material->clients);
    sk_X509_NAME_pop_free(material->clients_names, X509_NAME_free);
    free(material);
}
