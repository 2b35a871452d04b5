/* The option table of tally-send, and what the table alone cannot check. */
#include "client/send_options.h"

#include "client/replay.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const char *const payloads[] = {
    [GENERATOR_JSON] = "json",
    [GENERATOR_BINARY] = "binary",
    [GENERATOR_TEXT] = "text",
    [GENERATOR_MIX] = "mix",
    NULL,
};

#define STRING(n, field, default_value, meta, text)                                                \
    {                                                                                              \
        .name = n, .type = OPT_STRING, .offset = offsetof(struct send_options, field),             \
        .fallback = default_value, .metavar = meta, .help = text                                   \
    }
#define NUMBER(n, field, default_value, low, high, meta, text)                                     \
    {                                                                                              \
        .name = n, .type = OPT_NUMBER, .offset = offsetof(struct send_options, field),             \
        .fallback = default_value, .min = low, .max = high, .metavar = meta, .help = text          \
    }
#define FLAG(n, field, traits_set, text)                                                           \
    {                                                                                              \
        .name = n, .type = OPT_FLAG, .offset = offsetof(struct send_options, field), .help = text, \
        .traits = traits_set                                                                       \
    }

static const struct opt_row rows[] = {
    STRING("target", target, "127.0.0.1:50051", "HOST:PORT",
           "tallyd's gRPC port; an IPv6 address stands in brackets: [::1]:50051"),
    NUMBER("n", packets, "10000", 1, 1000000000000, "N", "packets to send"),
    NUMBER("devices", devices, "100", 1, 1000000000, "D", "devices to send them for, at random"),
    {.name = "payload",
     .type = OPT_CHOICE,
     .offset = offsetof(struct send_options, payload),
     .fallback = "mix",
     .choices = payloads,
     .metavar = "KIND",
     .help = "what the packets carry"},
    NUMBER("connections", connections, "1", 1, 10000, "C", "connections"),
    NUMBER("streams", streams, "1", 1, 10000, "S", "streams open at once on each connection"),
    NUMBER("packets-per-stream", packets_per_stream, "0", 0, 1000000000000, "P",
           "packets after which a stream ends and the next one starts; 0 sends all in one stream "
           "for each of connections x streams"),
    NUMBER("rate", rate, "0", 0, 1000000000, "R", "packets a second in all; 0 is without limit"),
    NUMBER("seed", seed, "1", 0, UINT64_MAX, "X",
           "seed of the random packets; the same seed and options send the same packets"),
    STRING("zipf", zipf, "0", "S",
           "exponent of Zipf's law: device number k is sent for in proportion to 1 / (k + 1)^S; a "
           "decimal number up to 10, 0 is uniform"),
    NUMBER("packet-bytes", packet_bytes, "0", 0, GENERATOR_MESSAGE_MAX_BYTES, "B",
           "size of every packet, without the 5 bytes that gRPC puts before it: device numbers get "
           "leading zeros, payloads are random bytes; 0 takes packets as they come"),
    STRING("id-prefix", id_prefix, "device-", "PREFIX", "what a device_id has before its number"),
    FLAG("tls", tls, 0, "speak TLS, 1.2 or 1.3, and verify the server's certificate"),
    STRING(
        "tls-ca", tls_ca, NULL, "FILE",
        "with --tls: who signs the server's certificate (PEM); the CAs of the system if not set"),
    STRING("tls-cert", tls_cert, NULL, "FILE", "with --tls: certificate chain to show (PEM)"),
    STRING("tls-key", tls_key, NULL, "FILE", "its private key (PEM)"),
    STRING("tls-server-name", tls_server_name, NULL, "NAME",
           "with --tls: name or address that the certificate must have; the target's host if not "
           "set"),
    {.name = "token",
     .environment = "TALLY_TOKEN",
     .type = OPT_STRING,
     .offset = offsetof(struct send_options, token),
     .metavar = "TOKEN",
     .help = "token to send with each stream",
     .traits = OPT_SECRET},
    STRING("token-file", token_file, NULL, "FILE", "file whose first line is the token"),
    NUMBER("timeout-ms", timeout_ms, "60000", 0, 86400000, "MS",
           "fail after so many milliseconds without progress; 0 waits without end"),
    STRING("expect", expect, NULL, "FILE",
           "write a line \"device, acknowledged, unacknowledged\" (by tabs) for each device"),
    FLAG(
        "replay", replay, 0,
        "to load a server: render the packets before the run, which then only copies them; packets "
        "repeat after eight for each device, or when they fill a MiB"),
    NUMBER(
        "frame-packets", frame_packets, "0", 0, 1000000, "F",
        "with --replay: whole packets in a DATA frame, 1 is what most gRPC libraries send; 0 sends "
        "full frames of 16384 bytes"),
    NUMBER(
        "replay-mib", replay_mib, "1024", 1, 1048576, "MIB",
        "with --replay: memory for rendered packets at most; they repeat earlier when it is less "
        "than they need"),
    FLAG("json", json, 0, "print the summary as one JSON object"),
    FLAG("help", help, OPT_COMMAND, "print this help"),
    FLAG("version", version, OPT_COMMAND, "print the version"),
};

