/*
 * The server's side of TLS, and what both sides share.
 *
 * Threads. A handshake takes what is in force at its first message, in the ClientHello callback:
 * under `lock` it becomes a holder of the material, then it puts certificate, key and client CA
 * into its own connection (OpenSSL counts who holds those), and lets go. A reload reads the files
 * first, without the lock, and swaps one pointer under it. So a handshake has the old material or
 * the new, never a mixture; and the material is freed by whoever lets go last. OpenSSL's contexts
 * are shared by all threads and written by none after tls_context() returned; its X509_STORE locks
 * what it changes.
 *
 * No resumption, neither by tickets nor by a cache, so that nobody comes back past a reload: what
 * a ticket vouches for was checked against the client CA of its time, or against none. It would
 * save a signature for each connection, and connections here last long; ARCHITECTURE.md has the
 * figure.
 */
#include "common/tls.h"

#include "common/clock.h"
#include "common/thread.h"
#include "common/tls_material.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

/* A client's certificates may take this much; OpenSSL would take 100 KiB before it verifies any. */
#define MAX_CLIENT_CHAIN_BYTES (32 * 1024)

/* Of TLS 1.2; those of 1.3 are all as good. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

struct context {
    struct tls *tls;
    SSL_CTX *ssl;
    const char *alpn;
    bool alpn_required, certificate_required;
    SLIST_ENTRY(context) link;
};

struct tls {
    pthread_mutex_t lock; /* of `material`, the pointer */
    struct tls_material *material;
    SLIST_HEAD(, context) contexts; /* main's */
};

static struct tls_material *take_material(struct tls *tls)
{
    struct tls_material *material;

    pthread_mutex_lock(&tls->lock);
    material = tls->material;
    atomic_fetch_add_explicit(&material->holders, 1, memory_order_relaxed);
    pthread_mutex_unlock(&tls->lock);
    return material;
}

/* Sets what this handshake shows and demands. */
static bool use_material(SSL *ssl, const struct tls_material *material,
                         const struct context *context)
{
    STACK_OF(X509_NAME) * names;
    int mode = SSL_VERIFY_PEER;

    if (SSL_use_cert_and_key(ssl, material->cert, material->key, material->chain, 1) != 1)
        return false;
    if (!material->clients)
        return true;
    if (SSL_set1_verify_cert_store(ssl, material->clients) != 1 ||
        !(names = SSL_dup_CA_list(material->clients_names)))
        return false;
    SSL_set_client_CA_list(ssl, names); /* which takes them */
    if (context->certificate_required)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_set_verify(ssl, mode, NULL);
    return true;
}

static int on_client_hello(SSL *ssl, int *alert, void *argument)
{
    const struct context *context = argument;
    struct tls_material *material;
    const unsigned char *extension;
    size_t length;
    bool used;

    if (context->alpn_required &&
        !SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation,
                                   &extension, &length)) {
        *alert = SSL_AD_NO_APPLICATION_PROTOCOL;
        ERR_raise_data(ERR_LIB_USER, ERR_R_PASSED_INVALID_ARGUMENT,
                       "the client offers no protocol by ALPN");
        return SSL_CLIENT_HELLO_ERROR;
    }
    material = take_material(context->tls);
    used = use_material(ssl, material, context);
    tls_material_release(material);
    if (used)
        return SSL_CLIENT_HELLO_SUCCESS;
    *alert = SSL_AD_INTERNAL_ERROR;
    return SSL_CLIENT_HELLO_ERROR;
}

