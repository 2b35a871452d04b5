/* Handshakes over a pair of sockets: who gets in, and what a reload changes. */
#include "common/clock.h"
#include "common/compiler.h"
#include "common/tls.h"
#include "tests/unit/tls_certificates.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#define ROUNDS 200 /* of a handshake, at most */

static struct maker ca, other_ca, old_ca;
static struct made ca_file, other_ca_file, old_ca_file;
static struct made server, next_server, expired, client, wrong_client, expired_client, old_client;

struct pair {
    SSL *server, *client;
    int fds[2];
};

/* One step of one side. Returns 1 when done, 0 when it waits, -1 when it failed. */
static int step(SSL *ssl)
{
    int result = SSL_do_handshake(ssl), error = SSL_get_error(ssl, result);

    if (result == 1)
        return 1;
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static void open_pair(struct pair *pair, SSL_CTX *server_context, SSL_CTX *client_context)
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair->fds), 0);
    pair->server = SSL_new(server_context);
    pair->client = SSL_new(client_context);
    SSL_set_fd(pair->server, pair->fds[0]);
    SSL_set_fd(pair->client, pair->fds[1]);
    SSL_set_accept_state(pair->server);
    SSL_set_connect_state(pair->client);
}

/* Shakes hands. True when both sides are content and a byte came through each way: in TLS 1.3 a
 * client learns only then that its certificate was refused. Left in `why`: the server's error. */
static char why[TLS_ERROR_BYTES];

static bool shake(struct pair *pair)
{
    int s = 0, c = 0;
    char byte;

    ERR_clear_error();
    why[0] = '\0';
    for (int i = 0; i < ROUNDS && (s == 0 || c == 0); i++) {
        if (c == 0)
            c = step(pair->client);
        ERR_clear_error();
        if (s == 0 && (s = step(pair->server)) < 0)
            tls_handshake_error(pair->server, why);
        ERR_clear_error();
    }
    return s == 1 && c == 1 && SSL_write(pair->client, "a", 1) == 1 &&
           SSL_read(pair->server, &byte, 1) == 1 && SSL_write(pair->server, "b", 1) == 1 &&
           SSL_read(pair->client, &byte, 1) == 1;
}

static void close_pair(struct pair *pair)
{
    SSL_free(pair->server);
    SSL_free(pair->client);
    close(pair->fds[0]);
    close(pair->fds[1]);
}

static bool meet(SSL_CTX *server_context, SSL_CTX *client_context)
{
    struct pair pair;
    bool content;

    open_pair(&pair, server_context, client_context);
    content = shake(&pair);
    close_pair(&pair);
    return content;
}

static struct tls *create(const struct made *made, const char *client_ca)
{
    const struct tls_files files = {made->cert, made->key, client_ca};
    char error[TLS_ERROR_BYTES] = "";
    struct tls *tls = tls_create(&files, error);

    if (!tls)
        print_error("%s\n", error);
    assert_non_null(tls);
    return tls;
}

static SSL_CTX *connect_as(const struct made *made, const char *alpn)
{
    char error[TLS_ERROR_BYTES] = "";
    SSL_CTX *context = tls_connect_context(ca_file.cert, made ? made->cert : NULL,
                                           made ? made->key : NULL, alpn, error);

    if (!context)
        print_error("%s\n", error);
    assert_non_null(context);
    return context;
}

/* ---- Versions, ciphers, ALPN ---------------------------------------------------------------- */

static bool meet_with_version(struct tls *tls, int version, const char *cipher)
{
    SSL_CTX *context = connect_as(NULL, "h2");
    bool content;

    SSL_CTX_set_security_level(context, 0); /* or the client itself would refuse what is old */
    SSL_CTX_set_min_proto_version(context, version);
    SSL_CTX_set_max_proto_version(context, version);
    if (cipher)
        assert_int_equal(SSL_CTX_set_cipher_list(context, cipher), 1);
    content = meet(tls_context(tls, "h2", true, true), context);
    SSL_CTX_free(context);
    return content;
}

