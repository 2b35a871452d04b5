/* The option table. A row more here is an option more everywhere: parser, --help, --check-config,
 * the README's table and the manual page. */
#include "server/config.h"

#include "common/utf8.h"
#include "http/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_WORKERS     256
#define HOST_NAME_BYTES 256

/* protobuf-c gives up on a message of 2^27 - 16 fields, and proto/packet.c does not; at 255 MiB or
 * less no message can hold so many. */
#define MAX_MESSAGE_BYTES (255u << 20)

static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const log_formats[] = {"text", "json", NULL};

#define FIELD(name) offsetof(struct config, name)
#define TEXT(field, flag, env, def, metavar, help)                                                 \
    {                                                                                              \
        flag, env, OPT_STRING, FIELD(field), def, 0, 0, NULL, metavar, help, 0                     \
    }
#define NUMBER(field, flag, env, def, low, high, help)                                             \
    {                                                                                              \
        flag, env, OPT_NUMBER, FIELD(field), def, low, high, NULL, "N", help, 0                    \
    }
/* The same, but a new value is taken on SIGHUP. */
#define RELOADABLE_TEXT(field, flag, env, metavar, help)                                           \
    {                                                                                              \
        flag, env, OPT_STRING, FIELD(field), NULL, 0, 0, NULL, metavar, help, OPT_RELOADABLE       \
    }
#define RELOADABLE_NUMBER(field, flag, env, def, low, high, help)                                  \
    {                                                                                              \
        flag, env, OPT_NUMBER, FIELD(field), def, low, high, NULL, "N", help, OPT_RELOADABLE       \
    }
#define RELOADABLE_CHOICE(field, flag, env, def, choices, help)                                    \
    {                                                                                              \
        flag, env, OPT_CHOICE, FIELD(field), def, 0, 0, choices, NULL, help, OPT_RELOADABLE        \
    }
#define COMMAND(field, flag, help)                                                                 \
    {                                                                                              \
        flag, NULL, OPT_FLAG, FIELD(field), NULL, 0, 0, NULL, NULL, help, OPT_COMMAND              \
    }

