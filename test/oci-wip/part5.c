
/* ==== Part V: The OCI face ================================================================ */

/*
 * podman, containerd and docker do not build containers themselves. They write a bundle, which is a
 * directory with config.json, and call a runtime: create, start, kill, delete. Here is that
 * runtime. config.json fills struct wanted, as options do; then the same steps run.
 *                                    https://github.com/opencontainers/runtime-spec
 */

/* ---- 14. A reader for JSON --------------------------------------------------------------- */

enum { JSON_BYTES = 1 << 20, JSON_VALUES = 1 << 15, JSON_DEPTH = 64 };

/* A JSON text (RFC 8259) becomes an array of values. A value is followed by all that is inside of
 * it; next says how far away the first one after that is. Strings are unescaped in place. */
struct value {
    char kind;        /* how it begins: { [ " t f n; 0 for every number */
    const char *key;  /* its name in an object */
    const char *text; /* of a string or a number */
    int next, line, column;
};

struct reader {
    const char *file, *problem;
    char *at, *line_start;
    int line, depth, count, room;
    struct value *values;
};

static bool bad(struct reader *r, const char *problem) {
    r->problem = problem;
    return false;
}

/* The next character that counts. */
static char skip_blanks(struct reader *r) {
    for (; *r->at && strchr(" \t\r\n", *r->at); r->at++) {
        if (*r->at != '\n') continue;
        r->line++;
        r->line_start = r->at + 1;
    }
    return *r->at;
}

/* The four digits of \u, or -1. */
static long read_hex(const char *at) {
    char digits[5] = "";
    for (int i = 0; i < 4; i++) {
        if (!isxdigit((unsigned char)at[i])) return -1;
        digits[i] = at[i];
    }
    return strtol(digits, NULL, 16);
}

/* After a backslash. What is written is never longer than what was read. Characters above U+FFFF
 * are two \u, of which the first one is no character. */
static bool read_escape(struct reader *r, char **to) {
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t",
                      lead[] = "\0\xc0\xe0\xf0";
    const char *letter = *r->at ? strchr(letters, *r->at) : NULL;
    if (letter) {
        *(*to)++ = meanings[letter - letters];
        r->at++;
        return true;
    }
    long character = *r->at == 'u' ? read_hex(r->at + 1) : -1;
    if (character <= 0) return bad(r, "no such escape, or a NUL");
    r->at += 5;
    if (character >= 0xd800 && character < 0xe000) {
        const long low = strncmp(r->at, "\\u", 2) == 0 ? read_hex(r->at + 2) : -1;
        if (character >= 0xdc00 || low < 0xdc00 || low > 0xdfff) return bad(r, "half a character");
        character = 0x10000 + ((character - 0xd800) << 10) + (low - 0xdc00);
        r->at += 6;
    }
    int more = character < 0x80 ? 0 : character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;
    *(*to)++ = (char)((unsigned char)lead[more] | character >> 6 * more);
    while (more-- > 0) *(*to)++ = (char)(0x80 | (character >> 6 * more & 0x3f));
    return true;
}

static bool read_string(struct reader *r, const char **text) {
    if (*r->at != '"') return bad(r, "a string is expected");
    char *to = ++r->at;
    *text = to;
    while (*r->at != '"') {
        size_t n = utf8_length(r->at);
        if ((unsigned char)*r->at < ' ')
            return bad(r, "a string does not end, or has a control character");
        if (n == 0) return bad(r, "this is not UTF-8");
        if (*r->at == '\\') {
            r->at++;
            if (!read_escape(r, &to)) return false;
            continue;
        }
        while (n-- > 0) *to++ = *r->at++;
    }
    *to = '\0';
    r->at++;
    return true;
}

static bool read_digits(struct reader *r) {
    const size_t n = strspn(r->at, "0123456789");
    r->at += n;
    return n > 0 || bad(r, "a digit is expected");
}

static bool read_number(struct reader *r) {
    if (*r->at == '-') r->at++;
    if (*r->at == '0' && isdigit((unsigned char)r->at[1])) return bad(r, "a number begins with 0");
    if (!read_digits(r)) return false;
    if (*r->at == '.' && (r->at++, !read_digits(r))) return false;
    if (*r->at != 'e' && *r->at != 'E') return true;
    r->at += r->at[1] == '+' || r->at[1] == '-' ? 2 : 1;
    return read_digits(r);
}

static bool read_value(struct reader *r, const char *key);

/* What is between brackets. Each name is there once: of two, readers would differ in which counts.
 */
static bool read_members(struct reader *r, int parent) {
    const bool object = r->values[parent].kind == '{';
    const char end = object ? '}' : ']';
    r->at++;
    if (skip_blanks(r) == end) return r->at++, true;
    for (;; r->at++) {
        const char *key = NULL;
        skip_blanks(r);
        if (object) {
            if (!read_string(r, &key)) return false;
            for (int i = parent + 1; i < r->count; i += r->values[i].next)
                if (strcmp(r->values[i].key, key) == 0)
                    return bad(r, keep("%s was there before", key));
            if (skip_blanks(r) != ':') return bad(r, "a colon is expected");
            r->at++;
        }
        if (!read_value(r, key)) return false;
        if (skip_blanks(r) == end) return r->at++, true;
        if (*r->at != ',') return bad(r, "a comma or the end of the list is expected");
    }
}

static bool read_value(struct reader *r, const char *key) {
    static const char *const words[] = {"true", "false", "null"};
    const char first = skip_blanks(r);
    if (r->count == r->room) return bad(r, "too many values");
    const int n = r->count++;
    struct value *v = &r->values[n];
    *v = (struct value){first, key, r->at, 1, r->line, (int)(r->at - r->line_start) + 1};
    bool good = false;
    if (first == '{' || first == '[') {
        good = ++r->depth <= JSON_DEPTH ? read_members(r, n) : bad(r, "too deep");
        r->depth--;
    } else if (first == '"') {
        good = read_string(r, &v->text);
    } else if (first == '-' || isdigit((unsigned char)first)) {
        v->kind = '0';
        good = read_number(r);
    } else {
        for (size_t i = 0; i < COUNT(words) && !good; i++) {
            good = strncmp(r->at, words[i], strlen(words[i])) == 0;
            if (good) r->at += strlen(words[i]);
        }
        if (!good) bad(r, "a value is expected");
    }
    v->next = r->count - n;
    return good;
}

/* Read size bytes of text, which end with NUL. */
static bool read_json(struct reader *r, char *text, size_t size) {
    int room = 1; /* each value but one follows one of these */
    for (const char *s = text; *s; s++)
        if (strchr(",[{", *s) && room < JSON_VALUES) room++;
    *r = (struct reader){.file = r->file, .at = text, .line_start = text, .line = 1, .room = room};
    r->values = calloc((size_t)room, sizeof *r->values);
    if (!r->values) return bad(r, "no memory");
    if (!read_value(r, NULL)) return false;
    skip_blanks(r);
    return r->at == text + size || bad(r, "something follows the value");
}

/* The file that values are from, for messages: one is read after the other. */
static const char *json_file;

__attribute__((format(printf, 2, 3))) static _Noreturn void wrong(const struct value *v,
                                                                  const char *why, ...) {
    char text[512];
    va_list args;
    va_start(args, why);
    vsnprintf(text, sizeof text, why, args);
    va_end(args);
    die("%s:%d:%d: %s%s%s", json_file, v->line, v->column, v->key ? v->key : "", v->key ? ": " : "",
        text);
}

/* The whole of a file ("-": of standard input), which stays in memory, for strings point into it.
 */
static const struct value *load_json(const char *path) {
    int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    char *text = calloc(1, JSON_BYTES + 1);
    struct reader r = {0};
    ssize_t n = fd < 0 ? -1 : 1;
    size_t size = 0;
    for (; text && n > 0 && size<JSON_BYTES; size += n> 0 ? (size_t)n : 0)
        n = read(fd, text + size, JSON_BYTES - size);
    if (!text || n < 0) die("%s: %s", path, strerror(errno));
    if (size == JSON_BYTES) die("%s: more than %d bytes", path, JSON_BYTES - 1);
    close_fd(&fd);
    json_file = path;
    if (!read_json(&r, text, size))
        die("%s:%d:%d: %s", path, r.line, (int)(r.at - r.line_start) + 1, r.problem);
    return r.values;
}

/* What is not there counts as null. Names that nobody knows are ignored: the specification wants
 * that, for its later versions. */
static const struct value absent = {.kind = 'n', .text = "", .next = 1};

/* The values of a list, and those of an object, one after the other: NULL before the first and
 * after the last. */
static const struct value *next_of(const struct value *parent, const struct value *v, char kind) {
    if (parent->kind != kind && parent->kind != 'n') wrong(parent, "'%c' is expected", kind);
    v = v ? v + v->next : parent + 1;
    return v < parent + parent->next ? v : NULL;
}
static const struct value *each(const struct value *list, const struct value *v) {
    return next_of(list, v, '[');
}
static const struct value *member(const struct value *object, const struct value *v) {
    return next_of(object, v, '{');
}

/* The value at a path such as "linux.resources.memory". */
static const struct value *find(const struct value *v, const char *path) {
    while (*path) {
        const size_t n = strcspn(path, ".");
        const struct value *m = NULL;
        while ((m = member(v, m)) != NULL)
            if (strncmp(m->key, path, n) == 0 && !m->key[n]) break;
        v = m ? m : &absent;
        path += n + (path[n] ? 1 : 0);
    }
    return v;
}

static const char *text_of(const struct value *v) {
    if (v->kind != '"') wrong(v, "a string is needed");
    return v->text;
}

static bool flag_of(const struct value *v) {
    if (!strchr("tfn", v->kind)) wrong(v, "true or false is needed");
    return v->kind == 't';
}