static void shake_versions_from_1_2(void **state)
{
    struct tls *tls = create(&server, NULL);

    (void)state;
    assert_false(meet_with_version(tls, TLS1_VERSION, "ALL:@SECLEVEL=0"));
    assert_false(meet_with_version(tls, TLS1_1_VERSION, "ALL:@SECLEVEL=0"));
    assert_string_equal(why, "unsupported protocol");
    assert_true(meet_with_version(tls, TLS1_2_VERSION, NULL));
    assert_true(meet_with_version(tls, TLS1_3_VERSION, NULL));
    tls_destroy(tls);
}

static void shake_ciphers_aead_with_forward_secrecy(void **state)
{
    static const struct {
        const char *cipher;
        bool taken;
    } samples[] = {
        {"ECDHE-ECDSA-AES128-GCM-SHA256", true}, {"ECDHE-ECDSA-AES256-GCM-SHA384", true},
        {"ECDHE-ECDSA-CHACHA20-POLY1305", true}, {"ECDHE-ECDSA-AES128-SHA256", false},
        {"ECDHE-ECDSA-AES128-SHA", false},       {"AES128-GCM-SHA256", false},
        {"ECDHE-ECDSA-AES128-CCM", false},
    };
    struct tls *tls = create(&server, NULL);

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(samples); i++) {
        if (meet_with_version(tls, TLS1_2_VERSION, samples[i].cipher) != samples[i].taken)
            fail_msg("%s", samples[i].cipher);
    }
    tls_destroy(tls);
}

/* Whether a client that offers `offer` (names, each behind its length) gets in, and what was agreed
 * upon. "" offers none. */
static bool meet_with_alpn(SSL_CTX *server_context, const char *offer, const char *agreed)
{
    SSL_CTX *context = connect_as(NULL, "x");
    const unsigned char *chosen;
    unsigned length;
    struct pair pair;
    bool content;

    SSL_CTX_set_alpn_protos(context, (const unsigned char *)offer, (unsigned)strlen(offer));
    open_pair(&pair, server_context, context);
    content = shake(&pair);
    if (content) {
        SSL_get0_alpn_selected(pair.client, &chosen, &length);
        assert_int_equal(length, strlen(agreed));
        if (length)
            assert_memory_equal(chosen, agreed, length);
    }
    close_pair(&pair);
    SSL_CTX_free(context);
    return content;
}

static void shake_alpn_chosen_refused_absent(void **state)
{
    struct tls *tls = create(&server, NULL);
    SSL_CTX *strict = tls_context(tls, "h2", true, true);
    SSL_CTX *easy = tls_context(tls, "http/1.1", false, false);

    (void)state;
    assert_true(meet_with_alpn(strict, "\2h2", "h2"));
    assert_true(meet_with_alpn(strict, "\010http/1.1\002h2", "h2"));
    assert_false(meet_with_alpn(strict, "\010http/1.1", NULL));
    assert_string_equal(why, "no application protocol");
    assert_false(meet_with_alpn(strict, "\001h", NULL));
    assert_false(meet_with_alpn(strict, "\003h2x", NULL));
    assert_false(meet_with_alpn(strict, "", NULL));
    assert_string_equal(why, "the client offers no protocol by ALPN");
    assert_true(meet_with_alpn(easy, "\002h2\010http/1.1", "http/1.1"));
    assert_true(meet_with_alpn(easy, "", ""));
    assert_false(meet_with_alpn(easy, "\002h2", NULL));
    tls_destroy(tls);
}

/* ---- Clients' certificates ------------------------------------------------------------------ */

static bool meet_as(SSL_CTX *server_context, const struct made *made, bool verified)
{
    SSL_CTX *context = connect_as(made, "h2");
    struct pair pair;
    bool content;

    open_pair(&pair, server_context, context);
    content = shake(&pair);
    if (content)
        assert_int_equal(tls_peer_verified(pair.server), verified);
    close_pair(&pair);
    SSL_CTX_free(context);
    return content;
}

