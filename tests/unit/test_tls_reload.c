/* What a reload changes, and that it takes nothing from those who are connected. */
#include "common/clock.h"
#include "common/compiler.h"
#include "tests/unit/tls_pair.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

static void reload(struct tls *tls, const struct made *made, const char *client_ca)
{
    const struct tls_files files = {.cert = made->cert, .key = made->key, .client_ca = client_ca};
    char error[ERROR_BYTES];
    struct tls_material *material = tls_prepare(tls, &files, error);

    assert_non_null(material);
    tls_replace(tls, material);
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
    struct tls_files files = {.cert = server.cert, .key = next_server.key};
    char error[ERROR_BYTES];

    (void)state;
    assert_null(tls_prepare(tls, &files, error));
    assert_non_null(strstr(error, "is not the one of the first certificate"));
    files.cert = expired.cert;
    files.key = expired.key;
    assert_null(tls_prepare(tls, &files, error));
    assert_non_null(strstr(error, "has expired; the old one stays"));
    assert_true(meet_as(tls_context(tls, "h2", true, true), NULL, false));
    tls_destroy(tls);

    tls = create(&expired, NULL); /* nothing is lost by another one that has expired */
    reload(tls, &expired, NULL);
    tls_destroy(tls);
}

/* It was good when it was read. The same files are as good as what is in force. */
static void reload_takes_the_same_once_it_has_expired(void **state)
{
    struct maker leaf = certificates_make("short", &ca, false, 1, certificates_key());
    struct tls_files files = {.cert = expired.cert, .key = expired.key};
    char error[ERROR_BYTES];
    struct made made;
    struct tls *tls;

    (void)state;
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(leaf.cert), 2));
    assert_true(X509_sign(leaf.cert, ca.key, EVP_sha256()) > 0);
    made = certificates_save("short", &leaf);
    certificates_free(&leaf);
    tls = create(&made, NULL);
    assert_null(tls_prepare(tls, &files, error));
    while (clock_wall_ms() / 1000 <= tls_expiry_s(tls))
        usleep(100000);
    reload(tls, &made, NULL);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reload_in_use_old_goes_on_new_sees_new),
        cmocka_unit_test(reload_bad_changes_nothing),
        cmocka_unit_test(reload_takes_the_same_once_it_has_expired),
        cmocka_unit_test(resume_never),
        cmocka_unit_test(reload_adds_client_ca_all_must_show),
        cmocka_unit_test(reload_beside_handshakes_none_fails),
    };

    return cmocka_run_group_tests(tests, make_all, remove_all);
}
