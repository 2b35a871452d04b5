/*
 * Which texts are counts; and a reading of several pages from a script that stands for Redis, for
 * what the real one, which the integration tests ask, does only now and then.
 */
#include "common/compiler.h"
#include "common/thread.h"
#include "http/count_source.h"
#include "http/snapshot.h"
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BYTES(text) text, sizeof text - 1

static const struct {
    const char *text;
    size_t length;
    int64_t count;
} accepted[] = {
    {BYTES("0"), 0},
    {BYTES("7"), 7},
    {BYTES("10"), 10},
    {BYTES("-1"), -1},
    {BYTES("-10"), -10},
    {BYTES("9007199254740993"), 9007199254740993},
    {BYTES("9223372036854775806"), INT64_MAX - 1},
    {BYTES("9223372036854775807"), INT64_MAX},
    {BYTES("-9223372036854775807"), INT64_MIN + 1},
    {BYTES("-9223372036854775808"), INT64_MIN},
};

static const struct {
    const char *text;
    size_t length;
} rejected[] = {
    {BYTES("")},
    {BYTES("-")},
    {BYTES("+1")},
    {BYTES("-0")},
    {BYTES("00")},
    {BYTES("007")},
    {BYTES("-07")},
    {BYTES("--1")},
    {BYTES(" 1")},
    {BYTES("1 ")},
    {BYTES("1\0")},
    {BYTES("1.0")},
    {BYTES("1e3")},
    {BYTES("0x10")},
    {BYTES("abc")},
    {BYTES("1/")},
    {BYTES("1:")},
    {BYTES("\xb1")},
    {BYTES("9223372036854775808")},
    {BYTES("-9223372036854775809")},
    {BYTES("9223372036854775810")},
    {BYTES("18446744073709551616")},
    {BYTES("18446744073709551617")},
    {BYTES("99999999999999999999")},
    {BYTES("100000000000000000000000000000000000000")},
};

static void parse_count_gives_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(accepted); i++) {
        int64_t count = 42;

        if (!count_source_parse(accepted[i].text, accepted[i].length, &count))
            fail_msg("%s was refused", accepted[i].text);
        assert_int_equal(count, accepted[i].count);
    }
}

static void parse_anything_else_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rejected); i++) {
        int64_t count;

        if (count_source_parse(rejected[i].text, rejected[i].length, &count))
            fail_msg("%s was accepted", rejected[i].text);
    }
}

/* Replies to HSCAN: fields that come twice, on one page and on two; and fields that are no counts.
 */
static const char *const pages[] = {
    "*2\r\n$2\r\n17\r\n*6\r\n$1\r\nb\r\n$1\r\n1\r\n$1\r\na\r\n$1\r\n5\r\n$1\r\na\r\n$1\r\n6\r\n",
    "*2\r\n$2\r\n99\r\n*0\r\n",
    ("*2\r\n$1\r\n0\r\n*8\r\n$1\r\nb\r\n$1\r\n2\r\n$1\r\nx\r\n$3\r\nabc\r\n$0\r\n\r\n$1\r\n1\r\n"
     "$1\r\n\xff\r\n$1\r\n1\r\n"),
};

struct script {
    int listener;
    const char *const *replies;
    size_t length;
    char cursors[8][24]; /* asked for */
};

/* Answers the commands of one connection in turn, and hangs up. */
static void *play(void *argument)
{
    struct script *script = argument;
    int client = accept(script->listener, NULL, NULL);
    char command[512];

    for (size_t i = 0; i < script->length; i++) {
        ssize_t length = recv(client, command, sizeof command - 1, 0);

        if (length <= 0)
            break;
        command[length] = '\0';
        sscanf(command, "*5 $5 HSCAN $6 counts $%*d %23s", script->cursors[i]);
        send(client, script->replies[i], strlen(script->replies[i]), MSG_NOSIGNAL);
    }
    close(client);
    return NULL;
}

/* Reads all counts from a script of that many replies. */
static enum count_source_result read_script(struct script *script, size_t length,
                                            const struct snapshot *before,
                                            struct snapshot **snapshot)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct redis_options options = {.host = "127.0.0.1", .key = "counts"};
    struct count_source *source = count_source_create(&options);
    char error[ERROR_BYTES];
    socklen_t size = sizeof address;
    atomic_bool stop = false;
    enum count_source_result result;
    pthread_t thread;

    *script = (struct script){socket(AF_INET, SOCK_STREAM, 0), pages, length, {""}};
    assert_int_equal(bind(script->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(script->listener, 1), 0);
    assert_int_equal(getsockname(script->listener, (struct sockaddr *)&address, &size), 0);
    options.port = ntohs(address.sin_port);
    assert_int_equal(thread_start(&thread, THREAD_HTTP, "redis", play, script), 0);
    result = count_source_read_all(source, &stop, before, snapshot, error);
    count_source_destroy(source);
    pthread_join(thread, NULL);
    close(script->listener);
    return result;
}

static void assert_device(const struct snapshot *snapshot, size_t index, const char *id,
                          int64_t count)
{
    struct snapshot_device device = snapshot_get(snapshot, index);

    assert_int_equal(device.id_length, strlen(id));
    assert_memory_equal(device.id, id, device.id_length);
    assert_int_equal(device.count, count);
}

static void read_repeated_fields_keeps_the_last_of_each(void **state)
{
    struct snapshot *first, *second;
    struct script script;

    (void)state;
    assert_int_equal(read_script(&script, 3, NULL, &first), COUNT_SOURCE_OK);
    assert_string_equal(script.cursors[0], "0");
    assert_string_equal(script.cursors[1], "17");
    assert_string_equal(script.cursors[2], "99");
    assert_int_equal(snapshot_length(first), 2);
    assert_device(first, 0, "a", 6);
    assert_device(first, 1, "b", 2);
    assert_int_equal(read_script(&script, 3, first, &second), COUNT_SOURCE_OK);
    assert_int_equal(snapshot_version(second), snapshot_version(first));
    snapshot_destroy(first);
    snapshot_destroy(second);
}

/* The cursor may mean another place on a new connection, so that is not tried. */
static void read_interrupted_between_pages_fails(void **state)
{
    struct snapshot *snapshot = NULL;
    struct script script;

    (void)state;
    assert_int_equal(read_script(&script, 2, NULL, &snapshot), COUNT_SOURCE_UNAVAILABLE);
    assert_null(snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_count_gives_value),
        cmocka_unit_test(parse_anything_else_is_refused),
        cmocka_unit_test(read_repeated_fields_keeps_the_last_of_each),
        cmocka_unit_test(read_interrupted_between_pages_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