static const struct opt_row rows[] = {
    TEXT(bind, "bind", "BIND", "127.0.0.1", "ADDRESS",
         "address to listen on, for gRPC and HTTP; 0.0.0.0 is every one (IPv6: as far as civetweb "
         "is built with it)"),
    NUMBER(grpc_port, "grpc-port", "GRPC_PORT", "50051", 1, 65535,
           "port for gRPC: HTTP/2 with prior knowledge, or over TLS with --tls-cert"),
    NUMBER(http_port, "http-port", "HTTP_PORT", "8000", 1, 65535, "port for HTTP"),
    TEXT(redis_host, "redis-host", "REDIS_HOST", "localhost", "HOST", "where Redis runs"),
    NUMBER(redis_port, "redis-port", "REDIS_PORT", "6379", 1, 65535, "Redis's port"),
    TEXT(redis_socket, "redis-socket", "REDIS_SOCKET", NULL, "PATH",
         "Redis's Unix socket, used instead of host and port"),
    TEXT(redis_username, "redis-username", "REDIS_USERNAME", NULL, "NAME",
         "Redis user (ACL) to log in as, with the password"),
    {"redis-password", "REDIS_PASSWORD", OPT_STRING, FIELD(redis_password), NULL, 0, 0, NULL,
     "PASSWORD", "Redis password", OPT_SECRET},
    TEXT(redis_password_file, "redis-password-file", "REDIS_PASSWORD_FILE", NULL, "PATH",
         "file whose first line is the Redis password; read at each connect, so that it can be "
         "replaced without a restart"),
    {"redis-tls", "REDIS_TLS", OPT_FLAG, FIELD(redis_tls), NULL, 0, 0, NULL, NULL,
     "talk to Redis by TLS, and verify its certificate (needs hiredis 1.0: Debian 13)", 0},
    TEXT(redis_tls_ca, "redis-tls-ca", "REDIS_TLS_CA", NULL, "FILE",
         "who signs Redis's certificate (PEM); whom the system trusts if not set"),
    TEXT(redis_tls_cert, "redis-tls-cert", "REDIS_TLS_CERT", NULL, "FILE",
         "certificate to show to Redis (PEM); this file and the others are read at each connect"),
    TEXT(redis_tls_key, "redis-tls-key", "REDIS_TLS_KEY", NULL, "FILE", "its private key (PEM)"),
    TEXT(redis_tls_server_name, "redis-tls-server-name", "REDIS_TLS_SERVER_NAME", NULL, "NAME",
         "name or address in Redis's certificate; redis-host if not set"),
    NUMBER(redis_db, "redis-db", "REDIS_DB", "0", 0, 65535, "Redis database"),
    TEXT(redis_key, "redis-key", "REDIS_KEY", "device_metrics", "KEY",
         "Redis hash of the counts; all other keys of tallyd start with it and a colon"),
    TEXT(instance, "instance", "INSTANCE", NULL, "NAME",
         "name of this instance's ledger in Redis, unique and lasting; host name:gRPC port if "
         "not set"),
    NUMBER(workers, "workers", "WORKERS", "0", 0, MAX_WORKERS,
           "threads that receive and count; 0 is one a core"),
    NUMBER(flush_interval_ms, "flush-interval-ms", "FLUSH_INTERVAL_MS", "100", 1, 60000,
           "milliseconds between two commits when no ended stream waits for its Ack"),
    NUMBER(
        redis_grace_ms, "redis-grace-ms", "REDIS_GRACE_MS", "5000", 0, 3600000,
        "milliseconds without an answer of Redis after which new streams are refused; an attempt "
        "that has not failed gets 1000 at least"),
    RELOADABLE_NUMBER(drain_timeout_ms, "drain-timeout-ms", "DRAIN_TIMEOUT_MS", "30000", 0, 3600000,
                      "milliseconds that streams and the last commit get after SIGTERM"),
    NUMBER(max_devices, "max-devices", "MAX_DEVICES", "10000000", 1, 1000000000,
           "devices with a count of their own; the packets of further ones go to __overflow__"),
    NUMBER(max_device_id_bytes, "max-device-id-bytes", "MAX_DEVICE_ID_BYTES", "256", 1, 65535,
           "bytes of a device_id"),
    NUMBER(max_message_bytes, "max-message-bytes", "MAX_MESSAGE_BYTES", "4194304", 1,
           MAX_MESSAGE_BYTES, "bytes of one packet on the wire"),
    RELOADABLE_NUMBER(max_connections, "max-connections", "MAX_CONNECTIONS", "16384", 1, 1000000,
                      "gRPC connections at a time; further ones are closed at once"),
    RELOADABLE_NUMBER(max_connections_per_address, "max-connections-per-address",
                      "MAX_CONNECTIONS_PER_ADDRESS", "8192", 1, 1000000,
                      "of them: from one IPv4 address or one IPv6 /64"),
    NUMBER(max_streams, "max-streams", "MAX_STREAMS", "1024", 1, 32768,
           "streams of one connection at a time"),
    NUMBER(handshake_timeout_ms, "handshake-timeout-ms", "HANDSHAKE_TIMEOUT_MS", "10000", 1,
           3600000,
           "milliseconds for a TLS handshake and the HTTP/2 preface, for any header block, and for "
           "the head of an HTTP request"),
    NUMBER(stall_timeout_ms, "stall-timeout-ms", "STALL_TIMEOUT_MS", "60000", 1, 86400000,
           "milliseconds without progress after which a peer that does not read is cut off, and a "
           "stream that stopped inside a packet is ended"),
    NUMBER(keepalive_time_ms, "keepalive-time-ms", "KEEPALIVE_TIME_MS", "300000", 0, 86400000,
           "milliseconds of silence after which a connection is pinged; 0 is never"),
    NUMBER(keepalive_timeout_ms, "keepalive-timeout-ms", "KEEPALIVE_TIMEOUT_MS", "20000", 1,
           3600000, "milliseconds that a pinged connection gets to answer"),
    NUMBER(keepalive_min_ping_ms, "keepalive-min-ping-ms", "KEEPALIVE_MIN_PING_MS", "10000", 0,
           86400000,
           "least milliseconds between two pings of a client; who pings more often is sent away"),
    NUMBER(max_connection_age_ms, "max-connection-age-ms", "MAX_CONNECTION_AGE_MS", "0", 0,
           UINT64_C(2592000000),
           "milliseconds after which a connection is told to come again, give or take a tenth, so "
           "that load spreads over new instances; 0 is never"),
    NUMBER(max_connection_age_grace_ms, "max-connection-age-grace-ms",
           "MAX_CONNECTION_AGE_GRACE_MS", "30000", 0, 86400000,
           "milliseconds that its streams then get to end"),
    RELOADABLE_NUMBER(
        memory_limit_bytes, "memory-limit-bytes", "MEMORY_LIMIT_BYTES", "0", 0, UINT64_C(1) << 50,
        "resident bytes near which senders are slowed, and at which new streams and devices are "
        "refused; 0 is none"),
    RELOADABLE_TEXT(tls_cert, "tls-cert", "TLS_CERT", "FILE",
                    "certificate chain (PEM): gRPC and HTTP speak TLS only"),
    RELOADABLE_TEXT(tls_key, "tls-key", "TLS_KEY", "FILE", "its private key (PEM)"),
    RELOADABLE_TEXT(tls_client_ca, "tls-client-ca", "TLS_CLIENT_CA", "FILE",
                    "who signs clients' certificates (PEM): clients must show one"),
    RELOADABLE_TEXT(
        token_file, "token-file", "TOKEN_FILE", "FILE",
        "who may send and who may read, made by \"tallyd token\"; without it everybody may"),
    TEXT(http_public, "http-public", "HTTP_PUBLIC", "/healthz,/readyz", "PATHS",
         "HTTP paths that need neither token nor client certificate, separated by commas; /* is "
         "all"),
    NUMBER(http_connections_per_address, "http-connections-per-address",
           "HTTP_CONNECTIONS_PER_ADDRESS", "1000", 1, 10000,
           "of --http-connections: from one IPv4 address or one IPv6 /64"),
    NUMBER(http_refresh_ms, "http-refresh-ms", "HTTP_REFRESH_MS", "500", 0, 3600000,
           "least milliseconds from one reading of Redis for HTTP to the next; 0 reads for each "
           "request"),
    NUMBER(http_connections, "http-connections", "HTTP_CONNECTIONS", "1100", 8, 10000,
           "HTTP connections served at once, each by a thread; further ones wait"),
    NUMBER(prom_devices, "prom-devices", "PROM_DEVICES", "0", 0, 10000,
           "devices, the busiest, that have a series of their own in /metrics/prom"),
    RELOADABLE_CHOICE(log_level, "log-level", "LOG_LEVEL", "info", log_levels,
                      "least level to log"),
    RELOADABLE_CHOICE(log_format, "log-format", "LOG_FORMAT", "text", log_formats,
                      "form of the log's lines"),
    {"config", NULL, OPT_STRING, FIELD(file), NULL, 0, 0, NULL, "FILE",
     "file of \"name = value\" lines, names as above without the dashes", OPT_FILE},
    COMMAND(check_config, "check-config", "check the options, say what is wrong, and exit"),
    COMMAND(healthcheck, "healthcheck", "ask the tallyd on http-port whether it lives, and exit"),
    COMMAND(version, "version", "print the version and exit"),
    COMMAND(help, "help", "print this and exit"),
};

