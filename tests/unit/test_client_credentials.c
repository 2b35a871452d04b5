/* Where tally-send's token comes from, and what is no token. */
#include "client/credentials.h"
#include "common/compiler.h"
#include "tests/unit/files.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static struct credentials credentials;
static char error[ERROR_BYTES];

static int load_file(const char *text)
{
    char path[] = "/tmp/test_credentials.XXXXXX";
    struct send_options options = {.token_file = path};
    int result;

    write_new_file(path, text, strlen(text));
    error[0] = '\0';
    result = credentials_load(&credentials, &options, error);
    unlink(path);
    return result;
}

static void load_nothing_is_no_header(void **state)
{
    struct send_options options = {0};

    (void)state;
    assert_int_equal(credentials_load(&credentials, &options, error), 0);
    assert_string_equal(credentials.authorization, "");
    assert_null(credentials.tls);
    credentials_clear(&credentials);
}

static void load_token_is_the_header(void **state)
{
    char token[] = "from-the.environment~1";
    struct send_options options = {.token = token};

    (void)state;
    assert_int_equal(credentials_load(&credentials, &options, error), 0);
    assert_string_equal(credentials.authorization, "Bearer from-the.environment~1");
    credentials_clear(&credentials);
    assert_string_equal(credentials.authorization, "");
    assert_int_equal(load_file("abc+/=\n"), 0);
    assert_string_equal(credentials.authorization, "Bearer abc+/=");
    credentials_clear(&credentials);
}

static void load_no_token_is_refused_without_showing_it(void **state)
{
    static const char *const bad[] = {"", "\n", "hun ter\n", "hunter\x80\n"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        assert_int_equal(load_file(bad[i]), -EINVAL);
        assert_true(*error);
        assert_null(strstr(error, "hun"));
        credentials_clear(&credentials);
    }
    assert_int_equal(load_file("hunter\r\nx-evil: 1\n"), 0);
    assert_string_equal(credentials.authorization, "Bearer hunter");
    credentials_clear(&credentials);
}

static void load_missing_files_says_which(void **state)
{
    char none[] = "/no/such";
    struct send_options options = {.token_file = none};

    (void)state;
    assert_int_equal(credentials_load(&credentials, &options, error), -EINVAL);
    assert_string_equal(error, "--token-file /no/such: No such file or directory");
    credentials_clear(&credentials);
    options = (struct send_options){.tls = true, .tls_ca = none};
    assert_int_equal(credentials_load(&credentials, &options, error), -EINVAL);
    assert_string_equal(error, "CA /no/such cannot be read: No such file or directory");
    credentials_clear(&credentials);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load_nothing_is_no_header),
        cmocka_unit_test(load_token_is_the_header),
        cmocka_unit_test(load_no_token_is_refused_without_showing_it),
        cmocka_unit_test(load_missing_files_says_which),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
