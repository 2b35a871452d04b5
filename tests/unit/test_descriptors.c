/* What is built in of the .proto files: found by file and by symbol, and listed. */
#include "common/compiler.h"
#include "proto/descriptors.h"
#include "tests/unit/unit.h"

#include <string.h>

#define HEALTH     "grpc/health/v1/health.proto"
#define REFLECTION "grpc/reflection/v1/reflection.proto"

/* True when the file's first field, its name, is `name`. */
static bool is_file(const struct descriptor_file *file, const char *name)
{
    size_t length = strlen(name);

    return file->length > length + 2 && file->bytes[0] == 0x0a && file->bytes[1] == length &&
           memcmp(file->bytes + 2, name, length) == 0;
}

static void find_file_table(void **state)
{
    static const char *const there[] = {"telemetry.proto", HEALTH, REFLECTION,
                                        "grpc/reflection/v1alpha/reflection.proto"};
    static const char *const not_there[] = {
        "", "telemetry", "telemetry.proto.x", "health.proto", "/" HEALTH, HEALTH "."};
    struct descriptor_file file;

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(there); i++) {
        assert_true(descriptors_find_file(there[i], &file));
        assert_true(is_file(&file, there[i]));
    }
    for (size_t i = 0; i < ARRAY_LENGTH(not_there); i++)
        assert_false(descriptors_find_file(not_there[i], &file));
}

static void find_symbol_table(void **state)
{
    static const struct {
        const char *symbol, *file;
        enum descriptor_kind kind;
    } table[] = {
        {"telemetry.Packet", "telemetry.proto", DESCRIPTOR_MESSAGE},
        {"telemetry.Packet.device_id", "telemetry.proto", DESCRIPTOR_MEMBER},
        {"telemetry.TelemetryIngest", "telemetry.proto", DESCRIPTOR_SERVICE},
        {"telemetry.TelemetryIngest.StreamPackets", "telemetry.proto", DESCRIPTOR_MEMBER},
        {"grpc.health.v1.HealthCheckResponse.ServingStatus", HEALTH, DESCRIPTOR_ENUM},
        {"grpc.health.v1.HealthCheckResponse.NOT_SERVING", HEALTH, DESCRIPTOR_MEMBER},
        {"grpc.reflection.v1.ServerReflectionRequest.message_request", REFLECTION,
         DESCRIPTOR_MEMBER},
        {"grpc.reflection.v1alpha.ErrorResponse", "grpc/reflection/v1alpha/reflection.proto",
         DESCRIPTOR_MESSAGE},
        {"", NULL, DESCRIPTOR_NONE},
        {"telemetry", NULL, DESCRIPTOR_NONE},
        {"telemetry.", NULL, DESCRIPTOR_NONE},
        {".telemetry.Packet", NULL, DESCRIPTOR_NONE},
        {"telemetry.packet", NULL, DESCRIPTOR_NONE},
        {"telemetry.Packets", NULL, DESCRIPTOR_NONE},
        {"telemetry.Packet.", NULL, DESCRIPTOR_NONE},
        {"telemetry.Packet.device_id.x", NULL, DESCRIPTOR_NONE},
        {"grpc.health.v1.HealthCheckResponse.ServingStatus.SERVING", NULL, DESCRIPTOR_NONE},
        {"grpc.health.v1", NULL, DESCRIPTOR_NONE},
        {"grpc.health.v2.Health", NULL, DESCRIPTOR_NONE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct descriptor_file file;

        assert_int_equal(descriptors_find_symbol(table[i].symbol, &file), table[i].kind);
        if (table[i].file)
            assert_true(is_file(&file, table[i].file));
    }
}

static void services_are_listed_in_full(void **state)
{
    static const char *const wanted[] = {
        "telemetry.TelemetryIngest",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    };
    char name[DESCRIPTORS_NAME_BYTES];

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(wanted); i++) {
        assert_true(descriptors_service(i, name));
        assert_string_equal(name, wanted[i]);
    }
    assert_false(descriptors_service(ARRAY_LENGTH(wanted), name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(find_file_table),
        cmocka_unit_test(find_symbol_table),
        cmocka_unit_test(services_are_listed_in_full),
    };

    return cmocka_run_group_tests_name("descriptors", tests, NULL, NULL);
}
