/*
 * tallyd's options: the one table (config.c) and the struct that it fills. Only main.c, server.c
 * and reload.c read the struct; every module below gets an options struct of its own.
 */
#ifndef TALLYD_SERVER_CONFIG_H
#define TALLYD_SERVER_CONFIG_H

#include "aggregator/redis.h"
#include "common/compiler.h"
#include "common/opt.h"
#include "common/tls.h"

#include <stdbool.h>
#include <stdint.h>

struct config {
    char *bind;
    uint64_t grpc_port, http_port;
    char *redis_host;
    uint64_t redis_port;
    char *redis_socket, *redis_username, *redis_password, *redis_password_file;
    bool redis_tls;
    char *redis_tls_ca, *redis_tls_cert, *redis_tls_key, *redis_tls_server_name;
    uint64_t redis_db;
    char *redis_key;
    char *instance;
    uint64_t workers;
    uint64_t flush_interval_ms, redis_grace_ms, drain_timeout_ms;
    uint64_t max_devices, max_device_id_bytes, max_message_bytes;
    uint64_t max_connections, max_connections_per_address, max_streams;
    uint64_t handshake_timeout_ms, stall_timeout_ms;
    uint64_t keepalive_time_ms, keepalive_timeout_ms, keepalive_min_ping_ms;
    uint64_t max_connection_age_ms, max_connection_age_grace_ms;
    uint64_t memory_limit_bytes;
    char *tls_cert, *tls_key, *tls_client_ca;
    char *token_file;
    uint64_t http_refresh_ms, http_connections, http_connections_per_address, prom_devices;
    char *http_public;
    int log_level, log_format;
    char *file;
    bool check_config, healthcheck, version, help;
};

extern const struct opt_table config_table;

/* Fills `config` from the command line, the environment and the file, checks the password
 * file, and works out what depends on the machine (instance, workers). Returns 0, or a negative
 * errno with one line in `error`. Whatever it returns, config_free() releases the fields. Called
 * by: main. */
int config_load(struct config *config, int argc, char **argv, char error[ERROR_BYTES]) MUST_CHECK;
void config_free(struct config *config);

/* True when other machines can reach the ports: `bind` is no loopback address. */
bool config_is_exposed(const struct config *config);

/* Where Redis is and how to get in, for modules that connect. Borrows from `config`. */
struct redis_options config_redis_options(const struct config *config);

/* What the table cannot say of those: combinations, and files that are of no use. Returns 0, or
 * -EINVAL with one line in `error`. Part of config_load(). */
int config_check_redis(const struct config *config, char error[ERROR_BYTES]) MUST_CHECK;

/* The files of TLS, borrowed from `config`. Returns false when there is to be no TLS. */
bool config_tls_files(const struct config *config, struct tls_files *files);

#endif
