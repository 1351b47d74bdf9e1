/*
 * The reader of config.json under libFuzzer: `make fuzz`.
 *
 *   fuzz_json    the JSON reader alone
 *   fuzz_config  (-DCONFIG) the reader, and all that fills struct wanted from it
 *
 * The engine ends with exit() when it refuses a text; here that leads back into the harness.
 * With ASan and UBSan, without a finding: fuzz_json 10,000,000 executions on 2026-11-29 (442 s on one
 * core, 140 edges, 206 texts), fuzz_config 62,233.
 *
 * A text gets as much memory as it needs, not as its limit allows: so a round is short, and one byte
 * too far is seen.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdlib.h>
static _Noreturn void fuzz_exit(int status);
static void *fuzz_calloc(size_t count, size_t size);
#define exit fuzz_exit
#define calloc fuzz_calloc
#define free(pointer) ((void)(pointer)) /* all of it at the end of the round */
#define main engine_main
#ifndef ENGINE_SOURCE
#define ENGINE_SOURCE "../../container_engine.c"
#endif
#include ENGINE_SOURCE
#undef main
#undef free
#undef calloc
#undef exit

static jmp_buf refused;
static _Noreturn void fuzz_exit(int status) {
    (void)status;
    longjmp(refused, 1);
}

static size_t text_size;
static void *allocated[1 << 16];
static size_t allocated_count;
static void *fuzz_calloc(size_t count, size_t size) {
    if (size == JSON_BYTES + 1) size = text_size + 1;
    if (allocated_count == COUNT(allocated)) abort();
    return allocated[allocated_count++] = calloc(count, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    text_size = size;
    json.count = 0;
    kept_end = kept;
#ifdef CONFIG
    static int fd = -1;
    static __typeof__(oci) blank_oci;
    if (fd < 0) {
        fd = memfd_create("config.json", 0);
        blank_oci = oci;
    }
    oci = blank_oci;
    if (ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size) abort();
    it = blank;
    it.want = (struct wanted){.name = "fuzz", .lib_dir = "/nowhere"};
    if (setjmp(refused) == 0) load_config(&it, keep("/proc/self/fd/%d", fd), "/nowhere");
#else
    char *text = malloc(size + 1); /* of the exact size, so that one byte too far is seen */
    if (!text) abort();
    memcpy(text, data, size);
    text[size] = '\0';
    if (setjmp(refused) == 0) {
        read_json("fuzz", text, size);
        if ((size_t)json.count > size + 1) abort(); /* a value is a character at least */
        /* Each value lies inside of the array, and so do those inside of it. */
        for (int i = 0; i < json.count; i++)
            if (json.values[i].next < 1 || i + json.values[i].next > json.count) abort();
    } else if (json.at < text || json.at > text + size) {
        abort();
    }
    free(text);
#endif
    while (allocated_count) free(allocated[--allocated_count]);
    return 0;
}
