/* The files of a TLS server: which are read, and what is said of those that are not. */
#include "common/compiler.h"
#include "common/tls_material.h"
#include "tests/unit/files.h"
#include "tests/unit/tls_certificates.h"

#include <fcntl.h>
#include <openssl/rsa.h>
#include <sys/stat.h>

static struct made good;
static char error[ERROR_BYTES];

static bool reads_files(const struct tls_files *files)
{
    struct tls_material *material = tls_material_read(files, error);

    tls_material_release(material);
    return material;
}

static bool reads(const char *cert, const char *key, const char *client_ca)
{
    return reads_files(&(struct tls_files){.cert = cert, .key = key, .client_ca = client_ca});
}

static const char *write_text(const char *name, const char *text)
{
    const char *path = certificates_path(name);

    write_file(path, text, strlen(text));
    return path;
}

/* What the log says while files are read. */
static const char *warning_of(const struct tls_files *files)
{
    static char text[1024];
    int saved = dup(STDERR_FILENO), file = open(certificates_directory, O_TMPFILE | O_RDWR, 0600);
    ssize_t length;
    bool good_files;

    assert_true(file >= 0);
    dup2(file, STDERR_FILENO);
    good_files = reads_files(files);
    dup2(saved, STDERR_FILENO);
    close(saved);
    length = pread(file, text, sizeof text - 1, 0);
    close(file);
    assert_true(good_files && length >= 0);
    text[length] = '\0';
    return text;
}

static const char *warning_for(const char *cert, const char *key)
{
    return warning_of(&(struct tls_files){.cert = cert, .key = key});
}

static void read_good_files_no_warning(void **state)
{
    (void)state;
    assert_string_equal(warning_for(good.cert, good.key), "");
    assert_true(reads(good.cert, good.key, good.cert));
}

static void read_bad_files_says_why(void **state)
{
    char empty[160], broken[160], fifo[160];
    const struct {
        const char *cert, *key, *client_ca, *says;
    } samples[] = {
        {"/no/such", good.key, NULL, "certificate /no/such cannot be read: No such file"},
        {good.cert, "/no/such", NULL, "private key /no/such cannot be read: No such file"},
        {good.cert, good.key, "/no/such", "client CA /no/such cannot be read: No such file"},
        {certificates_directory, good.key, NULL, "cannot be read: it is no regular file"},
        {fifo, good.key, NULL, "cannot be read: it is no regular file"},
        {good.cert, fifo, NULL, "cannot be read: it is no regular file"},
        {good.cert, good.key, fifo, "cannot be read: it is no regular file"},
        {empty, good.key, NULL, "there is no certificate (PEM) in it"},
        {good.cert, empty, NULL, "there is none (PEM) in it"},
        {good.cert, good.key, empty, "there is no certificate (PEM) in it"},
        {good.key, good.key, NULL, "there is no certificate (PEM) in it"},
        {good.cert, good.cert, NULL, "there is none (PEM) in it"},
        {broken, good.key, NULL, "bad base64 decode"},
        {good.cert, good.key, broken, "bad base64 decode"},
    };

    (void)state;
    strcpy(fifo, certificates_path("fifo"));
    assert_int_equal(mkfifo(fifo, 0600), 0); /* nobody writes it */
    strcpy(empty, write_text("empty", ""));
    strcpy(broken, write_text("broken", "-----BEGIN CERTIFICATE-----\n!!!!\n"
                                        "-----END CERTIFICATE-----\n"));
    for (size_t i = 0; i < ARRAY_LENGTH(samples); i++) {
        error[0] = '\0';
        assert_false(reads(samples[i].cert, samples[i].key, samples[i].client_ca));
        if (!strstr(error, samples[i].says))
            fail_msg("\"%s\" is not \"%s\"", error, samples[i].says);
        assert_null(strchr(error, '\n'));
    }
}

static void read_cut_chain_is_refused(void **state)
{
    struct maker maker = certificates_make("cut", NULL, true, 1, certificates_key());
    struct made made = certificates_save("cut", &maker);
    FILE *file = fopen(made.cert, "a");

    (void)state;
    assert_non_null(file);
    fputs("-----BEGIN CERTIFICATE-----\nMIIB\n", file);
    fclose(file);
    certificates_free(&maker);
    assert_false(reads(made.cert, made.key, NULL));
}

static void read_key_of_another_is_refused(void **state)
{
    struct maker other = certificates_make("other", NULL, false, 1, certificates_key());
    struct made made = certificates_save("other", &other);

    (void)state;
    certificates_free(&other);
    assert_false(reads(good.cert, made.key, NULL));
    assert_non_null(strstr(error, "is not the one of the first certificate in"));
}

static void read_weak_key_is_refused(void **state)
{
    struct maker weak = certificates_make("weak", NULL, false, 1, EVP_RSA_gen(1024));
    struct made made = certificates_save("weak", &weak);

    (void)state;
    certificates_free(&weak);
    assert_false(reads(made.cert, made.key, NULL));
    assert_non_null(strstr(error, "key too small"));
}

static void read_key_with_passphrase_is_refused(void **state)
{
    EVP_PKEY *key = certificates_key();
    const char *path = certificates_path("locked.key");
    FILE *file = fopen(path, "w");

    (void)state;
    assert_non_null(file);
    assert_true(PEM_write_PrivateKey(file, key, EVP_aes_128_cbc(), (unsigned char *)"secret", 6,
                                     NULL, NULL));
    fclose(file);
    EVP_PKEY_free(key);
    assert_false(reads(good.cert, path, NULL));
    assert_non_null(strstr(error, "it has a passphrase, and must not"));
}

static void read_expired_certificate_warns(void **state)
{
    struct maker old = certificates_make("old", NULL, false, -1, certificates_key());
    struct made made = certificates_save("old", &old);

    (void)state;
    certificates_free(&old);
    assert_non_null(strstr(warning_for(made.cert, made.key), "(/CN=old) has expired"));
}

static void read_quietly_no_warning(void **state)
{
    const struct tls_files files = {.cert = good.cert, .key = good.key, .quiet = true};

    (void)state;
    chmod(good.key, 0644);
    assert_string_equal(warning_of(&files), "");
    chmod(good.key, 0600);
}

static void read_open_key_warns(void **state)
{
    (void)state;
    chmod(good.key, 0644);
    assert_non_null(strstr(warning_for(good.cert, good.key), "everybody on this machine may read"));
    chmod(good.key, 0640); /* a group may */
    assert_string_equal(warning_for(good.cert, good.key), "");
}

static int make_all(void **state)
{
    struct maker maker;

    (void)state;
    assert_non_null(mkdtemp(certificates_directory));
    maker = certificates_make("good", NULL, false, 1, certificates_key());
    good = certificates_save("good", &maker);
    certificates_free(&maker);
    return 0;
}

static int remove_all(void **state)
{
    (void)state;
    return certificates_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_good_files_no_warning),
        cmocka_unit_test(read_bad_files_says_why),
        cmocka_unit_test(read_cut_chain_is_refused),
        cmocka_unit_test(read_key_of_another_is_refused),
        cmocka_unit_test(read_weak_key_is_refused),
        cmocka_unit_test(read_key_with_passphrase_is_refused),
        cmocka_unit_test(read_expired_certificate_warns),
        cmocka_unit_test(read_quietly_no_warning),
        cmocka_unit_test(read_open_key_warns),
    };

    return cmocka_run_group_tests(tests, make_all, remove_all);
}