static void shake_client_certificate_required(void **state)
{
    struct tls *tls = create(&server, ca_file.cert);
    SSL_CTX *context = tls_context(tls, "h2", true, true);

    (void)state;
    assert_false(meet_as(context, NULL, false));
    assert_string_equal(why, "peer did not return a certificate");
    assert_true(meet_as(context, &client, true));
    assert_false(meet_as(context, &wrong_client, false));
    assert_non_null(strstr(why, "unable to get local issuer certificate"));
    assert_false(meet_as(context, &expired_client, false));
    assert_non_null(strstr(why, "certificate has expired"));
    assert_true(meet_as(context, &client, true));
    tls_destroy(tls);
}

static void shake_client_certificate_optional(void **state)
{
    struct tls *tls = create(&server, ca_file.cert);
    SSL_CTX *context = tls_context(tls, "h2", false, false);

    (void)state;
    assert_true(meet_as(context, NULL, false));
    assert_true(meet_as(context, &client, true));
    assert_false(meet_as(context, &wrong_client, false));
    assert_false(meet_as(context, &expired_client, false));
    tls_destroy(tls);
}

static void shake_client_ca_expired(void **state)
{
    struct tls *tls = create(&server, old_ca_file.cert);

    (void)state;
    assert_false(meet_as(tls_context(tls, "h2", true, true), &old_client, false));
    assert_non_null(strstr(why, "certificate has expired"));
    tls_destroy(tls);
}

static void shake_no_client_ca_none_is_verified(void **state)
{
    struct tls *tls = create(&server, NULL);
    SSL_CTX *context = tls_context(tls, "h2", true, true);

    (void)state;
    assert_true(meet_as(context, NULL, false));
    assert_true(meet_as(context, &wrong_client, false)); /* never asked, so never shown */
    tls_destroy(tls);
}

/* ---- Reload --------------------------------------------------------------------------------- */

static void reload(struct tls *tls, const struct made *made, const char *client_ca)
{
    const struct tls_files files = {made->cert, made->key, client_ca};
    char error[TLS_ERROR_BYTES];

    assert_int_equal(tls_reload(tls, &files, error), 0);
}

static long serial_of_peer(SSL *ssl)
{
    return ASN1_INTEGER_get(X509_get0_serialNumber(SSL_get0_peer_certificate(ssl)));
}

static void reload_in_use_old_goes_on_new_sees_new(void **state)
{
    struct tls *tls = create(&server, NULL);
    SSL_CTX *context = tls_context(tls, "h2", true, true), *clients = connect_as(NULL, "h2");
    struct pair old, new;
    uint64_t now_s = clock_wall_ms() / 1000;
    char byte;

    (void)state;
    open_pair(&old, context, clients);
    assert_true(shake(&old));
    reload(tls, &next_server, NULL);
    assert_in_range(tls_expiry_s(tls), now_s + A_DAY - 60, now_s + 366 * A_DAY);
    open_pair(&new, context, clients);
    assert_true(shake(&new));
    assert_int_not_equal(serial_of_peer(old.client), serial_of_peer(new.client));
    assert_int_equal(SSL_write(old.client, "c", 1), 1);
    assert_int_equal(SSL_read(old.server, &byte, 1), 1);
    close_pair(&new);
    close_pair(&old);
    SSL_CTX_free(clients);
    tls_destroy(tls);
}

static void reload_bad_changes_nothing(void **state)
{
    struct tls *tls = create(&server, NULL);
    struct tls_files files = {server.cert, next_server.key, NULL};
    char error[TLS_ERROR_BYTES];

    (void)state;
    assert_int_equal(tls_reload(tls, &files, error), -EINVAL);
    assert_non_null(strstr(error, "is not the one of the first certificate"));
    files.cert = expired.cert;
    files.key = expired.key;
    assert_int_equal(tls_reload(tls, &files, error), -EINVAL);
    assert_non_null(strstr(error, "has expired; the old one stays"));
    assert_true(meet_as(tls_context(tls, "h2", true, true), NULL, false));
    tls_destroy(tls);

    tls = create(&expired, NULL); /* nothing is lost by another one that has expired */
    assert_int_equal(tls_reload(tls, &files, error), 0);
    tls_destroy(tls);
}