/* A whole number; otherwise if there is none. */
static long long number_of(const struct value *v, long long otherwise, long long low,
                           long long high) {
    char *end = NULL;
    if (v->kind == 'n') return otherwise;
    errno = 0;
    const long long n = v->kind == '0' ? strtoll(v->text, &end, 10) : 0;
    if (!end || errno || strchr(".eE", *end) || n < low || n > high)
        wrong(v, "a whole number from %lld to %lld is needed", low, high);
    return n;
}

/* One that may need all 64 bits. */
static uint64_t bits_of(const struct value *v) {
    char *end = NULL;
    errno = 0;
    const uint64_t n = v->kind == '0' && *v->text != '-' ? strtoull(v->text, &end, 10) : 0;
    if (v->kind != 'n' && (!end || errno || strchr(".eE", *end)))
        wrong(v, "a whole number is needed");
    return n;
}

/* ---- 15. seccomp profiles ---------------------------------------------------------------- */

/* System calls by name. From the third group on, numbers are the same on all architectures. */
static const struct call {
    const char *name;
    int number;
} calls[] = {
#define _(name) {#name, SYS_##name},
    // clang-format off
    _(accept) _(accept4) _(acct) _(add_key) _(adjtimex) _(bind) _(bpf) _(brk) _(capget) _(capset)
    _(chdir) _(chroot) _(clock_adjtime) _(clock_getres) _(clock_gettime) _(clock_nanosleep)
    _(clock_settime) _(clone) _(clone3) _(close) _(close_range) _(connect) _(copy_file_range)
    _(delete_module) _(dup) _(dup3) _(epoll_create1) _(epoll_ctl) _(epoll_pwait) _(epoll_pwait2)
    _(eventfd2) _(execve) _(execveat) _(exit) _(exit_group) _(faccessat) _(faccessat2)
    _(fadvise64) _(fallocate) _(fanotify_init) _(fanotify_mark) _(fchdir) _(fchmod) _(fchmodat)
    _(fchown) _(fchownat) _(fcntl) _(fdatasync) _(fgetxattr) _(finit_module) _(flistxattr)
    _(flock) _(fremovexattr) _(fsconfig) _(fsetxattr) _(fsmount) _(fsopen) _(fspick) _(fstat)
    _(fstatfs) _(fsync) _(ftruncate) _(futex) _(futex_waitv) _(get_mempolicy) _(get_robust_list)
    _(getcpu) _(getcwd) _(getdents64) _(getegid) _(geteuid) _(getgid) _(getgroups) _(getitimer)
    _(getpeername) _(getpgid) _(getpid) _(getppid) _(getpriority) _(getrandom) _(getresgid)
    _(getresuid) _(getrlimit) _(getrusage) _(getsid) _(getsockname) _(getsockopt) _(gettid)
    _(gettimeofday) _(getuid) _(getxattr) _(init_module) _(inotify_add_watch) _(inotify_init1)
    _(inotify_rm_watch) _(io_cancel) _(io_destroy) _(io_getevents) _(io_pgetevents) _(io_setup)
    _(io_submit) _(io_uring_enter) _(io_uring_register) _(io_uring_setup) _(ioctl) _(ioprio_get)
    _(ioprio_set) _(kcmp) _(kexec_file_load) _(kexec_load) _(keyctl) _(kill) _(landlock_add_rule)
    _(landlock_create_ruleset) _(landlock_restrict_self) _(lgetxattr) _(linkat) _(listen)
    _(listxattr) _(llistxattr) _(lookup_dcookie) _(lremovexattr) _(lseek) _(lsetxattr) _(madvise)
    _(mbind) _(membarrier) _(memfd_create) _(memfd_secret) _(migrate_pages) _(mincore) _(mkdirat)
    _(mknodat) _(mlock) _(mlock2) _(mlockall) _(mmap) _(mount) _(mount_setattr) _(move_mount)
    _(move_pages) _(mprotect) _(mq_getsetattr) _(mq_notify) _(mq_open) _(mq_timedreceive)
    _(mq_timedsend) _(mq_unlink) _(mremap) _(msgctl) _(msgget) _(msgrcv) _(msgsnd) _(msync)
    _(munlock) _(munlockall) _(munmap) _(name_to_handle_at) _(nanosleep) _(newfstatat)
    _(nfsservctl) _(open_by_handle_at) _(open_tree) _(openat) _(openat2) _(perf_event_open)
    _(personality) _(pidfd_getfd) _(pidfd_open) _(pidfd_send_signal) _(pipe2) _(pivot_root)
    _(pkey_alloc) _(pkey_free) _(pkey_mprotect) _(ppoll) _(prctl) _(pread64) _(preadv) _(preadv2)
    _(prlimit64) _(process_madvise) _(process_mrelease) _(process_vm_readv) _(process_vm_writev)
    _(pselect6) _(ptrace) _(pwrite64) _(pwritev) _(pwritev2) _(quotactl) _(quotactl_fd) _(read)
    _(readahead) _(readlinkat) _(readv) _(reboot) _(recvfrom) _(recvmmsg) _(recvmsg)
    _(remap_file_pages) _(removexattr) _(renameat) _(renameat2) _(request_key) _(restart_syscall)
    _(rseq) _(rt_sigaction) _(rt_sigpending) _(rt_sigprocmask) _(rt_sigqueueinfo) _(rt_sigreturn)
    _(rt_sigsuspend) _(rt_sigtimedwait) _(rt_tgsigqueueinfo) _(sched_get_priority_max)
    _(sched_get_priority_min) _(sched_getaffinity) _(sched_getattr) _(sched_getparam)
    _(sched_getscheduler) _(sched_rr_get_interval) _(sched_setaffinity) _(sched_setattr)
    _(sched_setparam) _(sched_setscheduler) _(sched_yield) _(seccomp) _(semctl) _(semget) _(semop)
    _(semtimedop) _(sendfile) _(sendmmsg) _(sendmsg) _(sendto) _(set_mempolicy)
    _(set_mempolicy_home_node) _(set_robust_list) _(set_tid_address) _(setdomainname) _(setfsgid)
    _(setfsuid) _(setgid) _(setgroups) _(sethostname) _(setitimer) _(setns) _(setpgid)
    _(setpriority) _(setregid) _(setresgid) _(setresuid) _(setreuid) _(setrlimit) _(setsid)
    _(setsockopt) _(settimeofday) _(setuid) _(setxattr) _(shmat) _(shmctl) _(shmdt) _(shmget)
    _(shutdown) _(sigaltstack) _(signalfd4) _(socket) _(socketpair) _(splice) _(statfs) _(statx)
    _(swapoff) _(swapon) _(symlinkat) _(sync) _(sync_file_range) _(syncfs) _(sysinfo) _(syslog)
    _(tee) _(tgkill) _(timer_create) _(timer_delete) _(timer_getoverrun) _(timer_gettime)
    _(timer_settime) _(timerfd_create) _(timerfd_gettime) _(timerfd_settime) _(times) _(tkill)
    _(truncate) _(umask) _(umount2) _(uname) _(unlinkat) _(unshare) _(userfaultfd) _(utimensat)
    _(vhangup) _(vmsplice) _(wait4) _(waitid) _(write) _(writev)
#ifdef __x86_64__
    _(_sysctl) _(access) _(afs_syscall) _(alarm) _(arch_prctl) _(chmod) _(chown) _(creat)
    _(create_module) _(dup2) _(epoll_create) _(epoll_ctl_old) _(epoll_wait) _(epoll_wait_old)
    _(eventfd) _(fork) _(futimesat) _(get_kernel_syms) _(get_thread_area) _(getdents) _(getpgrp)
    _(getpmsg) _(inotify_init) _(ioperm) _(iopl) _(lchown) _(link) _(lstat) _(mkdir) _(mknod)
    _(modify_ldt) _(open) _(pause) _(pipe) _(poll) _(putpmsg) _(query_module) _(readlink)
    _(rename) _(rmdir) _(security) _(select) _(set_thread_area) _(signalfd) _(stat) _(symlink)
    _(sysfs) _(time) _(tuxcall) _(unlink) _(uselib) _(ustat) _(utime) _(utimes) _(vfork)
    _(vserver)
#endif
#undef _
    // clang-format on
    {"futex_waitv", 449},
    {"set_mempolicy_home_node", 450},
    {"cachestat", 451},
    {"fchmodat2", 452},
    {"map_shadow_stack", 453},
    {"futex_wake", 454},
    {"futex_wait", 455},
    {"futex_requeue", 456},
    {"statmount", 457},
    {"listmount", 458},
    {"lsm_get_self_attr", 459},
    {"lsm_set_self_attr", 460},
    {"lsm_list_modules", 461},
    {"mseal", 462},
    {"setxattrat", 463},
    {"getxattrat", 464},
    {"listxattrat", 465},
    {"removexattrat", 466},
    {"open_tree_attr", 467},
};

/* A word and what it stands for; the last row has none. */
struct word {
    const char *text;
    uint32_t meaning;
};
static const struct word actions[] = {
    {"SCMP_ACT_KILL", SECCOMP_RET_KILL_THREAD},
    {"SCMP_ACT_KILL_THREAD", SECCOMP_RET_KILL_THREAD},
    {"SCMP_ACT_KILL_PROCESS", SECCOMP_RET_KILL_PROCESS},
    {"SCMP_ACT_TRAP", SECCOMP_RET_TRAP},
    {"SCMP_ACT_ERRNO", SECCOMP_RET_ERRNO},
    {"SCMP_ACT_TRACE", SECCOMP_RET_TRACE},
    {"SCMP_ACT_LOG", SECCOMP_RET_LOG},
    {"SCMP_ACT_ALLOW", SECCOMP_RET_ALLOW},
    {0},
};
static const struct word comparisons[] = {
    {"SCMP_CMP_NE", NE}, {"SCMP_CMP_LT", LT}, {"SCMP_CMP_LE", LE},        {"SCMP_CMP_EQ", EQ},
    {"SCMP_CMP_GE", GE}, {"SCMP_CMP_GT", GT}, {"SCMP_CMP_MASKED_EQ", EQ}, {0},
};