const struct opt_table send_options_table = {
    .synopsis = "Usage: tally-send [options]\n\n"
                "Sends random telemetry packets to tallyd over gRPC and waits for its Acks.",
    .epilogue = "Exit status: 0 when every packet was sent and acknowledged, 1 when not, 2 for a\n"
                "wrong option, 130 after Ctrl-C.",
    .rows = rows,
    .count = ARRAY_LENGTH(rows),
};

static int refuse(char error[ERROR_BYTES], const char *format, ...) PRINTF_LIKE(2, 3);

static int refuse(char error[ERROR_BYTES], const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(error, ERROR_BYTES, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

/* Reads --zipf: digits with at most one point. */
static bool read_exponent(struct send_options *options)
{
    size_t length = strlen(options->zipf);
    char *end;

    if (!length || strspn(options->zipf, "0123456789.") != length)
        return false;
    options->zipf_exponent = strtod(options->zipf, &end);
    return *end == '\0' && options->zipf_exponent <= 10;
}

struct generator_options send_options_generator(const struct send_options *options)
{
    struct generator_options generator = {
        .seed = options->seed,
        .devices = options->devices,
        .payload = (enum generator_payload)options->payload,
        .prefix = options->id_prefix,
        .zipf = options->zipf_exponent,
        .packet_bytes = options->packet_bytes,
    };

    if (options->replay)
        generator.period = replay_period(&generator, options->packets, options->replay_mib << 20);
    return generator;
}

static int check_credentials(const struct send_options *options, char error[ERROR_BYTES])
{
    if (!options->tls && (options->tls_ca || options->tls_cert || options->tls_server_name))
        return refuse(error, "--tls-ca, --tls-cert and --tls-server-name: only with --tls");
    if (!options->tls_cert != !options->tls_key)
        return refuse(error, "--tls-cert and --tls-key: one needs the other");
    if (options->token && options->token_file)
        return refuse(error, "TALLY_TOKEN and --token-file: give one of them, not both");
    return 0;
}

/* What a row of the table cannot check. */
static int check(struct send_options *options, char error[ERROR_BYTES])
{
    struct generator_options generator;

    if (target_parse(&options->server, options->target))
        return refuse(error, "--target: \"%.80s\" is neither host:port nor [IPv6 address]:port",
                      options->target);
    if (strlen(options->id_prefix) > GENERATOR_PREFIX_MAX_BYTES)
        return refuse(error, "--id-prefix: longer than %d bytes", GENERATOR_PREFIX_MAX_BYTES);
    if (!read_exponent(options))
        return refuse(error, "--zipf: \"%.80s\" is no decimal number from 0 to 10", options->zipf);
    if (options->frame_packets && !options->replay)
        return refuse(error, "--frame-packets: only with --replay");
    generator = send_options_generator(options);
    if (options->packet_bytes && !generator_can_size(&generator))
        return refuse(error,
                      "--packet-bytes: no packet with these device ids has exactly %llu bytes",
                      (unsigned long long)options->packet_bytes);
    return check_credentials(options, error);
}

int send_options_load(struct send_options *options, int argc, char **argv, char error[ERROR_BYTES])
{
    int result = opt_load(&send_options_table, options, argc, argv, error);

    if (result || options->help || options->version)
        return result;
    return check(options, error);
}

void send_options_free(struct send_options *options)
{
    opt_free(&send_options_table, options);
}
