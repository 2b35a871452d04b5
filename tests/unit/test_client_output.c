/* The list of pieces: what goes in comes out of a socket, in order, however much it takes. */
#include "client/output.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE_BYTES 20000

static uint8_t elsewhere[PIECE_BYTES], store[65536];

/* Copies `length` bytes that say `value`. */
static void copy(struct output *output, size_t length, uint8_t value)
{
    uint8_t *out = output_claim(output, length);

    assert_non_null(out);
    memset(out, value, length);
    output_keep(output, length);
}

static void keep_copies_in_a_row_is_one_piece(void **state)
{
    struct output output;

    (void)state;
    output_init(&output, store, sizeof store);
    copy(&output, 10, 1);
    copy(&output, 20, 2);
    assert_int_equal(output.count, 1);
    output_point(&output, elsewhere, 5);
    copy(&output, 30, 3);
    assert_int_equal(output.count, 3);
    assert_int_equal(output.length, 65);
    assert_int_equal(output_pieces_left(&output), OUTPUT_PIECES - 3);
}

static void claim_without_room_is_null(void **state)
{
    struct output output;

    (void)state;
    output_init(&output, store, 100);
    assert_null(output_claim(&output, 101));
    copy(&output, 60, 1);
    assert_null(output_claim(&output, 41));
    assert_non_null(output_claim(&output, 40));
    while (output_pieces_left(&output) > 0)
        output_point(&output, elsewhere, 1);
    assert_null(output_claim(&output, 1));
}

static void send_to_a_slow_reader_keeps_the_order(void **state)
{
    static uint8_t got[OUTPUT_PIECES * PIECE_BYTES], sent[OUTPUT_PIECES * PIECE_BYTES];
    size_t length = 0, wanted = 0;
    struct output output;
    int pair[2], error;

    (void)state;
    for (size_t i = 0; i < sizeof elsewhere; i++)
        elsewhere[i] = (uint8_t)(i * 7);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    output_init(&output, store, sizeof store);
    while (output_pieces_left(&output) >= 2) {
        copy(&output, 9, (uint8_t)wanted);
        memset(sent + wanted, (uint8_t)wanted, 9);
        output_point(&output, elsewhere, sizeof elsewhere);
        memcpy(sent + wanted + 9, elsewhere, sizeof elsewhere);
        wanted += 9 + sizeof elsewhere;
    }
    while ((error = output_send(&output, pair[0])) || length < wanted) {
        ssize_t part = read(pair[1], got + length, 4321);

        assert_true(error == 0 || error == -EAGAIN);
        assert_true(part > 0);
        length += (size_t)part;
        assert_true(output.length <= wanted - length);
    }
    assert_int_equal(length, wanted);
    assert_memory_equal(got, sent, wanted);
    assert_int_equal(output.length, 0);
    assert_int_equal(output_pieces_left(&output), OUTPUT_PIECES);
    assert_non_null(output_claim(&output, sizeof store));
    close(pair[1]);
    copy(&output, 1, 1);
    assert_int_equal(output_send(&output, pair[0]), -EPIPE);
    close(pair[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keep_copies_in_a_row_is_one_piece),
        cmocka_unit_test(claim_without_room_is_null),
        cmocka_unit_test(send_to_a_slow_reader_keeps_the_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