static uint32_t word_of(const struct value *v, const struct word *words) {
    while (words->text && strcmp(text_of(v), words->text) != 0) words++;
    if (!words->text) wrong(v, "'%s' is not supported", v->text);
    return words->meaning;
}

/* An action, with the errno that belongs to two of them. */
static uint32_t action_of(const struct value *object, const char *action, const char *error) {
    const uint32_t a = word_of(find(object, action), actions);
    const long long n = number_of(find(object, error), EPERM, 0, SECCOMP_RET_DATA);
    return a == SECCOMP_RET_ERRNO || a == SECCOMP_RET_TRACE ? a | (uint32_t)n : a;
}

/* The tests of arguments: all of them must hold. */
static void load_tests(struct rule *rule, const struct value *list) {
    for (const struct value *a = NULL; (a = each(list, a)) != NULL;) {
        const struct value *op = find(a, "op");
        struct test t = {(unsigned char)number_of(find(a, "index"), -1, 0, 5),
                         word_of(op, comparisons), UINT64_MAX, bits_of(find(a, "value"))};
        if (strcmp(op->text, "SCMP_CMP_MASKED_EQ") == 0) {
            t.mask = t.value;
            t.value = bits_of(find(a, "valueTwo"));
        }
        for (unsigned i = 0; i < rule->count; i++)
            if (rule->tests[i].argument == t.argument) wrong(a, "two tests of one argument");
        rule->tests[rule->count++] = t;
    }
}

/* Calls that this architecture does not have are left out, as libseccomp does: a profile is written
 * for all of them. Calls of another architecture never get as far as a rule. */
static void load_seccomp(struct wanted *w, const struct value *v) {
    const struct value *list = find(v, "syscalls");
    w->otherwise = action_of(v, "defaultAction", "defaultErrnoRet");
    w->last_call = INT_MAX;
    w->rules = calloc((size_t)list->next, sizeof *w->rules); /* more values than names */
    if (!w->rules) die("no memory");
    for (const struct value *s = NULL; (s = each(list, s)) != NULL;) {
        struct rule rule = {.action = action_of(s, "action", "errnoRet")};
        load_tests(&rule, find(s, "args"));
        for (const struct value *n = NULL; (n = each(find(s, "names"), n)) != NULL;)
            for (size_t i = 0; i < COUNT(calls); i++) {
                rule.call = calls[i].number;
                if (strcmp(text_of(n), calls[i].name) == 0) w->rules[w->rule_count++] = rule;
            }
    }
}

/* ---- 16. config.json --------------------------------------------------------------------- */

/* The bundle. */
static struct {
    const struct value *config;
    bool all_devices;
    int start_fd;           /* where `start` knocks */
    int console_fd, pid_fd; /* the manager's socket for the terminal, its file for the number */
} oci = {&absent, false, -1, -1, -1};