const struct opt_table config_table = {
    .synopsis = "Usage: tallyd [OPTION]...\n\n"
                "Counts telemetry packets per device: gRPC streams in, exact counts in Redis.",
    .epilogue = "A flag beats the environment, which beats the file. Exit status: 0 all committed, "
                "1 cannot\nstart, 2 wrong options, 3 stopped with packets that Redis never "
                "confirmed, 4 fenced by\nanother instance of the same name. SIGHUP reads the "
                "configuration again: what is marked as\nreloadable changes.",
    .rows = rows,
    .count = ARRAY_LENGTH(rows),
};

/* A host name and a port, so that two instances on one host do not fence each other. */
static int name_instance(struct config *config)
{
    char host[HOST_NAME_BYTES] = "localhost";

    gethostname(host, sizeof host - 1);
    if (asprintf(&config->instance, "%s:%u", host, (unsigned)config->grpc_port) < 0) {
        config->instance = NULL;
        return -ENOMEM;
    }
    return 0;
}

static bool is_address(const char *text)
{
    struct in6_addr address;

    return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}

bool config_is_exposed(const struct config *config)
{
    struct in6_addr six;
    struct in_addr four;

    if (inet_pton(AF_INET, config->bind, &four) == 1)
        return ntohl(four.s_addr) >> 24 != IN_LOOPBACKNET;
    if (inet_pton(AF_INET6, config->bind, &six) != 1)
        return true;
    if (IN6_IS_ADDR_V4MAPPED(&six))
        return six.s6_addr[12] != IN_LOOPBACKNET;
    return !IN6_IS_ADDR_LOOPBACK(&six);
}

