/* Replies with and without objects: what is not spared is the same. */
#include "aggregator/replies.h"
#include "common/compiler.h"
#include "tests/unit/unit.h"

#include <stdbool.h>
#include <string.h>

/* The same value, or a spared one where `inside` an array integers are. */
static void assert_same(const redisReply *spared, const redisReply *whole, bool inside)
{
    if (inside && whole->type == REDIS_REPLY_INTEGER) {
        assert_null(spared);
        return;
    }
    assert_non_null(spared);
    assert_int_equal(spared->type, whole->type);
    assert_int_equal(spared->integer, whole->integer);
    assert_int_equal(spared->len, whole->len);
    if (whole->str)
        assert_memory_equal(spared->str, whole->str, whole->len + 1);
    assert_int_equal(spared->elements, whole->elements);
    for (size_t i = 0; i < whole->elements; i++)
        assert_same(spared->element[i], whole->element[i], true);
}

static void read_replies_only_the_spared_differ(void **state)
{
    static const char *const table[] = {
        "+QUEUED\r\n",
        "+QUEUE\r\n",
        "+QUEUEDD\r\n",
        "+OK\r\n",
        "-QUEUED\r\n",
        "-ERR hash value is not an integer\r\n",
        ":5\r\n",
        ":-9223372036854775808\r\n",
        "$6\r\nQUEUED\r\n",
        "$-1\r\n",
        "$0\r\n\r\n",
        "*-1\r\n",
        "*0\r\n",
        "*1\r\n:1\r\n",
        "*5\r\n:1\r\n-ERR overflow\r\n:2\r\n+OK\r\n$1\r\na\r\n",
        "*3\r\n+QUEUED\r\n*2\r\n:1\r\n$-1\r\n:3\r\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        size_t length = strlen(table[i]);
        struct replies replies;
        redisReader *sparing = redisReaderCreate(), *usual = redisReaderCreate();
        void *spared = NULL, *whole = NULL;

        replies_spare(&replies, sparing);
        for (size_t at = 0; at < length; at++) { /* at every split */
            assert_int_equal(redisReaderFeed(sparing, table[i] + at, 1), REDIS_OK);
            assert_int_equal(redisReaderGetReply(sparing, &spared), REDIS_OK);
            assert_true(at == length - 1 || !spared);
        }
        assert_int_equal(redisReaderFeed(usual, table[i], length), REDIS_OK);
        assert_int_equal(redisReaderGetReply(usual, &whole), REDIS_OK);
        assert_same(spared, whole, false);
        replies_free(spared);
        freeReplyObject(whole);
        redisReaderFree(sparing);
        redisReaderFree(usual);
    }
}

/* A connection that is given up amid a reply frees what the reader holds of it. */
static void free_amid_reply_frees_what_there_is(void **state)
{
    static const char *const table[] = {"+QUEU", "*3\r\n:1\r\n-ERR\r\n", "*2\r\n+QUEUED\r\n:1"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct replies replies;
        redisReader *reader = redisReaderCreate();
        void *reply;

        replies_spare(&replies, reader);
        assert_int_equal(redisReaderFeed(reader, table[i], strlen(table[i])), REDIS_OK);
        assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
        assert_null(reply);
        redisReaderFree(reader);
    }
}

static void free_null_does_nothing(void **state)
{
    (void)state;
    replies_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_replies_only_the_spared_differ),
        cmocka_unit_test(free_amid_reply_frees_what_there_is),
        cmocka_unit_test(free_null_does_nothing),
    };

    return cmocka_run_group_tests_name("replies", tests, NULL, NULL);
}
