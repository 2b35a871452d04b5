/* A text in memory: any length, written again, and what an error of its writer does to it. */
#include "http/text_buffer.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>

static void text_of_any_length_is_whole(void **state)
{
    struct text_buffer buffer = {0};

    (void)state;
    for (size_t lines = 0; lines < 3000; lines = 2 * lines + 1) {
        text_buffer_start(&buffer);
        for (size_t i = 0; i < lines; i++) {
            assert_int_equal(text_buffer_length(&buffer), 6 * i);
            text_format(&buffer.writer, "%05zu\n", i % 100000);
        }
        assert_int_equal(text_buffer_end(&buffer), 0);
        assert_int_equal(buffer.length, 6 * lines);
        for (size_t i = 0; i < lines; i += 97) {
            char line[16];

            snprintf(line, sizeof line, "%05zu\n", i % 100000);
            assert_memory_equal(buffer.bytes + 6 * i, line, 6);
        }
    }
    text_buffer_free(&buffer);
    assert_null(buffer.bytes);
    text_buffer_free(&buffer);
}

static void error_of_the_writer_is_told_at_the_end(void **state)
{
    struct text_buffer buffer = {0};

    (void)state;
    text_buffer_start(&buffer);
    text_format(&buffer.writer, "%*d", TEXT_FORMAT_BYTES + 1, 1);
    text_literal(&buffer.writer, "more");
    assert_int_equal(text_buffer_end(&buffer), -ENOSPC);
    text_buffer_start(&buffer);
    text_literal(&buffer.writer, "again");
    assert_int_equal(text_buffer_end(&buffer), 0);
    assert_int_equal(buffer.length, 5);
    assert_memory_equal(buffer.bytes, "again", 5);
    text_buffer_free(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_of_any_length_is_whole),
        cmocka_unit_test(error_of_the_writer_is_told_at_the_end),
    };

    return cmocka_run_group_tests_name("text_buffer", tests, NULL, NULL);
}