/* A client that keeps its session and offers it again. */
static SSL_SESSION *kept;

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(kept);
    kept = session;
    return 1;
}

static void resume_never(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(versions); i++) {
        struct tls *tls = create(&server, ca_file.cert);
        SSL_CTX *context = tls_context(tls, "h2", true, true);
        SSL_CTX *clients = connect_as(&client, "h2");
        struct pair pair;

        SSL_CTX_set_max_proto_version(clients, versions[i]);
        SSL_CTX_set_session_cache_mode(clients, SSL_SESS_CACHE_CLIENT);
        SSL_CTX_sess_set_new_cb(clients, keep_session);
        open_pair(&pair, context, clients);
        assert_true(shake(&pair));
        if (!kept)
            kept = SSL_get1_session(pair.client);
        SSL_shutdown(pair.client);
        close_pair(&pair);

        /* Whoever it was is not trusted any more: the session does not help. */
        reload(tls, &server, other_ca_file.cert);
        open_pair(&pair, context, clients);
        SSL_set_session(pair.client, kept);
        assert_false(shake(&pair));
        assert_non_null(strstr(why, "unable to get local issuer certificate"));
        close_pair(&pair);

        reload(tls, &server, ca_file.cert);
        open_pair(&pair, context, clients);
        SSL_set_session(pair.client, kept);
        assert_true(shake(&pair));
        assert_false(SSL_session_reused(pair.client));
        close_pair(&pair);
        SSL_SESSION_free(kept);
        kept = NULL;
        SSL_CTX_free(clients);
        tls_destroy(tls);
    }
}

/* A session of a server that asked for no certificate, taken to one that does: the same process
 * after a reload. */
static void reload_adds_client_ca_all_must_show(void **state)
{
    struct tls *tls = create(&server, NULL);
    SSL_CTX *context = tls_context(tls, "h2", true, true);

    (void)state;
    assert_true(meet_as(context, NULL, false));
    reload(tls, &server, ca_file.cert);
    assert_false(meet_as(context, NULL, false));
    assert_true(meet_as(context, &client, true));
    reload(tls, &server, NULL);
    assert_true(meet_as(context, NULL, false));
    tls_destroy(tls);
}

struct shaker {
    SSL_CTX *context;
    atomic_bool *stop;
    atomic_int shaken, failed;
};

static void *shake_until_stopped(void *argument)
{
    struct shaker *shaker = argument;
    SSL_CTX *clients = connect_as(NULL, "h2");

    while (!atomic_load(shaker->stop))
        atomic_fetch_add(meet(shaker->context, clients) ? &shaker->shaken : &shaker->failed, 1);
    SSL_CTX_free(clients);
    return NULL;
}

