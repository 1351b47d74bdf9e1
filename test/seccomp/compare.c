/*
 * The engine's seccomp compiler against libseccomp: both make a BPF program of the profile in a
 * config.json, and both programs must say the same to every system call, with a grid of arguments.
 *
 *   gcc seccomp_compare.c -lseccomp -o compare && ./compare config.json   (one: the filter step keeps its program)
 */
#define _GNU_SOURCE
#include <seccomp.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The engine's last call of its filter step is kept here instead of being made. */
static long kept_syscall(long number, ...);
#define syscall(...) kept_syscall(__VA_ARGS__)
#define main engine_main
#ifndef ENGINE_SOURCE
#define ENGINE_SOURCE "../../container_engine.c"
#endif
#include ENGINE_SOURCE
#undef main
#undef syscall

static struct sock_fprog ours;
static long kept_syscall(long number, ...) {
    va_list args;
    va_start(args, number);
    if (number == SYS_seccomp) {
        va_arg(args, int);
        va_arg(args, unsigned);
        ours = *va_arg(args, const struct sock_fprog *);
    }
    va_end(args);
    return 0;
}

/* What a program says. bpf(4) of the BSDs; only what seccomp allows. */
static uint32_t interpret(const struct sock_filter *code, size_t count, const struct seccomp_data *d) {
    uint32_t a = 0;
    for (size_t pc = 0; pc < count; pc++) {
        const struct sock_filter *f = &code[pc];
        bool yes = false;
        switch (f->code) {
        case BPF_LD | BPF_W | BPF_ABS: memcpy(&a, (const char *)d + f->k, 4); continue;
        case BPF_ALU | BPF_AND | BPF_K: a &= f->k; continue;
        case BPF_RET | BPF_K: return f->k;
        case BPF_JMP | BPF_JA: pc += f->k; continue;
        case BPF_JMP | BPF_JEQ | BPF_K: yes = a == f->k; break;
        case BPF_JMP | BPF_JGT | BPF_K: yes = a > f->k; break;
        case BPF_JMP | BPF_JGE | BPF_K: yes = a >= f->k; break;
        case BPF_JMP | BPF_JSET | BPF_K: yes = a & f->k; break;
        default: die("instruction %zu is unknown: %#x", pc, f->code);
        }
        pc += yes ? f->jt : f->jf;
    }
    die("the program does not end");
}

static uint32_t their_action(const struct value *v, const char *action, const char *error) {
    const uint32_t a = action_of(v, action, error); /* numbers are the kernel's in both */
    return a;
}

static struct sock_fprog their_program(const struct value *profile) {
    static struct sock_filter code[BPF_MAXINSNS];
    static const char *const names[] = {"SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_EQ",
                                        "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ"};
    const uint32_t otherwise = their_action(profile, "defaultAction", "defaultErrnoRet");
    scmp_filter_ctx ctx = seccomp_init(otherwise);
    for (const struct value *s = NULL; (s = each(find(profile, "syscalls"), s, '[')) != NULL;) {
        struct scmp_arg_cmp tests[6];
        unsigned count = 0;
        for (const struct value *a = NULL; (a = each(find(s, "args"), a, '[')) != NULL; count++) {
            int op = 0;
            while (strcmp(names[op], text_of(find(a, "op"))) != 0) op++;
            tests[count] = (struct scmp_arg_cmp){(unsigned)number_of(find(a, "index"), -1, 0, 5),
                                                 (enum scmp_compare)(op + 1), bits_of(find(a, "value")),
                                                 bits_of(find(a, "valueTwo"))};
        }
        const uint32_t action = their_action(s, "action", "errnoRet");
        for (const struct value *n = NULL; action != otherwise && (n = each(find(s, "names"), n, '[')) != NULL;) {
            const int call = seccomp_syscall_resolve_name(text_of(n));
            if (call < 0) continue; /* not of this architecture */
            if (seccomp_rule_add_array(ctx, action, call, count, tests) < 0)
                die("libseccomp does not take %s", n->text);
        }
    }
    int fd = memfd_create("program", 0);
    if (seccomp_export_bpf(ctx, fd) < 0) die("seccomp_export_bpf");
    const ssize_t n = pread(fd, code, sizeof code, 0);
    close(fd);
    seccomp_release(ctx);
    return (struct sock_fprog){(unsigned short)((size_t)n / sizeof *code), code};
}

/* Values that profiles ask about, and those beside them; in each half. */
static const uint64_t grid[] = {0, 1, 2, 8, 9, 10, 15, 16, 17, 38, 39, 40, 41, 0x20000, 0x20008, 0x7e020000,
                                0x10000000, 0x10000, 0xffffffff, 0xfffffffe, 0x100000000, 0x100000008,
                                0x100020000, 0x1000000010, 0xffffffff00000000, UINT64_MAX};

static unsigned long compare(const char *path) {
    struct container c = blank;
    unsigned long looked = 0;
    const struct value *profile = find(load_json(path), "linux.seccomp");
    if (profile->kind == 'n') profile = find(load_json(path), "");
    load_seccomp(&c.want, profile);
    filter_calls(&c);
    const struct sock_fprog theirs = their_program(profile);
    struct seccomp_data d = {.arch = OUR_ARCH};
    for (d.nr = 0; d.nr < 480; d.nr++)
        for (size_t i = 0; i < COUNT(grid) * COUNT(grid) * COUNT(grid); i++) {
            /* three arguments are tested in no profile: the third one moves with the first two */
            d.args[0] = grid[i % COUNT(grid)];
            d.args[1] = grid[i / COUNT(grid) % COUNT(grid)];
            d.args[2] = grid[i / COUNT(grid) / COUNT(grid)];
            const uint32_t a = interpret(ours.filter, ours.len, &d);
            const uint32_t b = interpret(theirs.filter, theirs.len, &d);
            looked++;
            if (a == b) continue;
            /* What neither knows by name is newer than that libseccomp. */
            const char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, d.nr);
            if (name)
                die("%s: call %d (%s) with %#llx %#llx %#llx: ours %#x, libseccomp's %#x", path, d.nr, name,
                    d.args[0], d.args[1], d.args[2], a, b);
        }
    printf("%s: %d rules, %u instructions of ours, %u of libseccomp's, %lu verdicts, the same\n", path,
           (int)c.want.rule_count, ours.len, theirs.len, looked);
    return looked;
}

int main(int argc, char **argv) {
    if (argc != 2) die("one config.json is needed");
    compare(argv[1]);
    return 0;
}
