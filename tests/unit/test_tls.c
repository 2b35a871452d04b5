/* Handshakes: who gets in, with which version, cipher, protocol and certificate. */
#include "common/compiler.h"
#include "tests/unit/tls_pair.h"

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

/* ---- Clients of ours ------------------------------------------------------------------------ */

static bool meet_expecting(SSL_CTX *server_context, SSL_CTX *client_context, const char *name,
                           char error[ERROR_BYTES])
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
    char error[ERROR_BYTES] = "";
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
        cmocka_unit_test(connect_name_and_ca_are_checked),
    };

    return cmocka_run_group_tests(tests, make_all, remove_all);
}