static void reload_beside_handshakes_none_fails(void **state)
{
    struct tls *tls = create(&server, NULL);
    atomic_bool stop = false;
    struct shaker shaker = {.context = tls_context(tls, "h2", true, true), .stop = &stop};
    pthread_t thread;

    (void)state;
    pthread_create(&thread, NULL, shake_until_stopped, &shaker);
    for (int i = 0; i < 2000 && (i < 50 || atomic_load(&shaker.shaken) < 20); i++) {
        reload(tls, i % 2 ? &server : &next_server, NULL);
        usleep(1000);
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    assert_true(atomic_load(&shaker.shaken) >= 20);
    assert_int_equal(atomic_load(&shaker.failed), 0);
    tls_destroy(tls);
}

/* ---- Clients of ours ------------------------------------------------------------------------ */

static bool meet_expecting(SSL_CTX *server_context, SSL_CTX *client_context, const char *name,
                           char error[TLS_ERROR_BYTES])
{
    struct pair pair;
    bool content;

    open_pair(&pair, server_context, client_context);
    assert_int_equal(tls_expect_name(pair.client, name), 0);
    content = shake(&pair);
    if (!content)
        tls_handshake_error(pair.client, error);
    close_pair(&pair);
    return content;
}

static void connect_name_and_ca_are_checked(void **state)
{
    struct tls *tls = create(&server, NULL);
    SSL_CTX *context = tls_context(tls, "h2", true, true), *clients = connect_as(NULL, "h2");
    char error[TLS_ERROR_BYTES] = "";
    SSL_CTX *strangers;

    (void)state;
    assert_true(meet_expecting(context, clients, "localhost", error));
    assert_true(meet_expecting(context, clients, "127.0.0.1", error));
    assert_false(meet_expecting(context, clients, "example.org", error));
    assert_non_null(strstr(error, "hostname mismatch"));
    assert_false(meet_expecting(context, clients, "::1", error));
    assert_non_null(strstr(error, "IP address mismatch"));
    SSL_CTX_free(clients);
    strangers = tls_connect_context(other_ca_file.cert, NULL, NULL, "h2", error);
    assert_false(meet_expecting(context, strangers, "localhost", error));
    assert_non_null(strstr(error, "unable to get local issuer certificate"));
    SSL_CTX_free(strangers);
    strangers = tls_connect_context(TLS_SYSTEM_CA, NULL, NULL, "h2", error);
    assert_false(meet_expecting(context, strangers, "localhost", error));
    SSL_CTX_free(strangers);
    strangers = tls_connect_context(NULL, NULL, NULL, "h2", error);
    assert_true(meet_expecting(context, strangers, "localhost", error));
    assert_true(meet_expecting(context, strangers, "example.org", error));
    SSL_CTX_free(strangers);
    tls_destroy(tls);
}

/* ---- Set-up --------------------------------------------------------------------------------- */

static struct made issue(const char *name, const struct maker *maker, long days)
{
    struct maker leaf = certificates_make(name, maker, false, days, certificates_key());
    struct made made = certificates_save(name, &leaf);

    certificates_free(&leaf);
    return made;
}

static int make_all(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(certificates_directory));
    ca = certificates_make("ca", NULL, true, 1, certificates_key());
    other_ca = certificates_make("other-ca", NULL, true, 1, certificates_key());
    old_ca = certificates_make("old-ca", NULL, true, -1, certificates_key());
    ca_file = certificates_save("ca", &ca);
    other_ca_file = certificates_save("other-ca", &other_ca);
    old_ca_file = certificates_save("old-ca", &old_ca);
    server = issue("server", &ca, 1);
    next_server = issue("next-server", &ca, 1);
    expired = issue("expired", &ca, -1);
    client = issue("client", &ca, 1);
    wrong_client = issue("wrong-client", &other_ca, 1);
    expired_client = issue("expired-client", &ca, -1);
    old_client = issue("old-client", &old_ca, 1);
    return 0;
}

static int remove_all(void **state)
{
    (void)state;
    certificates_free(&ca);
    certificates_free(&other_ca);
    certificates_free(&old_ca);
    return certificates_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shake_versions_from_1_2),
        cmocka_unit_test(shake_ciphers_aead_with_forward_secrecy),
        cmocka_unit_test(shake_alpn_chosen_refused_absent),
        cmocka_unit_test(shake_client_certificate_required),
        cmocka_unit_test(shake_client_certificate_optional),
        cmocka_unit_test(shake_client_ca_expired),
        cmocka_unit_test(shake_no_client_ca_none_is_verified),
        cmocka_unit_test(reload_in_use_old_goes_on_new_sees_new),
        cmocka_unit_test(reload_bad_changes_nothing),
        cmocka_unit_test(resume_never),
        cmocka_unit_test(reload_adds_client_ca_all_must_show),
        cmocka_unit_test(reload_beside_handshakes_none_fails),
        cmocka_unit_test(connect_name_and_ca_are_checked),
    };

    return cmocka_run_group_tests(tests, make_all, remove_all);
}