/* Options of a mount. With r before its name, one counts for all mounts below as well. */
static const struct mount_option {
    const char *name;
    uint64_t set, cleared, propagation;
} mount_options[] = {
    {"ro", RDONLY, 0, 0},
    {"rw", 0, RDONLY, 0},
    {"nosuid", MOUNT_ATTR_NOSUID, 0, 0},
    {"suid", 0, MOUNT_ATTR_NOSUID, 0},
    {"nodev", MOUNT_ATTR_NODEV, 0, 0},
    {"dev", 0, MOUNT_ATTR_NODEV, 0},
    {"noexec", MOUNT_ATTR_NOEXEC, 0, 0},
    {"exec", 0, MOUNT_ATTR_NOEXEC, 0},
    {"nodiratime", MOUNT_ATTR_NODIRATIME, 0, 0},
    {"diratime", 0, MOUNT_ATTR_NODIRATIME, 0},
    {"noatime", MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME, 0},
    {"relatime", 0, MOUNT_ATTR__ATIME, 0},
    {"strictatime", MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME, 0},
    {"atime", 0, MOUNT_ATTR_NOATIME, 0},
    {"nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0, 0},
    {"idmap", MOUNT_ATTR_IDMAP, 0, 0},
    {"private", 0, 0, MS_PRIVATE},
    {"slave", 0, 0, MS_SLAVE},
    {"shared", 0, 0, MS_SHARED},
    {"unbindable", 0, 0, MS_UNBINDABLE},
    {"bind", 0, 0, 0},
    {"defaults", 0, 0, 0},
};

static const struct mount_option *find_mount_option(const char *name) {
    for (size_t i = 0; i < COUNT(mount_options); i++)
        if (strcmp(mount_options[i].name, name) == 0) return &mount_options[i];
    return NULL;
}

/* The row that mounts on target, or the first free one. */
static struct mount *mount_row(struct wanted *w, const struct value *v, const char *target) {
    struct mount *m = w->mounts;
    while (m->type && strcmp(m->target, target) != 0) m++;
    if (m == w->mounts + MOUNTS) wrong(v, "there is no room for more than %d mounts", MOUNTS);
    return m;
}

/* What is no attribute of a mount is for its file system to know. */
static void load_mount_option(struct mount *m, const struct value *v) {
    const char *text = text_of(v);
    const struct mount_option *o = find_mount_option(text);
    const bool deep = !o && text[0] == 'r' && (o = find_mount_option(text + 1)) != NULL;
    if (o) {
        m->attributes = (m->attributes & ~o->cleared) | o->set;
        m->cleared = (m->cleared & ~o->set) | o->cleared;
        if (o->propagation) m->propagation = o->propagation;
        if (strcmp(o->name, "bind") == 0) m->type = deep ? "rbind" : "bind";
        if (deep && (o->set || o->cleared)) m->top_only = false;
    } else if (strcmp(text, "tmpcopyup") == 0) {
        m->copy_up = true;
    } else {
        m->data = m->data ? keep("%s,%s", m->data, text) : text;
    }
}

/* A device can be opened nowhere but where one is bound: that is how we do without a BPF program
 * for the cgroup. A container that may use all devices (--privileged) needs no such care. */
static void load_mounts(struct wanted *w, const struct value *list) {
    for (const struct value *v = NULL; (v = each(list, v)) != NULL;) {
        const struct value *type = find(v, "type"), *source = find(v, "source");
        struct mount row = {.type = type->kind == 'n' ? "none" : text_of(type), .top_only = true};
        row.source = source->kind == 'n' ? row.type : text_of(source);
        row.target = text_of(find(v, "destination"));
        if (row.target[0] != '/') wrong(v, "destination: an absolute path is needed");
        for (const struct value *o = NULL; (o = each(find(v, "options"), o)) != NULL;)
            load_mount_option(&row, o);
        if (is_bind(&row) && row.data) wrong(v, "option '%s' is unknown", row.data);
        if (is_bind(&row) && row.source[0] != '/')
            row.source = keep("%s/%s", w->bundle, row.source);
        if (strcmp(row.type, "cgroup") == 0) row.type = "cgroup2";
        if (find(v, "uidMappings")->kind != 'n') wrong(v, "its own mapping; use the option idmap");
        if (!oci.all_devices && strcmp(row.type, "devpts") != 0) row.attributes |= MOUNT_ATTR_NODEV;
        struct mount *m = mount_row(w, v, "");
        *m = row;
    }
}

/* What the rules say to a device, the last one that fits: may it be read and written? 'a' asks for
 * all devices. */
static bool may_use(const struct value *rules, char type, long long major, long long minor) {
    bool may_read = type != 'a', may_write = may_read;
    for (const struct value *r = NULL; (r = each(rules, r)) != NULL;) {
        const struct value *kind = find(r, "type"), *access = find(r, "access");
        const char its_type = kind->kind == 'n' ? 'a' : text_of(kind)[0];
        const long long its_major = number_of(find(r, "major"), -1, -1, UINT32_MAX);
        const long long its_minor = number_of(find(r, "minor"), -1, -1, UINT32_MAX);
        const char *what = access->kind == 'n' ? "rwm" : text_of(access);
        if (its_type != 'a' && (its_type != type || (its_major >= 0 && its_major != major) ||
                                (its_minor >= 0 && its_minor != minor)))
            continue;
        if (strchr(what, 'r')) may_read = flag_of(find(r, "allow"));
        if (strchr(what, 'w')) may_write = flag_of(find(r, "allow"));
    }
    return may_read && may_write;
}

/* The usual devices are there without being asked for. Each other one is a node that we make in
 * the container's directory (see make_devices), and bind to its place. */
static void load_devices(struct wanted *w, const struct value *list) {
    const struct value *rules = find(oci.config, "linux.resources.devices");
    for (size_t i = 0; i < COUNT(default_mounts); i++)
        if (default_mounts[i].attributes == DEVICE)
            *mount_row(w, list, default_mounts[i].target) = default_mounts[i];
    for (const struct value *v = NULL; (v = each(list, v)) != NULL;) {
        const char *path = text_of(find(v, "path")), type = text_of(find(v, "type"))[0];
        const long long major = number_of(find(v, "major"), 0, 0, UINT32_MAX);
        const long long minor = number_of(find(v, "minor"), 0, 0, UINT32_MAX);
        if (!strchr("cubp", type) || path[0] != '/') wrong(v, "this is no device");
        if (type != 'p' && !may_use(rules, type == 'u' ? 'c' : type, major, minor))
            wrong(v, "%s: less than reading and writing is not supported", path);
        *mount_row(w, v, path) = (struct mount){
            .type = "bind",
            .source = keep("%s/%s/device%td", w->lib_dir, w->name, v - list),
            .target = path,
            .data = type == 'p' ? NULL : keep("%lld:%lld", major, minor),
            .attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
            .cleared = MOUNT_ATTR_NODEV,
        };
    }
}

static bool has_namespace(const struct wanted *w, uint64_t flag) {
    for (size_t i = 0; i < COUNT(namespaces); i++)
        if (namespaces[i].flag == flag && w->joined[i]) return true;
    return w->namespaces & flag;
}

static void load_namespaces(struct wanted *w, const struct value *list) {
    w->namespaces = 0;
    for (const struct value *v = NULL; (v = each(list, v)) != NULL;) {
        const struct value *type = find(v, "type"), *path = find(v, "path");
        size_t i = 0;
        while (i < COUNT(namespaces) && strcmp(namespaces[i].oci_name, text_of(type)) != 0) i++;
        if (i == COUNT(namespaces)) wrong(type, "'%s' is not supported", type->text);
        if (w->joined[i] || w->namespaces & namespaces[i].flag)
            wrong(v, "%s is there twice", type->text);
        if (path->kind == 'n' || !*text_of(path))
            w->namespaces |= namespaces[i].flag;
        else
            w->joined[i] = path->text;
        if (w->joined[i] && namespaces[i].flag & (CLONE_NEWNS | CLONE_NEWUSER))
            wrong(path, "a namespace of mounts or users can only be a new one");
    }
    if (!(w->namespaces & CLONE_NEWNS)) wrong(list, "a new namespace of mounts is needed");
}

/* Lines of user_namespaces(7). */
static const char *load_map(const struct value *list) {
    const char *map = "";
    for (const struct value *v = NULL; (v = each(list, v)) != NULL;)
        map = keep("%s%lld %lld %lld\n", map, number_of(find(v, "containerID"), -1, 0, UINT32_MAX),
                   number_of(find(v, "hostID"), -1, 0, UINT32_MAX),
                   number_of(find(v, "size"), -1, 1, UINT32_MAX));
    return map;
}
static void load_uid_map(struct wanted *w, const struct value *v) {
    w->uid_map = load_map(v);
}
static void load_gid_map(struct wanted *w, const struct value *v) {
    w->gid_map = load_map(v);
}

/* Only what a namespace of the container's holds: anything else would be the host's. */
static void load_sysctls(struct wanted *w, const struct value *list) {
    static const struct {
        const char *prefix;
        uint64_t flag;
    } known[] = {{"net/", CLONE_NEWNET},       {"kernel/msg", CLONE_NEWIPC},
                 {"kernel/shm", CLONE_NEWIPC}, {"kernel/sem", CLONE_NEWIPC},
                 {"fs/mqueue/", CLONE_NEWIPC}, {"kernel/domainname", CLONE_NEWUTS}};
    size_t n = 0;
    for (const struct value *v = NULL; (v = member(list, v)) != NULL; n += 2) {
        char *name = keep("/proc/sys/%s", v->key), *rest = name + strlen("/proc/sys/");
        size_t i = 0;
        for (char *p = strchr(rest, '/') ? "" : rest; *p; p++) *p = *p == '.' ? '/' : *p;
        while (i < COUNT(known) && strncmp(rest, known[i].prefix, strlen(known[i].prefix)) != 0)
            i++;
        if (i == COUNT(known) || strstr(rest, "..") || !has_namespace(w, known[i].flag))
            wrong(v, "this belongs to the host, or to no namespace of this container");
        if (n + 2 > PATHS) wrong(v, "more than %d", PATHS / 2);
        w->sysctls[n] = name;
        w->sysctls[n + 1] = text_of(v);
    }
}

/* A limit of the cgroup. */
static void set_limit(struct wanted *w, const struct value *v, const char *file,
                      const char *value) {
    size_t n = 0;
    while (w->settings[n].file) n++;
    if (n == SETTINGS) wrong(v, "more than %d limits", SETTINGS);
    w->settings[n] = (struct setting){file, value, true};
}

/* A weight of cgroup v1, from low to high, on the scale of v2: 1 to 10000. */
static char *scale_weight(long long n, long long low, long long high) {
    return keep("%lld", 1 + (n > low ? n - low : 0) * 9999 / (high - low));
}

/* Processor, memory, processes. config.json speaks of cgroup v1, where 0 means: as it is. */
static void load_limits(struct wanted *w, const struct value *r) {
    static const char *const plain[][2] = {
        {"memory.limit", "memory.max"}, {"memory.reservation", "memory.low"},
        {"pids.limit", "pids.max"},     {"cpu.burst", "cpu.max.burst"},
        {"cpu.cpus", "cpuset.cpus"},    {"cpu.mems", "cpuset.mems"},
        {"cpu.idle", "cpu.idle"},
    };
    for (size_t i = 0; i < COUNT(plain); i++) {
        const struct value *v = find(r, plain[i][0]);
        const long long n = v->kind == '"' ? 0 : number_of(v, 0, LLONG_MIN, LLONG_MAX);
        if (v->kind == '"' && *v->text) set_limit(w, v, plain[i][1], v->text);
        if (n) set_limit(w, v, plain[i][1], n < 0 ? "max" : keep("%lld", n));
    }
    const long long memory = number_of(find(r, "memory.limit"), 0, -1, LLONG_MAX);
    const struct value *swap = find(r, "memory.swap"); /* memory and swap together */
    const long long both = number_of(swap, 0, -1, LLONG_MAX);
    if (both > 0 && (memory <= 0 || memory > both)) wrong(swap, "less than memory.limit");
    if (both) set_limit(w, swap, "memory.swap.max", both < 0 ? "max" : keep("%lld", both - memory));
    const long long shares = number_of(find(r, "cpu.shares"), 0, 0, 262144);
    if (shares) set_limit(w, r, "cpu.weight", scale_weight(shares, 2, 262144));
    const long long quota = number_of(find(r, "cpu.quota"), 0, -1, LLONG_MAX);
    const long long period = number_of(find(r, "cpu.period"), 0, 0, 1000000);
    if (quota || period)
        set_limit(
            w, r, "cpu.max",
            keep("%s %lld", quota > 0 ? keep("%lld", quota) : "max", period ? period : CPU_PERIOD));
}

/* Disks, and what is written to cgroup v2 as it is. */
static void load_resources(struct wanted *w, const struct value *r) {
    static const char *const rates[][2] = {{"blockIO.throttleReadBpsDevice", "rbps"},
                                           {"blockIO.throttleWriteBpsDevice", "wbps"},
                                           {"blockIO.throttleReadIOPSDevice", "riops"},
                                           {"blockIO.throttleWriteIOPSDevice", "wiops"}};
    load_limits(w, r);
    const long long weight = number_of(find(r, "blockIO.weight"), 0, 0, 1000);
    if (weight) set_limit(w, r, "io.weight", scale_weight(weight, 10, 1000));
    for (size_t i = 0; i < COUNT(rates); i++)
        for (const struct value *v = NULL; (v = each(find(r, rates[i][0]), v)) != NULL;)
            set_limit(w, v, "io.max",
                      keep("%lld:%lld %s=%lld", number_of(find(v, "major"), -1, 0, UINT32_MAX),
                           number_of(find(v, "minor"), -1, 0, UINT32_MAX), rates[i][1],
                           number_of(find(v, "rate"), -1, 1, LLONG_MAX)));
    for (const struct value *v = NULL; (v = member(find(r, "unified"), v)) != NULL;) {
        if (strchr(v->key, '/')) wrong(v, "this is no file of a cgroup");
        set_limit(w, v, v->key, text_of(v));
    }
}

static const char *const capability_sets[] = {"bounding", "effective", "permitted", "inheritable",
                                              "ambient"};

static void load_capabilities(struct wanted *w, const struct value *sets) {
    for (int i = 0; i < CAPABILITY_SETS; i++) {
        w->capabilities[i] = 0;
        for (const struct value *v = NULL; (v = each(find(sets, capability_sets[i]), v)) != NULL;)
            w->capabilities[i] |= parse_capability(text_of(v));
    }
}

static const struct word limit_names[] = {
    {"RLIMIT_AS", RLIMIT_AS},
    {"RLIMIT_CORE", RLIMIT_CORE},
    {"RLIMIT_CPU", RLIMIT_CPU},
    {"RLIMIT_DATA", RLIMIT_DATA},
    {"RLIMIT_FSIZE", RLIMIT_FSIZE},
    {"RLIMIT_LOCKS", RLIMIT_LOCKS},
    {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
    {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
    {"RLIMIT_NICE", RLIMIT_NICE},
    {"RLIMIT_NOFILE", RLIMIT_NOFILE},
    {"RLIMIT_NPROC", RLIMIT_NPROC},
    {"RLIMIT_RSS", RLIMIT_RSS},
    {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
    {"RLIMIT_RTTIME", RLIMIT_RTTIME},
    {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
    {"RLIMIT_STACK", RLIMIT_STACK},
    {0},
};

static void load_rlimits(struct wanted *w, const struct value *list) {
    size_t n = 0;
    for (const struct value *v = NULL; (v = each(list, v)) != NULL;) {
        if (n == LIMITS) wrong(v, "more than %d", LIMITS);
        w->process_limits[n++] =
            (struct process_limit){(int)word_of(find(v, "type"), limit_names),
                                   bits_of(find(v, "soft")), bits_of(find(v, "hard"))};
    }
}

static void load_user(struct wanted *w, const struct value *user) {
    const struct value *groups = find(user, "additionalGids");
    w->uid = (uid_t)number_of(find(user, "uid"), 0, 0, UINT32_MAX - 1);
    w->gid = (gid_t)number_of(find(user, "gid"), 0, 0, UINT32_MAX - 1);
    w->umask = (mode_t)number_of(find(user, "umask"), 022, 0, 0777);
    w->group_count = 0;
    for (const struct value *v = NULL; (v = each(groups, v)) != NULL;) {
        if (w->group_count == GROUPS) wrong(v, "more than %d groups", GROUPS);
        w->groups[w->group_count++] = (gid_t)number_of(v, -1, 0, UINT32_MAX - 1);
    }
}

/* Where to it may lead is looked at later; here, that it stays below what it is joined to. */
static void load_cgroup(struct wanted *w, const struct value *v) {
    w->cgroup = text_of(v) + strspn(text_of(v), "/");
    if (v->text[0] != '/') w->cgroup = keep("container_engine/%s", w->cgroup);
    if (strstr(w->cgroup, "..") || strchr(w->cgroup, ':'))
        wrong(v, "a plain path is needed; for systemd's, use the cgroup manager cgroupfs instead");
}

static void load_propagation(struct wanted *w, const struct value *v) {
    const char *text = text_of(v);
    const struct mount_option *o = find_mount_option(text[0] == 'r' ? text + 1 : text);
    if (!o || !o->propagation) wrong(v, "'%s' is no propagation", text);
    w->root_propagation = o->propagation;
}

static void load_apparmor(struct wanted *w, const struct value *v) {
    if (*text_of(v)) w->exec_label = keep("exec %s", v->text);
}

/* The texts of a list, up to NULL. */
static char **texts_of(const struct value *list) {
    char **texts = calloc((size_t)list->next, sizeof *texts), **text = texts;
    if (!texts) die("out of memory");
    for (const struct value *v = NULL; (v = each(list, v)) != NULL;)
        *text++ = (char *)(uintptr_t)text_of(v);
    return texts;
}

static void load_args(struct wanted *w, const struct value *list) {
    w->argv = texts_of(list);
    if (!w->argv[0]) wrong(list, "there is no program");
}

/* A program of the host's, at one of six points of a container's life. */
struct hook {
    const char *path;
    char **argv, **environment;
    int seconds;
};

static struct hook hook_of(const struct value *v) {
    const struct value *env = find(v, "env");
    struct hook h = {text_of(find(v, "path")), texts_of(find(v, "args")),
                     env->kind == 'n' ? NULL : texts_of(env),
                     (int)number_of(find(v, "timeout"), INT_MAX / 1000, 1, INT_MAX / 1000)};
    if (h.path[0] != '/') wrong(v, "path: an absolute one is needed");
    return h;
}

/* They are looked at before anything is made: then they can still be refused. */
static void load_hooks(struct wanted *w, const struct value *hooks) {
    (void)w;
    for (const struct value *kind = NULL, *v; (kind = member(hooks, kind)) != NULL;)
        for (v = NULL; (v = each(kind, v)) != NULL;) hook_of(v);
}

/* The keys that we know. Which others there are changes nothing (see find). */
struct key {
    const char *path;
    enum { TEXT, FLAG, NUMBER, LIST, CALL, REFUSED } kind;
    size_t offset; /* where in struct wanted; */
    size_t room;   /* of a LIST, for so many */
    void (*take)(struct wanted *w, const struct value *v);
};
#define FIELD(field) offsetof(struct wanted, field)

static const struct key process_keys[] = {
    {"args", CALL, 0, 0, load_args},
    {"env", LIST, FIELD(environment), VARIABLES, NULL},
    {"cwd", TEXT, FIELD(cwd), 0, NULL},
    {"user", CALL, 0, 0, load_user},
    {"terminal", FLAG, FIELD(terminal), 0, NULL},
    {"capabilities", CALL, 0, 0, load_capabilities},
    {"rlimits", CALL, 0, 0, load_rlimits},
    {"oomScoreAdj", NUMBER, FIELD(oom_score), 0, NULL},
    {"apparmorProfile", CALL, 0, 0, load_apparmor},
    {"selinuxLabel", TEXT, FIELD(exec_label), 0, NULL},
    {"scheduler", REFUSED, 0, 0, NULL},
    {"ioPriority", REFUSED, 0, 0, NULL},
    {"execCPUAffinity", REFUSED, 0, 0, NULL},
    {0},
};
static const struct key resource_keys[] = {
    {"", CALL, 0, 0, load_resources},
    {"hugepageLimits", REFUSED, 0, 0, NULL},
    {"rdma", REFUSED, 0, 0, NULL},
    {"network", REFUSED, 0, 0, NULL},
    {"memory.kernel", REFUSED, 0, 0, NULL},
    {"memory.kernelTCP", REFUSED, 0, 0, NULL},
    {"memory.swappiness", REFUSED, 0, 0, NULL},
    {"memory.disableOOMKiller", REFUSED, 0, 0, NULL},
    {"cpu.realtimeRuntime", REFUSED, 0, 0, NULL},
    {"cpu.realtimePeriod", REFUSED, 0, 0, NULL},
    {"blockIO.leafWeight", REFUSED, 0, 0, NULL},
    {"blockIO.weightDevice", REFUSED, 0, 0, NULL},
    {0},
};
static const struct key config_keys[] = {
    {"linux.namespaces", CALL, 0, 0, load_namespaces},
    {"mounts", CALL, 0, 0, load_mounts},
    {"linux.uidMappings", CALL, 0, 0, load_uid_map},
    {"linux.gidMappings", CALL, 0, 0, load_gid_map},
    {"linux.sysctl", CALL, 0, 0, load_sysctls},
    {"linux.cgroupsPath", CALL, 0, 0, load_cgroup},
    {"linux.maskedPaths", LIST, FIELD(masked), PATHS, NULL},
    {"linux.readonlyPaths", LIST, FIELD(read_only_paths), PATHS, NULL},
    {"linux.rootfsPropagation", CALL, 0, 0, load_propagation},
    {"linux.seccomp", CALL, 0, 0, load_seccomp},
    {"linux.seccomp.listenerPath", REFUSED, 0, 0, NULL},
    {"linux.intelRdt", REFUSED, 0, 0, NULL},
    {"linux.personality", REFUSED, 0, 0, NULL},
    {"linux.timeOffsets", REFUSED, 0, 0, NULL},
    {"linux.mountLabel", REFUSED, 0, 0, NULL},
    {"root.path", TEXT, FIELD(rootfs), 0, NULL},
    {"root.readonly", FLAG, FIELD(read_only), 0, NULL},
    {"hostname", TEXT, FIELD(hostname), 0, NULL},
    {"domainname", TEXT, FIELD(domainname), 0, NULL},
    {"hooks", CALL, 0, 0, load_hooks},
    {0},
};

/* An empty value asks for nothing. */
static bool is_empty(const struct value *v) {
    return v->next == 1 &&
           (strchr("{[fn", v->kind) || (v->kind == '0' && strtod(v->text, NULL) == 0) ||
            (v->kind == '"' && !*v->text));
}

static void load_list(const char **list, size_t room, const struct value *v) {
    size_t n = 0;
    for (const struct value *m = NULL; (m = each(v, m)) != NULL; list[n] = NULL) {
        if (n == room) wrong(m, "more than %zu", room);
        list[n++] = text_of(m);
    }
}

/* Walk through a table. Never is a key that we know dropped without a word. */
static void load_keys(struct wanted *w, const struct value *object, const struct key *k) {
    if (object->kind != '{') wrong(object, "an object is needed");
    for (; k->path; k++) {
        const struct value *v = find(object, k->path);
        void *field = (char *)w + k->offset;
        if (v->kind == 'n') continue;
        if (k->kind == TEXT) *(const char **)field = text_of(v);
        if (k->kind == FLAG) *(bool *)field = flag_of(v);
        if (k->kind == NUMBER) *(int *)field = (int)number_of(v, 0, INT_MIN, INT_MAX);
        if (k->kind == LIST) load_list(field, k->room, v);
        if (k->kind == CALL) k->take(w, v);
        if (k->kind == REFUSED && !is_empty(v)) wrong(v, "this is not supported");
    }
}

static void check_process(struct wanted *w, const struct value *process) {
    if (!w->argv) wrong(process, "args are needed");
    if (w->cwd[0] != '/') wrong(process, "cwd: an absolute path is needed");
    w->new_privileges = !flag_of(find(process, "noNewPrivileges"));
}

static const char *kept_config(const struct container *c) {
    return keep("%s/%s/config.json", c->want.lib_dir, c->want.name);
}

/* A whole container. What config.json does not speak of is empty, not as in ours. */
static void load_config(struct container *c, const char *path, const char *bundle) {
    struct wanted *w = &c->want;
    *w = (struct wanted){.name = w->name,
                         .lib_dir = w->lib_dir,
                         .rootfs = "",
                         .hostname = "",
                         .address = "",
                         .bridge = "",
                         .bundle = bundle,
                         .umask = 022,
                         .cwd = "/",
                         .write_through = true};
    w->cgroup = keep("container_engine/%s", w->name);
    oci.config = load_json(path);
    const struct value *rules = find(oci.config, "linux.resources.devices");
    if (strncmp(text_of(find(oci.config, "ociVersion")), "1.", 2) != 0)
        wrong(find(oci.config, "ociVersion"), "this is for version 1");
    oci.all_devices = may_use(rules, 'a', -1, -1);
    w->mounts[0] = (struct mount){.type = "rbind",
                                  .target = "/",
                                  .source = "/",
                                  .top_only = true,
                                  .attributes = oci.all_devices ? 0 : MOUNT_ATTR_NODEV};
    load_keys(w, oci.config, config_keys);
    load_keys(w, find(oci.config, "process"), process_keys);
    if (find(oci.config, "linux.resources")->kind != 'n')
        load_keys(w, find(oci.config, "linux.resources"), resource_keys);
    load_devices(w, find(oci.config, "linux.devices"));
    check_process(w, find(oci.config, "process"));
    if (w->rootfs[0] != '/') w->rootfs = keep("%s/%s", bundle, w->rootfs);
    w->mounts[0].source = w->rootfs;
    w->users = w->namespaces & CLONE_NEWUSER ? ON : OFF;
    if (w->users == OFF && (w->uid_map || w->gid_map))
        die("%s: uidMappings, gidMappings: there is no new user namespace", path);
    if (w->users == ON && !(w->uid_map && w->gid_map))
        die("%s: mappings of users are needed", path);
    if (w->hostname[0] && !has_namespace(w, CLONE_NEWUTS))
        die("%s: hostname: it is the host's", path);
}

/* ---- 17. Create, start, state and the rest ----------------------------------------------- */

/* A text as JSON has it. */
static void put_string(FILE *f, const char *text) {
    fputc('"', f);
    for (; *text; text++)
        if ((unsigned char)*text < ' ')
            fprintf(f, "\\u%04x", (unsigned)*text);
        else
            fprintf(f, strchr("\"\\", *text) ? "\\%c" : "%c", *text);
    fputc('"', f);
}

/* creating, created, running, paused, stopped: as the specification calls them. */
static const char *oci_status(const struct container *c) {
    char frozen[4] = "";
    if (!runs(&c->made)) return !c->made.pid && has_engine(&c->made) ? "creating" : "stopped";
    read_file(c->cgroup_fd, "cgroup.freeze", frozen, sizeof frozen);
    return !c->made.started ? "created" : frozen[0] == '1' ? "paused" : "running";
}

/* What `state` prints and hooks read. */
static void put_state(FILE *f, const struct container *c, const char *status) {
    const char *separator = "";
    const bool lives = runs(&c->made);
    fprintf(f, "{\"ociVersion\":\"1.0.2\",\"id\":\"%s\",\"status\":\"%s\",", c->want.name, status);
    if (lives) fprintf(f, "\"pid\":%lld,", c->made.pid);
    fprintf(f, "\"bundle\":");
    put_string(f, c->made.bundle);
    fprintf(f, ",\"annotations\":{");
    for (const struct value *v = NULL; (v = member(find(oci.config, "annotations"), v)) != NULL;) {
        fputs(separator, f);
        put_string(f, v->key);
        fputc(':', f);
        put_string(f, text_of(v));
        separator = ",";
    }
    fprintf(f, "}}\n");
}

/* Programs of the host's that the bundle names; they read the state. */
static int run_hooks(struct container *c, const char *kind, const char *status) {
    const struct value *list = find(find(oci.config, "hooks"), kind);
    char *state = NULL;
    size_t size = 0;
    FILE *f = list->next > 1 ? open_memstream(&state, &size) : NULL;
    if (!f) return 0;
    put_state(f, c, status);
    fclose(f);
    for (const struct value *v = NULL; (v = each(list, v)) != NULL;) {
        const struct hook h = hook_of(v);
        const char *const own[] = {h.path, NULL};
        c->program.path = h.path;
        c->program.environment = (const char *const *)h.environment;
        int result = start_program(c, h.argv[0] ? (const char *const *)h.argv : own, state, -1);
        if (result >= 0) result = await_program(c, h.seconds);
        c->program.path = NULL;
        c->program.environment = NULL;
        if (result < 0) return -1;
    }
    free(state);
    return 0;
}

/* claim: a name that is there is taken, unless it is from before the last boot: then nothing of it
 * runs, and whoever made it does not know of it any more. */
static int claim_id(struct container *c) {
    struct made old;
    if (lock_host(c) < 0) return -1;
    const bool is_there = read_state(&old, c->lib_fd, c->want.name) == 0;
    if (is_there && strcmp(old.boot, this_boot()) != 0) set_aside(c);
    unlock_host(c);
    if (is_there && strcmp(old.boot, this_boot()) == 0)
        return refuse(c, "container %s exists already", c->want.name);
    if (is_there) remove_set_aside(c);
    if (claim(c) < 0) return -1;
    COPY(c->made.bundle, c->want.bundle ? c->want.bundle : "");
    return c->fresh ? 0 : refuse(c, "container %s exists already", c->want.name);
}

static int unix_socket(void) {
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

/* bundle: what later commands need: config.json as it was, devices, and the place where the child
 * waits for start. */
static int keep_bundle(struct container *c) {
    const struct value *list = find(oci.config, "linux.devices");
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int from_fd = open(keep("%s/config.json", c->want.bundle), O_RDONLY | O_CLOEXEC);
    int to_fd = openat(c->dir_fd, "config.json", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    const ssize_t n = sendfile(to_fd, from_fd, NULL, JSON_BYTES);
    close_fd(&from_fd);
    close_fd(&to_fd);
    if (n < 0) return fail(c, "copy config.json");
    for (const struct value *v = NULL; (v = each(list, v)) != NULL;) {
        const char *node = keep("device%td", v - list), type = text_of(find(v, "type"))[0];
        const mode_t kind = type == 'b' ? S_IFBLK : type == 'p' ? S_IFIFO : S_IFCHR;
        const mode_t mode = (mode_t)number_of(find(v, "fileMode"), 0666, 0, UINT32_MAX) & 07777;
        const dev_t device = makedev((unsigned)number_of(find(v, "major"), 0, 0, UINT32_MAX),
                                     (unsigned)number_of(find(v, "minor"), 0, 0, UINT32_MAX));
        const long long uid = c->made.base + number_of(find(v, "uid"), 0, 0, UINT32_MAX);
        const long long gid = c->made.base + number_of(find(v, "gid"), 0, 0, UINT32_MAX);
        if (mknodat(c->dir_fd, node, kind | mode, type == 'p' ? 0 : device) < 0 ||
            fchownat(c->dir_fd, node, (uid_t)uid, (gid_t)gid, 0) < 0 ||
            fchmodat(c->dir_fd, node, mode, 0) < 0)
            return fail(c, "make the device for %s", text_of(find(v, "path")));
    }
    snprintf(name.sun_path, sizeof name.sun_path, "/proc/self/fd/%d/start", c->dir_fd);
    oci.start_fd = unix_socket();
    if (bind(oci.start_fd, (const struct sockaddr *)&name, sizeof name) < 0 ||
        listen(oci.start_fd, 1) < 0)
        return fail(c, "make the socket for start");
    return 0;
}

/* namespaces: of others, which the child inherits from us. setns(2) */
static int join_namespaces(struct container *c) {
    for (size_t i = 0; i < COUNT(namespaces); i++) {
        if (!c->want.joined[i]) continue;
        int fd = open(c->want.joined[i], O_RDONLY | O_CLOEXEC);
        const long result = fd < 0 ? -1 : setns(fd, (int)namespaces[i].flag);
        close_fd(&fd);
        if (did(c, result, "join the %s namespace %s", namespaces[i].oci_name, c->want.joined[i]) <
            0)
            return -1;
    }
    return 0;
}

static int run_create_hooks(struct container *c) {
    if (write_state(c) < 0) return fail(c, "cannot write the state");
    return run_hooks(c, "prestart", "creating") < 0 ? -1
                                                    : run_hooks(c, "createRuntime", "creating");
}

static int run_container_hooks(struct container *c) {
    return run_hooks(c, "createContainer", "creating");
}

/* The manager's files are opened before anything is made, and before exec enters the container. */
static void open_manager_files(struct container *c) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    c->has_terminal = c->want.terminal;
    if (c->has_terminal != !!flags.console_socket)
        die("a terminal needs --console-socket, and nothing else does");
    if (flags.console_socket) {
        COPY(name.sun_path, flags.console_socket);
        oci.console_fd = unix_socket();
        if (connect(oci.console_fd, (const struct sockaddr *)&name, sizeof name) < 0)
            die("--console-socket %s: %s", flags.console_socket, strerror(errno));
    }
    c->want.kept_fds =
        flags.preserve_fds ? (int)parse_whole("--preserve-fds", flags.preserve_fds, 1000) : 0;
    for (int fd = 3; fd < 3 + c->want.kept_fds; fd++)
        if (fcntl(fd, F_GETFD) < 0) die("--preserve-fds: %d: %s", fd, strerror(errno));
    if (!flags.pid_file) return;
    oci.pid_fd = open(flags.pid_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (oci.pid_fd < 0) die("--pid-file %s: %s", flags.pid_file, strerror(errno));
}

/* The master of the terminal goes to whoever listens there, unix(7); then the number of the first
 * process may be known. */
static int tell_manager(struct container *c) {
    const struct value *size = find(oci.config, "process.consoleSize");
    const struct winsize w = {(unsigned short)number_of(find(size, "height"), 0, 0, USHRT_MAX),
                              (unsigned short)number_of(find(size, "width"), 0, 0, USHRT_MAX), 0,
                              0};
    if (c->has_terminal && w.ws_row) ioctl(c->terminal_fd, TIOCSWINSZ, &w);
    if (c->has_terminal && (fcntl(c->terminal_fd, F_SETFL, 0) < 0 ||
                            pass_fds(oci.console_fd, 'c', &c->terminal_fd, 1) < 0))
        return fail(c, "send the terminal");
    if (oci.pid_fd >= 0 && dprintf(oci.pid_fd, "%lld", c->made.pid) < 0)
        return fail(c, "write the pid file");
    return 0;
}

/* ready: all walls stand, and the child waits. From here on nobody looks after it. */
static int await_ready(struct container *c) {
    if (await(c, c->go_fd) < 0) return -1;
    if (pass_fds(c->go_fd, 0, &c->terminal_fd, 1) <= 0) return child_died(c);
    if (note_start(c) < 0) return -1;
    c->made.started = 0;
    if (write_state(c) < 0) return fail(c, "cannot write the state");
    return tell_manager(c);
}

/* What clients rely on: HOME as the container's passwd(5) has it, and a working directory. */
static void prepare_program(struct container *c) {
    struct wanted *w = &c->want;
    struct passwd *user = NULL;
    FILE *f = fopen("/etc/passwd", "re");
    int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    while (f && (user = fgetpwent(f)) != NULL && user->pw_uid != w->uid) {
    }
    set_variable(w, keep("HOME=%s", user ? user->pw_dir : "/"), false);
    if (f) fclose(f);
    int cwd_fd = open_inside(root_fd, keep("%s", w->cwd + 1), root_fd, RESOLVE_IN_ROOT);
    must(c, cwd_fd, "cwd %s", w->cwd);
    close_fd(&cwd_fd);
    close_fd(&root_fd);
}

/* That the program is there is said now, and not only by start: managers want it so. */
static void find_program(struct container *c) {
    const char *program = c->want.argv[0], *path = STANDARD_PATH;
    struct stat s;
    int error = ENOENT;
    for (const char *const *e = c->want.environment; *e; e++)
        if (strncmp(*e, "PATH=", 5) == 0) path = *e + 5;
    if (strchr(program, '/')) path = program[0] == '/' ? "" : c->want.cwd;
    for (; error && path; path = strchr(path, ':') ? strchr(path, ':') + 1 : NULL) {
        const char *file = keep("%.*s/%s", (int)strcspn(path, ":"), path, program);
        if (stat(file, &s) == 0) error = S_ISREG(s.st_mode) && access(file, X_OK) == 0 ? 0 : EACCES;
    }
    errno = error;
    must(c, error ? -1 : 0, "%s", program);
}

/* start: the child waits until somebody connects, who then hears how it ends: all that a failing
 * step says from now on goes there. */
static int await_start(struct container *c) {
    prepare_program(c);
    find_program(c);
    must(c, pass_fds(c->go_fd, 'r', &c->terminal_fd, c->has_terminal), "tell the engine");
    int fd = accept4(oci.start_fd, NULL, NULL, SOCK_CLOEXEC);
    must(c, fd, "accept");
    c->report_fd = c->go_fd = fd;
    c->asks = false;
    return run_hooks(c, "startContainer", "created");
}

/* seccomp: without no_new_privs the kernel wants a capability for it, so it comes before caps. */
static int filter_before(struct container *c) {
    return c->want.new_privileges ? filter_calls(c) : 0;
}
static int filter_after(struct container *c) {
    return c->want.new_privileges ? 0 : filter_calls(c);
}

static const struct step create_steps[] = {
    {"claim", "takes the name", "", claim_id, release},
    {"cgroup", "writes the limits", "", make_cgroup, remove_cgroup},
    {"bundle", "keeps what later commands need", "", keep_bundle, NULL},
    {"namespaces", "joins those of others", "", join_namespaces, NULL},
    {"clone", "makes the child", "", clone_child, end_child},
    {"users", "maps user ids", "", map_users, NULL},
    {"hooks", "runs what the bundle names", "", run_create_hooks, NULL},
    {"layer", "sends the root and what is bound into it", "", mount_layer, NULL},
    {"ready", "waits until all walls stand", "", await_ready, NULL},
    {0},
};
static const struct step create_child_steps[] = {
    {"private", "leaves the caller's session, keys and mounts", "", leave_host, NULL},
    {"mounts", "mounts what config.json names", "", place_mounts, NULL},
    {"hooks", "runs what the bundle names", "", run_container_hooks, NULL},
    {"pivot", "changes the root", "", pivot, NULL},
    {"hostname", "sets the name", "", set_hostname, NULL},
    {"start", "waits for it", "", await_start, NULL},
    {"seccomp", "filters system calls", "", filter_before, NULL},
    {"caps", "drops capabilities, and becomes the user", "", drop_capabilities, NULL},
    {"seccomp", "filters system calls", "", filter_after, NULL},
    {"exec", "becomes the program", "", execute, NULL},
    {0},
};

static int find_home(struct container *c) {
    prepare_program(c);
    return 0;
}

static const struct step oci_exec_child_steps[] = {
    {"join", "enters the container's namespaces", "", join, NULL},
    {"terminal", "opens one of the container's terminals", "", open_exec_terminal, NULL},
    {"program", "looks for its home and directory", "", find_home, NULL},
    {"seccomp", "filters system calls", "", filter_before, NULL},
    {"caps", "drops capabilities, and becomes the user", "", drop_capabilities, NULL},
    {"seccomp", "filters system calls", "", filter_after, NULL},
    {"exec", "becomes the program", "", execute, NULL},
    {0},
};
static const struct step oci_exec_steps[] = {
    {"enter", "joins the container's namespaces", "", enter, NULL},
    {"clone", "makes the child, in the container's cgroup", "", clone_child, end_child},
    {"go", "lets the child become the program", "", go, NULL},
    {"ready", "tells the manager", "", tell_manager, NULL},
    {0},
};

static int oci_create(struct container *c, char **argv) {
    take_name("ID", argv[0]);
    c->want.name = argv[0];
    const char *bundle = realpath(flags.bundle ? flags.bundle : ".", NULL);
    if (!bundle) die("%s: %s", flags.bundle, strerror(errno));
    load_config(c, keep("%s/config.json", bundle), bundle);
    if (c->want.users == OFF) run_sealed();
    open_manager_files(c);
    c->child_steps = create_child_steps;
    return make_steps(c, create_steps);
}

/* A container of ours, with its config.json. */
static void need_bundle(struct container *c, const char *name, bool running) {
    need_container(c, name, running);
    if (!c->made.bundle[0]) die("container %s has no bundle", name);
    load_config(c, kept_config(c), keep("%s", c->made.bundle));
}

/* Knock, and hear how it goes on. */
static void start_created(struct container *c) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof name.sun_path, "/proc/self/fd/%d/start", c->dir_fd);
    close_fd(&c->report_fd);
    c->report_fd = unix_socket();
    if (connect(c->report_fd, (const struct sockaddr *)&name, sizeof name) < 0)
        die("container %s cannot be started: %s", c->want.name, strerror(errno));
    unlinkat(c->dir_fd, "start", 0);
    int said = hear_child(c);
    if (said == READY) said = hear_child(c);
    if (said != 0) die("%s: %s", c->report.step, c->report.why);
    c->made.started = time(NULL);
    if (write_state(c) < 0) die("cannot write the state of %s", c->want.name);
    if (run_hooks(c, "poststart", "running") < 0) warn("warning: poststart: %s", c->report.why);
}

static int oci_start(struct container *c, char **argv) {
    need_bundle(c, argv[0], true);
    if (c->made.started) die("container %s has been started already", argv[0]);
    start_created(c);
    return 0;
}

static int oci_state(struct container *c, char **argv) {
    need_bundle(c, argv[0], false);
    put_state(stdout, c, oci_status(c));
    return 0;
}

/* What is in its cgroup: one number after the other; 0 after the last. */
static long long next_process(FILE *f) {
    long long pid = 0;
    return f && fscanf(f, "%lld", &pid) == 1 ? pid : 0;
}

static FILE *open_processes(const struct container *c) {
    return fopen(keep("%s/cgroup.procs", c->made.cgroup), "re");
}

static int oci_kill(struct container *c, char **argv) {
    if (!flags.all) return send_signal(c, argv);
    const int number = parse_signal(argv[1] ? argv[1] : "TERM");
    need_bundle(c, argv[0], false);
    FILE *f = open_processes(c);
    for (long long pid; (pid = next_process(f)) != 0;) kill((pid_t)pid, number);
    if (f) fclose(f);
    return 0;
}

static int oci_ps(struct container *c, char **argv) {
    if (!argv[0]) return list(c, argv);
    need_container(c, argv[0], true);
    FILE *f = open_processes(c);
    const char *separator = "[";
    const bool json = flags.format && strcmp(flags.format, "json") == 0;
    if (!json) puts("PID");
    for (long long pid; (pid = next_process(f)) != 0; separator = ",")
        printf(json ? "%s%lld" : "%.0s%lld\n", separator, pid);
    if (json) puts(*separator == '[' ? "[]" : "]");
    if (f) fclose(f);
    return 0;
}

static void remove_bundle(struct container *c) {
    end_child(c);
    remove_cgroup(c);
    if (lock_host(c) < 0) die("%s", c->report.why);
    set_aside(c);
    unlock_host(c);
    if (remove_set_aside(c) < 0) die("%s", c->report.why);
    if (run_hooks(c, "poststop", "stopped") < 0) warn("warning: poststop: %s", c->report.why);
}

static int oci_delete(struct container *c, char **argv) {
    take_name("name", argv[0]);
    const bool is_there = find_container(c, argv[0]);
    if (is_there && !c->made.bundle[0]) return delete (c, argv);
    if (!is_there && flags.force) return 0; /* a create that failed left nothing */
    need_bundle(c, argv[0], false);
    if (runs(&c->made) && !flags.force) die("container %s is not stopped", argv[0]);
    remove_bundle(c);
    return 0;
}

/* run: create, start and delete, with a look at it meanwhile. */
static int oci_run(struct container *c, char **argv) {
    struct signalfd_siginfo s;
    int status = oci_create(c, argv);
    if (status) return status;
    start_created(c);
    struct pollfd p[] = {{c->pid_fd, POLLIN, 0}, {c->signal_fd, POLLIN, 0}};
    while (poll(p, 2, -1) >= 0 && !p[0].revents)
        if (read(c->signal_fd, &s, sizeof s) == sizeof s)
            sys_pidfd_send_signal(c->pid_fd, (int)s.ssi_signo);
    waitpid((pid_t)c->made.pid, &status, 0);
    remove_bundle(c);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* All its processes stop at once, or go on. */
static int freeze(struct container *c, const char *name, const char *value) {
    char text[64] = "";
    need_bundle(c, name, true);
    if (write_file(c->cgroup_fd, "cgroup.freeze", value) < 0)
        die("cgroup.freeze: %s", strerror(errno));
    for (int i = 0; i < WAIT_SECONDS * 1000; i++) {
        read_file(c->cgroup_fd, "cgroup.events", text, sizeof text);
        if (strstr(text, keep("frozen %s", value))) return 0;
        usleep(1000);
    }
    die("container %s does not freeze", name);
}
static int oci_pause(struct container *c, char **argv) {
    return freeze(c, argv[0], "1");
}
static int oci_resume(struct container *c, char **argv) {
    return freeze(c, argv[0], "0");
}

static int oci_update(struct container *c, char **argv) {
    if (!flags.resources) return update(c, argv);
    need_container(c, argv[0], true);
    load_keys(&c->want, load_json(flags.resources), resource_keys);
    return update(c, argv);
}

/* exec: as ours, with what the file says instead of options. */
static int oci_exec(struct container *c, char **argv) {
    const bool detach = c->want.detach;
    if (!flags.process) return exec_in(c, argv);
    need_bundle(c, argv[0], true);
    if (strcmp(oci_status(c), "paused") == 0) die("container %s is paused", argv[0]);
    struct wanted *w = &c->want;
    memset(w->process_limits, 0, sizeof w->process_limits);
    w->terminal = false;
    w->namespaces = 0;
    memset(w->environment, 0, sizeof w->environment);
    const struct value *process = load_json(flags.process);
    load_keys(w, process, process_keys);
    check_process(w, process);
    if (!c->made.users) run_sealed();
    open_manager_files(c);
    if (!detach && !w->terminal) w->bundle = NULL; /* we wait, and pass everything on */
    c->join_fd = c->pid_fd;
    c->pid_fd = -1;
    close_fd(&c->dir_fd);
    c->child_steps = oci_exec_child_steps;
    if (make_steps(c, oci_exec_steps)) return ENGINE_FAILED;
    if (w->bundle) return 0;
    const int status = serve(c);
    end_child(c);
    return status;
}

static void put_strings(FILE *f, const char *key, const char *const *texts) {
    fprintf(f, ",\n    \"%s\": [", key);
    for (const char *const *t = texts; *t; t++) {
        if (t > texts) fputs(", ", f);
        put_string(f, *t);
    }
    fputc(']', f);
}

/* One set of ours, by the names that config.json has for them. */
static const char *const *capability_texts(uint64_t set) {
    static const char *texts[65];
    size_t n = 0;
    const char *name = capability_names;
    for (int i = 0; *name; i++, name = strchr(name, ' ') + 1) {
        if (!(set >> i & 1)) continue;
        char *text = keep("CAP_%.*s", (int)strcspn(name, " "), name);
        for (char *p = text; *p; p++) *p = (char)toupper((unsigned char)*p);
        texts[n++] = text;
    }
    texts[n] = NULL;
    return texts;
}

/* The filter of ours as a profile. */
static void put_rules(FILE *f, const struct rule *r, size_t count) {
    fprintf(f, ",\n    \"seccomp\": {\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [");
    for (const struct rule *end = r + count, *first = r; r < end; r++) {
        size_t i = 0;
        while (i < COUNT(calls) && calls[i].number != r->call) i++;
        if (i == COUNT(calls)) continue;
        fprintf(f,
                "%s\n      {\"names\": [\"%s\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": %u",
                r > first ? "," : "", calls[i].name, r->action & SECCOMP_RET_DATA);
        if (r->count)
            fprintf(f,
                    ", \"args\": [{\"index\": %u, \"op\": \"SCMP_CMP_MASKED_EQ\", \"value\": %llu, "
                    "\"valueTwo\": %llu}]",
                    r->tests[0].argument, (unsigned long long)r->tests[0].mask,
                    (unsigned long long)r->tests[0].value);
        fputc('}', f);
    }
    fprintf(f, "]}");
}

static void put_mount(FILE *f, const struct mount *m, const char *separator) {
    fprintf(
        f, "%s\n    {\"destination\": \"%s\", \"type\": \"%s\", \"source\": \"%s\", \"options\": [",
        separator, m->target, m->type, m->source);
    separator = "";
    for (size_t i = 0; i < COUNT(mount_options); i++) {
        const struct mount_option *o = &mount_options[i];
        if (!o->set || !(m->attributes & o->set)) continue;
        fprintf(f, "%s\"%s\"", separator, o->name);
        separator = ", ";
    }
    for (const char *at = m->data; at && *at; at += strcspn(at, ",") + (strchr(at, ',') ? 1 : 0)) {
        fprintf(f, "%s\"%.*s\"", separator, (int)strcspn(at, ","), at);
        separator = ", ";
    }
    fprintf(f, "]}");
}

/* spec: our own container as a config.json, for a rootfs in the bundle. */
static int oci_spec(struct container *c, char **argv) {
    static struct rule rules[COUNT(denied) * 14 + COUNT(denied_arguments) + 1];
    static const char *const args[] = {"/bin/sh", NULL}, *const env[] = {"PATH=" STANDARD_PATH,
                                                                         "TERM=linux", NULL};
    struct wanted *w = &c->want;
    (void)argv;
    FILE *f = fopen("config.json", "wxe");
    if (!f) die("config.json: %s", strerror(errno));
    fprintf(
        f,
        "{\n  \"ociVersion\": \"1.0.2\",\n  \"process\": {\"cwd\": \"/\", \"noNewPrivileges\": true");
    put_strings(f, "args", args);
    put_strings(f, "env", env);
    fprintf(f, ",\n    \"capabilities\": {\"x\": 0");
    for (size_t i = 0; i < 3; i++)
        put_strings(f, capability_sets[i], capability_texts(default_capabilities));
    fprintf(
        f,
        "}},\n  \"root\": {\"path\": \"rootfs\"},\n  \"hostname\": \"container\",\n  \"mounts\": [");
    const char *separator = "";
    for (size_t i = 0; i < COUNT(default_mounts); i++, separator = ",")
        if (!is_bind(&default_mounts[i])) put_mount(f, &default_mounts[i], separator);
    fprintf(f,
            "],\n  \"linux\": {\"resources\": {\"pids\": {\"limit\": 64}, \"memory\": {\"limit\": "
            "52428800, \"swap\": 52428800}, \"cpu\": {\"quota\": 50000, \"period\": 100000}},\n    "
            "\"namespaces\": [{\"type\": \"mount\"}");
    for (size_t i = 0; i < COUNT(namespaces); i++)
        if (!(namespaces[i].flag & (CLONE_NEWNS | CLONE_NEWUSER)))
            fprintf(f, ", {\"type\": \"%s\"}", namespaces[i].oci_name);
    fputc(']', f);
    put_strings(f, "maskedPaths", w->masked);
    put_strings(f, "readonlyPaths", w->read_only_paths);
    put_rules(f, rules, default_rules(default_capabilities, rules));
    fprintf(f, "}\n}\n");
    return fclose(f) == 0 ? 0 : (warn("config.json: %s", strerror(errno)), ENGINE_FAILED);
}

/* features: what of the specification there is. */
static int oci_features(struct container *c, char **argv) {
    static const char *const hooks[] = {
        "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop",
        NULL};
    const char *texts[2 * COUNT(mount_options) + 1];
    size_t n = 0;
    (void)c, (void)argv;
    printf("{\"ociVersionMin\": \"1.0.0\", \"ociVersionMax\": \"1.2.0\"");
    put_strings(stdout, "hooks", hooks);
    for (size_t i = 0; i < COUNT(mount_options); i++) {
        texts[n++] = mount_options[i].name;
        texts[n++] = keep("r%s", mount_options[i].name);
    }
    texts[n] = NULL;
    put_strings(stdout, "mountOptions", texts);
    printf(
        ",\n\"linux\": {\"cgroup\": {\"v1\": false, \"v2\": true, \"systemd\": false}, \"seccomp\": "
        "{\"enabled\": true}");
    put_strings(stdout, "capabilities", capability_texts(~0ULL));
    for (n = 0; n < COUNT(namespaces); n++) texts[n] = namespaces[n].oci_name;
    texts[n] = NULL;
    put_strings(stdout, "namespaces", texts);
    puts("}}");
    return 0;
}

/* The manager reads the reason of a failure in a file of its own. */
static void log_to_file(const char *line) {
    FILE *f = fopen(flags.log, "ae");
    const time_t now = time(NULL);
    char when[32];
    if (!f) return;
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
    if (flags.log_format && strcmp(flags.log_format, "json") == 0) {
        fprintf(f, "{\"level\":\"error\",\"time\":\"%s\",\"msg\":", when);
        put_string(f, line);
        fprintf(f, "}\n");
    } else {
        fprintf(f, "%s %s\n", when, line);
    }
    fclose(f);
}
static void open_oci_log(void) {
    int fd = flags.log ? open(flags.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
    if (flags.log && fd < 0) die("%s: %s", flags.log, strerror(errno));
    close_fd(&fd);
    if (flags.log) log_line = log_to_file;
    if (flags.systemd_cgroup) die("--systemd-cgroup: use the cgroup manager cgroupfs instead");
}