/* `in` is a list of names, each behind a byte of its length. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_length,
                   const unsigned char *in, unsigned in_length, void *argument)
{
    const struct context *context = argument;
    size_t wanted = strlen(context->alpn);

    (void)ssl;
    for (unsigned i = 0; i < in_length && in[i] < in_length - i; i += in[i] + 1U) {
        if (in[i] == wanted && !memcmp(in + i + 1, context->alpn, wanted)) {
            *out = in + i + 1;
            *out_length = in[i];
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

struct tls *tls_create(const struct tls_files *files, char error[ERROR_BYTES])
{
    struct tls *tls = calloc(1, sizeof *tls);

    thread_assert_role(THREAD_MAIN);
    if (!tls) {
        snprintf(error, ERROR_BYTES, "TLS: out of memory");
        return NULL;
    }
    tls->material = tls_material_read(files, error);
    if (!tls->material) {
        free(tls);
        return NULL;
    }
    pthread_mutex_init(&tls->lock, NULL);
    SLIST_INIT(&tls->contexts);
    return tls;
}

void tls_destroy(struct tls *tls)
{
    struct context *context;

    thread_assert_role(THREAD_MAIN);
    if (!tls)
        return;
    while ((context = SLIST_FIRST(&tls->contexts))) {
        SLIST_REMOVE_HEAD(&tls->contexts, link);
        SSL_CTX_free(context->ssl);
        free(context);
    }
    tls_material_release(tls->material);
    pthread_mutex_destroy(&tls->lock);
    free(tls);
}

struct tls_material *tls_prepare(struct tls *tls, const struct tls_files *files,
                                 char error[ERROR_BYTES])
{
    struct tls_material *material = tls_material_read(files, error);
    uint64_t now_s = clock_wall_ms() / 1000;

    thread_assert_role(THREAD_MAIN);
    if (!material)
        return NULL;
    /* Only this thread writes the pointer. What is in force may have expired since it was read. */
    if (material->expiry_s < now_s && tls->material->expiry_s >= now_s) {
        snprintf(error, ERROR_BYTES, "certificate %.200s has expired; the old one stays",
                 files->cert);
        tls_material_release(material);
        return NULL;
    }
    return material;
}

void tls_replace(struct tls *tls, struct tls_material *material)
{
    struct tls_material *old;

    thread_assert_role(THREAD_MAIN);
    pthread_mutex_lock(&tls->lock);
    old = tls->material;
    tls->material = material;
    pthread_mutex_unlock(&tls->lock);
    tls_material_release(old);
}

void tls_discard(struct tls_material *material)
{
    thread_assert_role(THREAD_MAIN);
    tls_material_release(material);
}

uint64_t tls_expiry_s(struct tls *tls)
{
    uint64_t expiry_s;

    pthread_mutex_lock(&tls->lock);
    expiry_s = tls->material->expiry_s;
    pthread_mutex_unlock(&tls->lock);
    return expiry_s;
}

bool tls_asks_clients(struct tls *tls)
{
    bool asks;

    pthread_mutex_lock(&tls->lock);
    asks = tls->material->clients;
    pthread_mutex_unlock(&tls->lock);
    return asks;
}

/* What servers and clients have in common. Buffers come and go with the data, since an idle
 * connection would hold 34 KB. A connection that ends without close_notify has just ended: HTTP/2
 * and HTTP/1.1 tell by themselves where a message ends. */
static bool configure(SSL_CTX *ssl)
{
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    return SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) &&
           SSL_CTX_set_cipher_list(ssl, CIPHERS);
}

struct ssl_ctx_st *tls_context(struct tls *tls, const char *alpn, bool alpn_required,
                               bool certificate_required)
{
    struct context *context = calloc(1, sizeof *context);
    SSL_CTX *ssl = SSL_CTX_new(TLS_server_method());

    thread_assert_role(THREAD_MAIN);
    if (!context || !ssl || !configure(ssl) || !SSL_CTX_set_num_tickets(ssl, 0)) {
        SSL_CTX_free(ssl);
        free(context);
        return NULL;
    }
    *context = (struct context){.tls = tls,
                                .ssl = ssl,
                                .alpn = alpn,
                                .alpn_required = alpn_required,
                                .certificate_required = certificate_required};
    SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET); /* of the ciphers the client's first is taken */
    SSL_CTX_set_max_cert_list(ssl, MAX_CLIENT_CHAIN_BYTES);
    SSL_CTX_set_client_hello_cb(ssl, on_client_hello, context);
    SSL_CTX_set_alpn_select_cb(ssl, on_alpn, context);
    SLIST_INSERT_HEAD(&tls->contexts, context, link);
    return ssl;
}

/* ---- The client's side ---------------------------------------------------------------------- */