/* The cores that this process may run on (affinity, cpusets; a CPU quota does not show here). */
static uint64_t usable_cores(void)
{
    cpu_set_t set;
    int cores = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);

    return cores > MAX_WORKERS ? MAX_WORKERS : (uint64_t)cores;
}

static bool is_name(const char *text)
{
    return *text && utf8_is_valid((const uint8_t *)text, strlen(text));
}

static int check_tls(const struct config *config, char error[ERROR_BYTES])
{
    if (!config->tls_cert != !config->tls_key)
        snprintf(error, ERROR_BYTES, "--tls-cert and --tls-key: one needs the other");
    else if (config->tls_client_ca && !config->tls_cert)
        snprintf(error, ERROR_BYTES,
                 "--tls-client-ca: --tls-cert and --tls-key are needed with it");
    else
        return 0;
    return -EINVAL;
}

bool config_tls_files(const struct config *config, struct tls_files *files)
{
    *files = (struct tls_files){
        .cert = config->tls_cert,
        .key = config->tls_key,
        .client_ca = config->tls_client_ca,
    };
    return config->tls_cert;
}

int config_load(struct config *config, int argc, char **argv, char error[ERROR_BYTES])
{
    int result = opt_load(&config_table, config, argc, argv, error);

    if (result || config->help || config->version)
        return result;
    if (!is_name(config->redis_key) || !is_name(config->redis_host) ||
        (config->instance && !is_name(config->instance))) {
        snprintf(error, ERROR_BYTES,
                 "--redis-key, --redis-host and --instance must be UTF-8 text, and not empty");
        return -EINVAL;
    }
    if (config->grpc_port == config->http_port) {
        snprintf(error, ERROR_BYTES, "--grpc-port and --http-port: %llu cannot be both",
                 (unsigned long long)config->grpc_port);
        return -EINVAL;
    }
    if (!is_address(config->bind)) {
        snprintf(error, ERROR_BYTES, "--bind: \"%.80s\" is not an IPv4 or IPv6 address",
                 config->bind);
        return -EINVAL;
    }
    if ((result = config_check_redis(config, error)) || (result = check_tls(config, error)) ||
        (result = http_check_public(config->http_public, error)))
        return result;
    if (!config->instance && (result = name_instance(config))) {
        snprintf(error, ERROR_BYTES, "out of memory");
        return result;
    }
    if (!config->workers)
        config->workers = usable_cores();
    return 0;
}

void config_free(struct config *config)
{
    opt_free(&config_table, config);
}
