/* tally-send's options, their table and their checks. Called by: main. */
#ifndef TALLYD_CLIENT_SEND_OPTIONS_H
#define TALLYD_CLIENT_SEND_OPTIONS_H

#include "client/generator.h"
#include "client/target.h"
#include "common/opt.h"

#include <stdbool.h>
#include <stdint.h>

struct send_options {
    char *target; /* as given: host:port */
    uint64_t packets;
    uint64_t devices;
    int payload; /* enum generator_payload */
    uint64_t connections;
    uint64_t streams; /* open at once on each connection */
    uint64_t packets_per_stream;
    uint64_t rate; /* packets a second in all; 0: no limit */
    uint64_t seed;
    char *id_prefix;
    char *zipf;            /* as given: a decimal number */
    uint64_t packet_bytes; /* of each message; 0: as it comes */
    bool replay;
    uint64_t frame_packets; /* whole ones in a DATA frame; 0: full frames */
    uint64_t replay_mib;    /* of rendered packets at most */
    bool tls;
    char *tls_ca; /* NULL: the system's */
    char *tls_cert, *tls_key;
    char *tls_server_name; /* NULL: the target's host */
    char *token, *token_file;
    uint64_t timeout_ms; /* without progress; 0: none */
    char *expect;        /* a file to write what was sent for each device to, or NULL */
    bool json;
    bool help, version;

    struct target server; /* the parts of target */
    double zipf_exponent; /* 0: uniform */
};

extern const struct opt_table send_options_table;

/* Loads and checks the options. Returns 0, or -EINVAL with one line in `error`. With --help or
 * --version nothing else is checked. Whatever it returns, send_options_free() releases them. */
int send_options_load(struct send_options *options, int argc, char **argv,
                      char error[ERROR_BYTES]) MUST_CHECK;
void send_options_free(struct send_options *options);

/* The part of the options that says what packets are made. It points into `options`. */
struct generator_options send_options_generator(const struct send_options *options);

#endif