static int trust(SSL_CTX *ssl, const char *ca, char error[ERROR_BYTES])
{
    STACK_OF(X509) * certificates;
    bool complete = true;

    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    if (!strcmp(ca, TLS_SYSTEM_CA))
        return SSL_CTX_set_default_verify_paths(ssl) ? 0 : -ENOMEM;
    certificates = tls_material_read_certificates(ca, "CA", error);
    if (!certificates)
        return -EINVAL;
    X509_STORE_set_flags(SSL_CTX_get_cert_store(ssl), X509_V_FLAG_PARTIAL_CHAIN);
    for (int i = 0; complete && i < sk_X509_num(certificates); i++)
        complete = X509_STORE_add_cert(SSL_CTX_get_cert_store(ssl), sk_X509_value(certificates, i));
    sk_X509_pop_free(certificates, X509_free);
    return complete ? 0 : -ENOMEM;
}

static int show(SSL_CTX *ssl, const char *cert, const char *key, char error[ERROR_BYTES])
{
    const struct tls_files files = {.cert = cert, .key = key, .quiet = true};
    struct tls_material *material = tls_material_read(&files, error);
    int used;

    if (!material)
        return -EINVAL;
    used = SSL_CTX_use_cert_and_key(ssl, material->cert, material->key, material->chain, 1);
    tls_material_release(material);
    return used == 1 ? 0 : -ENOMEM;
}

void tls_warn_of(const char *cert, const char *key)
{
    const struct tls_files files = {.cert = cert, .key = key};
    char error[ERROR_BYTES];

    if (cert && key)
        tls_material_release(tls_material_read(&files, error));
}

struct ssl_ctx_st *tls_connect_context(const char *ca, const char *cert, const char *key,
                                       const char *alpn, char error[ERROR_BYTES])
{
    SSL_CTX *ssl = SSL_CTX_new(TLS_client_method());
    unsigned char offer[32]; /* a length, and the name */
    size_t length = strlen(alpn);
    int result = -ENOMEM;

    if (ssl && length < sizeof offer && configure(ssl)) {
        offer[0] = (unsigned char)length;
        /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): its length comes first */
        memcpy(offer + 1, alpn, length);
        result = SSL_CTX_set_alpn_protos(ssl, offer, (unsigned)length + 1) ? -ENOMEM : 0;
    }
    if (!result && ca)
        result = trust(ssl, ca, error);
    if (!result && cert && key)
        result = show(ssl, cert, key, error);
    if (!result)
        return ssl;
    if (result == -ENOMEM)
        snprintf(error, ERROR_BYTES, "TLS: out of memory");
    SSL_CTX_free(ssl);
    return NULL;
}

int tls_expect_name(struct ssl_st *ssl, const char *name)
{
    bool set;

    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1)
        return 0; /* RFC 6066, section 3: no address is sent as a server name */
    ERR_clear_error();
    set = SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
    return set ? 0 : -ENOMEM;
}

/* ---- Both ----------------------------------------------------------------------------------- */

bool tls_peer_verified(const struct ssl_st *ssl)
{
    return SSL_get0_peer_certificate(ssl) && SSL_get_verify_result(ssl) == X509_V_OK &&
           (SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER);
}

const char *tls_handshake_error(const struct ssl_st *ssl, char out[ERROR_BYTES])
{
    long verdict = SSL_get_verify_result(ssl);

    if (verdict == X509_V_OK || !(SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER))
        return tls_last_error(out);
    ERR_clear_error();
    snprintf(out, ERROR_BYTES, "the peer's certificate is refused: %s",
             X509_verify_cert_error_string(verdict));
    return out;
}

const char *tls_last_error(char out[ERROR_BYTES])
{
    const char *data = NULL, *reason;
    int flags = 0;
    unsigned long error = ERR_get_error_all(NULL, NULL, NULL, &data, &flags);

    reason = ERR_reason_error_string(error);
    if (!error)
        snprintf(out, ERROR_BYTES, "the connection was closed");
    else if (ERR_GET_LIB(error) == ERR_LIB_USER && (flags & ERR_TXT_STRING))
        snprintf(out, ERROR_BYTES, "%.400s", data);
    else if (ERR_SYSTEM_ERROR(error))
        snprintf(out, ERROR_BYTES, "%s", strerror(ERR_GET_REASON(error)));
    else
        snprintf(out, ERROR_BYTES, "%s", reason ? reason : "an unknown error");
    ERR_clear_error();
    return out;
}
