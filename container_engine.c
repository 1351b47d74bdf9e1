/*
 * container_engine - a container engine in one file, to be read from top to bottom.
 *
 * A container is not a thing inside the kernel. It is an ordinary process, around which the
 * engine has put walls before letting it run:
 *
 *   - namespaces: it sees process ids, mounts, a host name, network interfaces, System V IPC,
 *     user ids and a cgroup tree of its own                               namespaces(7)
 *   - a root filesystem of its own, entered with pivot_root, the old one detached
 *   - a cgroup, which limits its processor time, memory and processes     cgroups(7)
 *   - few capabilities and a filter on system calls, because all containers of a machine
 *     share one kernel                                     capabilities(7), seccomp(2)
 *
 * Two processes of ours build it, each walking through its own table of steps (search for
 * host_steps and container_steps; they are the heart of the file):
 *
 *   the engine, on the host                  the child, becoming the container
 *   -----------------------                  ---------------------------------
 *   claim     take the name and address
 *   layer     a writable layer on the rootfs
 *   cgroup    write the limits
 *   clone     ------ clone3(CLONE_NEW*) --->
 *   users     map user ids -- "mapped" ----> private   out of sight of the host's mounts
 *   network   veth pair, bridge, address     rootfs    root of its world-to-be
 *     (ip runs while the child mounts)       proc      proc, sys, cgroup; mask what leaks
 *                                            dev       devices, terminals, shared memory
 *                                            pivot     volumes; change the root, detach the old
 *                                            hostname  its name, loopback up
 *                                            caps      drop capabilities, become the user
 *                                            seccomp   filter system calls
 *   go        <------- "waiting" ----------- exec      wait for the network,
 *             -------- "go" --------------->           then become the program
 *   (serve: relay terminal and output, pass signals on, wait)
 *
 * Each host step has an undo. At the end, when a step fails, and when the next command finds
 * that an engine was killed, the same table is walked backwards: nothing is left behind.
 *
 * What the child reports (a failure: one line that names the step) comes back through a pipe
 * that closes itself when the program is executed. The file has the order of the story: data,
 * main, the tables, the steps, living with containers, and plumbing last.
 *
 * Exit status: the program's own, 128+n when signal n ended it, 125 when the engine failed,
 * 126 when the program cannot be executed, 127 when it is not found.
 *
 * Only libc and the kernel are used: Linux 5.10 or newer, 5.19 for user namespaces. The
 * network is configured by ip(8). MIT license.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <locale.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <wctype.h>

#define VERSION           "0.1.0"
#define RUN_DIR           "/run/container_engine"     /* what runs: a directory a name, locked */
#define LIB_DIR           "/var/lib/container_engine" /* what stays: a layer a name, until delete */
#define NETNS_DIR         "/run/netns"                /* where ip-netns(8) looks for names */
#define CGROUP_DIR        "container_engine" /* below the cgroup2 mount; a cgroup a name below it */
#define DEFAULT_PATH      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define COPY(array, text) snprintf(array, sizeof(array), "%s", text)
#define COUNT(array)      (sizeof(array) / sizeof *(array))
#define BIT(set, n)       ((set) >> (n)&1)

enum {
    ENGINE_FAILED = 125, /* these three as env(1) and docker have them */
    NOT_EXECUTABLE = 126,
    NOT_FOUND = 127,
    FIRST_ID = 524288,   /* systemd leaves 524288-1879048191 to containers */
    IDS = 65536,         /* user ids in one container */
    ID_RANGES = 28664,   /* as often as IDS fits into that */
    CPU_PERIOD = 100000, /* microseconds, the kernel's default */
    LOCK_SECONDS = 10,   /* to wait for another engine, or for one to clean up */
    IP_SECONDS = 10,     /* for ip(8) to finish */
    STOP_SECONDS = 10,   /* from TERM to KILL, as docker does */
    LOG_BYTES = 1 << 20, /* of a detached container's output; one older file is kept */
    REPORT_FD = 3,       /* the only descriptor besides 0, 1, 2 that lives until exec */
    FDS = 15,            /* in struct container */
};

enum choice { OFF, ON, AUTO };

/* A limit: its option, its cgroup file, the value when nobody asks, and what a value may be. */
enum { CPUS, MEMORY, PIDS, LIMITS };
static const struct limit {
    const char *option, *file, *preset, *digits, *form;
    double low, high;
} limits[LIMITS] = {
    {"--cpus", "cpu.max", "0.5", "0123456789.", "a number such as 0.5", 0.01, 10000},
    {"--memory", "memory.max", "50M", "0123456789", "a size such as 50M or 1G", 1, 1LL << 50},
    {"--pids", "pids.max", "64", "0123456789", "a whole number from 1 on", 1, 1 << 22},
};

/* A directory or file of the host that appears inside: -v, and our own /etc/hosts. */
struct volume {
    const char *text; /* HOST:CONTAINER[:ro] */
    int tree_fd;      /* a detached mount, for the child to put in place */
};

/* What the child says: a record a time, smaller than PIPE_BUF, so that it arrives whole. */
struct report {
    enum { FAILED = 1, WAITING, READY } kind;
    int status;      /* FAILED: what the engine is to exit with */
    int terminal_fd; /* WAITING: its terminal's master, by its own number, or -1 */
    char step[12], why[240];
};

/* Everything about one container. What state files hold is text, or a long long. */
struct container {
    /* What it is to be: filled in by the command line. */
    char name[65], hostname[65], bridge[IF_NAMESIZE];
    char address[INET_ADDRSTRLEN]; /* "" for loopback only */
    char rootfs[PATH_MAX];
    char cgroup[PATH_MAX]; /* its path, once it has been looked for */
    char command[256];     /* argv in one line, for people */
    const char *cwd;
    char **argv, *shell[2]; /* the program; shell is its place when none was given */
    char **words;           /* our own command line, in case we start again */
    char *environment[258];
    char limit[LIMITS][32];    /* what to write into the file */
    bool asked[LIMITS];        /* by an option, so not having it is an error */
    struct volume volumes[34]; /* two of them ours */
    size_t volume_count;
    long long uid, gid;       /* inside; -1: not said */
    long long capabilities;   /* the bounding set, a bit each */
    long long users, seccomp; /* enum choice; users OFF: root inside is root outside */
    long long remove;         /* the layer, at the end */
    bool read_only, write_through, detach, json, quiet, force;
    long long seconds;   /* stop: before KILL */
    long long sample[2]; /* list: processor time used, and when; microseconds */

    /* What has been made so far. */
    long long pid, start, started;  /* PID 1; its start in ticks since boot; seconds UTC */
    long long engine, engine_start; /* the process that looks after it */
    char boot[37];                  /* the boot_id of the kernel that gave these numbers */
    long long status;               /* exit status of the last run; -1 while it runs */
    long long base;                 /* host id of the container's root */
    long long prefix;               /* length of the bridge's network, in bits */
    char gateway[INET_ADDRSTRLEN];  /* the bridge's own address */
    union {                         /* descriptors; -1: not open */
        int fds[FDS];
        struct {
            int run_fd, layer_fd, cgroup_fd;   /* its directories */
            int users_fd, host_mounts_fd;      /* namespaces: for the maps, and to return to */
            int root_fd;                       /* merged tree; in the child: its root-to-be */
            int join_fd;                       /* exec: the first process */
            int pid_fd, report_fd, go_fd;      /* the child, and our ends of the pipes to it */
            int output_fd, error_fd;           /* its terminal's master, or what it writes */
            int signal_fd, log_fd, running_fd; /* running: the process the user started */
        };
    };
    int stdio[3];         /* what the program gets as 0, 1, 2 */
    bool relay, ran;      /* terminal to terminal; it got as far as exec */
    bool restart;         /* all over again, without a user namespace */
    struct termios saved; /* of our own terminal */
    int forwarded;        /* the signal for which we end the container */
    struct report report; /* the last one; the engine's own failures too */
};

/* A step returns 0, or -1 with c->report.why filled in. An undo is safe when its step ran half. */
struct step {
    const char *name;
    int (*make)(struct container *c);
    void (*undo)(struct container *c);
};

/* A word on the command line, the options it takes (letters, as in long_options), and how many
 * other words. options starts with '+' if they end at the first other word, '*' if it runs once a
 * word. */
struct command {
    const char *name, *options;
    int low, high;
    int (*run)(struct container *c, char **argv);
};

/* System calls that not every libc has a function for. */
#define sys_openat2(dir_fd, path, o_flags, how) \
    (int)syscall(SYS_openat2, dir_fd, path, \
                 &(struct open_how){.flags = (o_flags) | O_CLOEXEC, .resolve = (how)}, \
                 sizeof(struct open_how))
#define sys_open_tree(dir_fd, path, flags) /* a detached copy of the mount at path */ \
    (int)syscall(SYS_open_tree, dir_fd, path, (flags) | 1 /* CLONE */ | O_CLOEXEC)
#define sys_move_mount(tree_fd, dir_fd, path) /* attach it there; path may be "" */ \
    (int)syscall(SYS_move_mount, tree_fd, "", dir_fd, path, 0x44 /* empty paths are meant */)
#define sys_pidfd_open(pid)              (int)syscall(SYS_pidfd_open, (pid_t)(pid), 0)
#define sys_pidfd_send_signal(pid_fd, n) syscall(SYS_pidfd_send_signal, pid_fd, n, NULL, 0)

/* Contents. The commands, which return an exit status, */
typedef int command_fn(struct container *c, char **argv);
static command_fn run, list, inspect, exec_in, update, stop, send_signal, delete;
/* the engine's steps and their undos, */
typedef int step_fn(struct container *c);
typedef void undo_fn(struct container *c);
static step_fn claim, stack_layer, make_cgroup, clone_child, map_users, connect_network, let_go;
static undo_fn release, remove_layer, remove_cgroup, end_child, disconnect_network;
static step_fn await_report, child_died, serve;
/* the child's steps, */
static step_fn make_private, enter_rootfs, mount_proc, mount_dev, pivot, set_hostname;
static step_fn drop_capabilities, filter_calls, execute, join, open_exec_terminal;
/* and plumbing: state, processes, files, reports. */
static int lock_host(void);
static int read_state(struct container *c, int dir_fd);
static int write_state(const struct container *c, int dir_fd);
static bool find_container(struct container *c, const char *name);
static size_t find_all(struct container **all);
static void close_all(struct container *c);
static int fork_into(uint64_t flags, int cgroup_fd, int *pid_fd);
static long long start_time(long long pid);
static void read_boot(char boot[37]);
static bool handles_signal(long long pid, int number);
static void restart_sealed(const struct container *c, bool userns_off);
static int open_inside(struct container *c, const char *path, bool directory, uint64_t how);
static bool read_at(int dir_fd, const char *name, char *text, size_t size);
static int write_at(int dir_fd, const char *name, const char *text);
static int find_cgroup(struct container *c);
static int open_cgroup(struct container *c);
static bool remove_layer_tree(const char *name);
static long long microseconds(void);
static void close_fd(int *fd);
static void make_printable(char *text);
static void warn(const char *, ...) __attribute__((format(printf, 1, 2)));
static int note_failure(struct container *c, int error, const char *, ...)
    __attribute__((format(printf, 3, 4)));
#define fail(c, ...)   note_failure(c, errno, __VA_ARGS__) /* with the error's text */
#define refuse(c, ...) note_failure(c, 0, __VA_ARGS__)
#define die(...)       (warn(__VA_ARGS__), exit(ENGINE_FAILED)) /* only before anything was made */

/* ---- The command line ------------------------------------------------------------------- */

static const char usage[] =
    "Usage: container_engine [options] <rootfs> <name> <ip>|none [command [argument...]]\n"
    "       container_engine list|inspect|exec|update|stop|kill|delete ...\n"
    "\n"
    "Runs a command (default: /bin/bash, else /bin/sh) in a container: isolated from the\n"
    "host, limited, with the address <ip> on the bridge that `env.sh set` made.\n"
    "\n"
    "  --cpus N|max            processors' worth of time (default 0.5)\n"
    "  --memory SIZE|max       bytes, or with K, M, G (default 50M; no swap)\n"
    "  --pids N|max            processes and threads (default 64)\n"
    "  -e KEY=VALUE            set an environment variable\n"
    "  -w DIR                  start in DIR\n"
    "  -u UID[:GID]            run as this user and group (default 0:0; GID: same as UID)\n"
    "  -v HOST:CONTAINER[:ro]  show a file or directory of the host inside\n"
    "  -d, --detach            run in the background; output goes to a log in the layer\n"
    "  --hostname NAME         default: the container's name\n"
    "  --bridge NAME           default: cebr0\n"
    "  --rm                    delete the container's layer when it ends\n"
    "  --read-only             make its root file system read-only\n"
    "  --write-through         write to <rootfs> itself instead of to a layer\n"
    "  --userns on|off         map root to an unprivileged user (default: on if possible)\n"
    "  --cap-add, --cap-drop CAP   change its capabilities; also ALL; in the order given\n"
    "  --seccomp on|off        filter system calls (default: on)\n"
    "  --                      end of options\n"
    "\n"
    "  list [-q] [--json]      containers and what they use (also: ps)\n"
    "  inspect NAME            namespaces, users, mounts, limits and network of one\n"
    "  exec [-e] [-w] [-u] NAME [command...]   run another program inside\n"
    "  update NAME [--cpus N] [--memory SIZE] [--pids N] [--force]\n"
    "  stop [-t SECONDS] NAME...    TERM, and KILL after 10 seconds\n"
    "  kill NAME [SIGNAL]           KILL, or what you name\n"
    "  delete [-f] NAME...          the layer too; -f: even while it runs\n"
    "  --help, --version\n"
    "\n"
    "Exit status: the command's; 128+n if signal n ended it; 125 if the engine failed,\n"
    "126 if the command cannot be executed, 127 if it is not found.\n";

/* clang-format off */
static const struct option long_options[] = {
    {"cpus", 1, NULL, 'C'},     {"memory", 1, NULL, 'M'},    {"pids", 1, NULL, 'P'},
    {"bridge", 1, NULL, 'b'},   {"hostname", 1, NULL, 'H'},  {"userns", 1, NULL, 'U'},
    {"cap-add", 1, NULL, 'A'},  {"cap-drop", 1, NULL, 'D'},  {"seccomp", 1, NULL, 'S'},
    {"rm", 0, NULL, 'R'},       {"read-only", 0, NULL, 'r'}, {"write-through", 0, NULL, 'W'},
    {"detach", 0, NULL, 'd'},   {"json", 0, NULL, 'j'},      {"force", 0, NULL, 'f'},
    {"help", 0, NULL, 'h'},     {"version", 0, NULL, 'V'},   {NULL, 0, NULL, 0},
};

static const struct command commands[] = {
    {"list", "qj", 0, 0, list},
    {"ps", "qj", 0, 0, list},
    {"inspect", "", 1, 1, inspect},
    {"exec", "+ewu", 1, INT_MAX, exec_in},
    {"update", "CMPf", 1, 1, update},
    {"stop", "*t", 1, INT_MAX, stop},
    {"kill", "", 1, 2, send_signal},
    {"delete", "*f", 1, INT_MAX, delete},
    {"run", "+CMPbHUADSRrWdewuv", 3, INT_MAX, run}, /* the last: when it is none of these words */
};

/* In the order of their numbers in capabilities(7). */
static const char capability_names[] =
    "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap "
    "linux_immutable net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner "
    "sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice "
    "sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap "
    "mac_override mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf "
    "checkpoint_restore ";

/* Defaults: docker's capabilities without MKNOD, and nothing made yet. */
#define CAP(name) (1LL << CAP_##name)
static const struct container blank = {
    .capabilities = CAP(CHOWN) | CAP(DAC_OVERRIDE) | CAP(FOWNER) | CAP(FSETID) | CAP(KILL) |
                    CAP(SETGID) | CAP(SETUID) | CAP(SETPCAP) | CAP(NET_BIND_SERVICE) |
                    CAP(NET_RAW) | CAP(SYS_CHROOT) | CAP(AUDIT_WRITE) | CAP(SETFCAP),
    .bridge = "cebr0", .cwd = "/", .users = AUTO, .seccomp = ON, .seconds = STOP_SECONDS,
    .stdio = {0, 1, 2}, .uid = -1, .gid = -1, .pid = -1, .status = -1, .fds = {[0 ... FDS - 1] = -1},
};
/* clang-format on */

static void parse_options(struct container *c, const struct command *, int argc, char **argv);

/* What was printed must arrive, unless its reader has gone (grep -q). Returns the exit status. */
static int flush_output(int status) {
    if (fflush(stdout) != 0 && errno != EPIPE) die("standard output: %s", strerror(errno));
    return status;
}

static int run_command(const struct command *command, struct container *c, char **argv) {
    const int status = command->run(c, argv);
    close_all(c);
    return flush_output(status);
}

int main(int argc, char **argv) {
    struct container c = blank;
    const struct command *command = commands, *last = &commands[COUNT(commands) - 1];

    c.words = argv;
    setlocale(LC_CTYPE, "C.UTF-8"); /* for make_printable */
    /* A file opened as 0, 1 or 2 would become the container's input or output. */
    while (fcntl(STDERR_FILENO, F_GETFD) < 0)
        if (open("/dev/null", O_RDWR) < 0) return ENGINE_FAILED;
    for (int i = 0; i < 3; i++) {
        struct stat s;
        if (fstat(i, &s) == 0 && S_ISDIR(s.st_mode)) /* a way out: CVE-2024-21626 */
            die("descriptor %d is a directory: a file, a pipe or a terminal is needed", i);
    }
    syscall(SYS_close_range, 3, ~0U, 0); /* the caller's files are not ours to keep open */
    while (command < last && (argc < 2 || strcmp(argv[1], command->name) != 0)) command++;
    const int skip = command < last; /* the command's own word */
    parse_options(&c, command, argc - skip, argv + skip);
    argv += skip + optind;
    const int words = argc - skip - optind;
    if (skip && (words < command->low || words > command->high))
        die("too %s words for %s; see container_engine --help",
            words < command->low ? "few" : "many", command->name);
    if (words > 0 && words < command->low && access(argv[0], F_OK) < 0)
        die("'%s' is neither a command nor a rootfs; see container_engine --help", argv[0]);
    if (words < command->low)
        die("too few words: <rootfs> <name> <ip>|none, or a command such as list, is needed; see "
            "container_engine --help");
    if (geteuid() != 0) die("must be run as root: sudo %s ...", c.words[0]);
    umask(022);
    signal(SIGPIPE, SIG_IGN);
    if (command->options[0] != '*') return run_command(command, &c, argv);
    int failed = 0;
    for (int i = 0; i < words; i++) { /* one that fails does not keep the others from it */
        int status = -1;
        const pid_t pid = fork();
        if (pid == 0) return run_command(command, &c, &argv[i]);
        if (pid > 0) waitpid(pid, &status, 0);
        failed |= status != 0;
    }
    return failed ? ENGINE_FAILED : 0;
}

/* Digits only: no sign, no blanks, no leading zeros. */
static long long parse_whole(const char *what, const char *text, long long high) {
    const size_t digits = strspn(text, "0123456789");
    errno = 0;
    const long long n = strtoll(text, NULL, 10);
    if (digits == 0 || text[digits] || (text[0] == '0' && digits > 1) || errno || n > high)
        die("%s '%s': a whole number from 0 to %lld is needed", what, text, high);
    return n;
}

/* From what people say to what the cgroup's file wants: 0.5 -> "50000 100000" (microseconds of
 * processor time in each period), 50M -> "52428800", max -> max. cgroups(7) */
static void parse_limit(struct container *c, int which, const char *text) {
    static const char units[] = "KMG";
    const struct limit *l = &limits[which];
    const char *end = text + strspn(text, l->digits);
    const bool plain = end > text && !(text[0] == '0' && isdigit((unsigned char)text[1])) &&
                       strchr(text, '.') == strrchr(text, '.');
    const char *unit = which == MEMORY && *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
    double n = atof(text);

    for (const char *u = units; unit && u <= unit; u++) n *= 1024; /* K once, M twice, G thrice */
    end += unit != NULL;
    if (strcmp(text, "max") == 0)
        COPY(c->limit[which], "max");
    else if (!plain || *end || n < l->low || n > l->high)
        die("%s '%s': %s is needed, or max", l->option, text, l->form);
    else if (which == CPUS)
        snprintf(c->limit[which], sizeof c->limit[which], "%.0f %d", n * CPU_PERIOD, CPU_PERIOD);
    else
        snprintf(c->limit[which], sizeof c->limit[which], "%.0f", n);
}

/* The place of a word in a list of them, counted from 0, in any case; -1: it is not there. */
static int find_word(const char *words, const char *word) {
    const size_t length = strlen(word);
    for (int n = 0; *words; words = strchr(words, ' ') + 1, n++)
        if (strncasecmp(words, word, length) == 0 && words[length] == ' ') return n;
    return -1;
}

/* NAME, CAP_NAME or ALL, as a set of bits. */
static long long parse_capability(const char *text) {
    const char *name = strncasecmp(text, "cap_", 4) == 0 ? text + 4 : text;
    const int n = find_word(capability_names, name);
    if (n < 0 && strcasecmp(name, "all") != 0)
        die("capability '%s' is unknown: see capabilities(7), or use ALL", text);
    return n < 0 ? (1LL << (CAP_CHECKPOINT_RESTORE + 1)) - 1 : 1LL << n;
}

static enum choice parse_choice(const char *what, const char *text) {
    if (strcmp(text, "on") != 0 && strcmp(text, "off") != 0)
        die("%s '%s': on or off is needed", what, text);
    return text[1] == 'n' ? ON : OFF;
}

/* A name becomes a directory, a cgroup and a line of a list, so little is allowed in it. */
static bool is_name(const char *text) {
    static const char others[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    const size_t n = strspn(text, others);
    return n > 0 && n <= 64 && text[n] == '\0' && !strchr("_.-", text[0]);
}

static void take_name(char name[65], const char *what, const char *text) {
    if (!is_name(text))
        die("%s '%s': 1 to 64 letters, digits, '_', '.', '-' are needed, a letter or digit first%s",
            what, text, text[0] == '-' ? "; options come before <rootfs>" : "");
    memcpy(name, text, strlen(text) + 1);
}

/* KEY=VALUE, perhaps in place of an earlier one. The last entry stays NULL, as execve wants. */
static void set_environment(struct container *c, char *entry, bool replace) {
    const size_t key = strcspn(entry, "=");
    size_t i = 0;
    if (key == 0 || entry[key] == '\0') die("-e '%s': KEY=VALUE is needed", entry);
    while (c->environment[i] && strncmp(c->environment[i], entry, key + 1) != 0) i++;
    if (i + 1 >= COUNT(c->environment)) die("-e: at most %zu variables", COUNT(c->environment) - 1);
    if (replace || !c->environment[i]) c->environment[i] = entry;
}

/* HOST:CONTAINER[:ro] in its two paths; true if read-only. */
static bool split_volume(const char *text, char host[PATH_MAX], char target[PATH_MAX]) {
    const char *middle = strchrnul(text, ':'), *end = strchrnul(middle + (*middle != 0), ':');
    snprintf(host, PATH_MAX, "%.*s", (int)(middle - text), text);
    snprintf(target, PATH_MAX, "%.*s", (int)(end - middle - (*middle != 0)), middle + 1);
    return strcmp(end, ":ro") == 0;
}

static void add_volume(struct container *c, const char *text) {
    char host[PATH_MAX], target[PATH_MAX];
    const bool read_only = split_volume(text, host, target);
    if (target[0] != '/' || !target[strspn(target, "/")] ||
        strlen(text) != strlen(host) + 1 + strlen(target) + (read_only ? 3 : 0))
        die("-v '%s': HOST:/CONTAINER or HOST:/CONTAINER:ro is needed", text);
    if (access(host, F_OK) < 0) die("-v '%s': %s", host, strerror(errno));
    if (c->volume_count == COUNT(c->volumes) - 2)
        die("-v: at most %zu volumes", COUNT(c->volumes) - 2);
    c->volumes[c->volume_count++] = (struct volume){.text = text, .tree_fd = -1};
}

static void take_user(struct container *c, const char *text) {
    char user[16];
    const char *group = strchr(text, ':');
    snprintf(user, sizeof user, "%.*s", (int)strcspn(text, ":"), text);
    c->uid = parse_whole("-u", user, IDS - 1);
    c->gid = group ? parse_whole("-u", group + 1, IDS - 1) : c->uid;
}

/* One switch for all commands; the command's own list says what it takes. */
static void parse_options(struct container *c, const struct command *command, int argc,
                          char **argv) {
    const char *letters = command->options[0] == '+' ? "+:e:w:u:v:t:dqfh" : ":e:w:u:v:t:dqfh";
    int o, index = -1;

    opterr = 0;
    while ((o = getopt_long(argc, argv, letters, long_options, &index)) != -1) {
        const char letter[] = {'-', (char)o, '\0'}, *word = argv[optind - 1], *next = argv[optind];
        if (o == '?' && next && next[0] == '-' && next[1] != '-' && optopt && strchr(next, optopt))
            word = next; /* of -it the first letter; the word is not done with */
        if (o == '?' || o == ':' || (!strchr(command->options, o) && o != 'h' && o != 'V'))
            die("option %s%s: %s; see container_engine --help", index >= 0 ? "--" : "",
                index >= 0             ? long_options[index].name
                : o == '?' || o == ':' ? word
                                       : letter,
                o == ':' ? "a value is needed" : "unknown, or not for this command");
        index = -1;
        switch (o) {
        case 'A': c->capabilities |= parse_capability(optarg); break;
        case 'D': c->capabilities &= ~parse_capability(optarg); break;
        case 'H': take_name(c->hostname, "--hostname", optarg); break;
        case 'R': c->remove = true; break;
        case 'S': c->seccomp = parse_choice("--seccomp", optarg); break;
        case 'U': c->users = parse_choice("--userns", optarg); break;
        case 'W': c->write_through = true; break;
        case 'd': c->detach = true; break;
        case 'e': set_environment(c, optarg, true); break;
        case 'f': c->force = true; break;
        case 'j': c->json = true; break;
        case 'q': c->quiet = true; break;
        case 'r': c->read_only = true; break;
        case 't': c->seconds = parse_whole("-t", optarg, 86400); break;
        case 'u': take_user(c, optarg); break;
        case 'v': add_volume(c, optarg); break;
        case 'w': c->cwd = optarg; break;
        case 'C':
        case 'M':
        case 'P':
            o = o == 'C' ? CPUS : o == 'M' ? MEMORY : PIDS;
            parse_limit(c, o, optarg);
            c->asked[o] = true;
            break;
        case 'b':
            if (!*optarg || strlen(optarg) >= sizeof c->bridge || strpbrk(optarg, "/ \t\n"))
                die("--bridge '%s' cannot be the name of an interface", optarg);
            COPY(c->bridge, optarg);
            break;
        default:
            printf("%s", o == 'h' ? usage : "container_engine " VERSION "\n");
            exit(flush_output(0));
        }
    }
    if (c->cwd[0] != '/') die("-w '%s': an absolute path is needed", c->cwd);
}

/* ---- The two tables, and the drivers that walk them ------------------------------------- */

static const struct step host_steps[] = {
    {"claim", claim, release},
    {"layer", stack_layer, remove_layer},
    {"cgroup", make_cgroup, remove_cgroup},
    {"clone", clone_child, end_child},
    {"users", map_users, NULL},
    {"network", connect_network, disconnect_network},
    {"go", let_go, NULL},
};

static const struct step container_steps[] = {
    {"private", make_private, NULL},
    {"rootfs", enter_rootfs, NULL},
    {"proc", mount_proc, NULL},
    {"dev", mount_dev, NULL},
    {"pivot", pivot, NULL},
    {"hostname", set_hostname, NULL},
    {"caps", drop_capabilities, NULL},
    {"seccomp", filter_calls, NULL},
    {"exec", execute, NULL},
};

/* A program that joins a running container finds the walls there, and only dresses alike. */
static const struct step exec_host_steps[] = {
    {"clone", clone_child, end_child},
    {"go", let_go, NULL},
};

static const struct step exec_steps[] = {
    {"join", join, NULL},
    {"terminal", open_exec_terminal, NULL},
    {"caps", drop_capabilities, NULL},
    {"seccomp", filter_calls, NULL},
    {"exec", execute, NULL},
};

/* Undo steps from the last to the first, whether they were made, half made, or not at all. */
static void walk_back(struct container *c, const struct step *steps, size_t count) {
    while (count-- > 0)
        if (steps[count].undo) steps[count].undo(c);
}

/* When a step of ours fails because the child did, what the child says is the cause. */
static void prefer_report(struct container *c) {
    const struct report ours = c->report;
    struct pollfd p = {c->report_fd, POLLIN, 0}, dead = {c->pid_fd, POLLIN, 0};
    if (ours.kind == FAILED || ours.kind == READY || c->pid_fd < 0 || poll(&p, 1, 200) <= 0) return;
    const int said = await_report(c);
    if (said == 0 && poll(&dead, 1, 50) > 0)
        child_died(c);
    else if (said != FAILED)
        c->report = ours;
}

/* Block the signals that are passed on to the container, and return their set. */
static sigset_t hold_signals(void) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < COUNT(numbers); i++) sigaddset(&set, numbers[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return set;
}

/* The engine: all steps, then serve the container until it ends, then the way back. */
static int walk(struct container *c, const struct step *steps, size_t count) {
    size_t done = 0;
    hold_signals(); /* until serve() reads them: half a container is never left */
    while (done < count && steps[done].make(c) == 0) done++;
    if (done == count) {
        c->ran = true;
        c->status = serve(c);
    } else {
        prefer_report(c);
        c->status = c->forwarded               ? 128 + c->forwarded
                    : c->report.kind == FAILED ? c->report.status
                                               : ENGINE_FAILED;
        if (c->report.why[0] && !c->forwarded)
            warn("%s: %s", c->report.kind == FAILED ? c->report.step : steps[done].name,
                 c->report.why);
        count = done + 1;
    }
    walk_back(c, steps, count);
    return (int)c->status;
}

/* The child: all steps, the last of which does not return when it goes well. */
static _Noreturn void become(struct container *c, const struct step *steps, size_t count) {
    struct report *r = &c->report;
    size_t i = 0;
    r->status = ENGINE_FAILED;
    while (i < count && steps[i].make(c) == 0) i++;
    r->kind = FAILED;
    snprintf(r->step, sizeof r->step, "%s", steps[i].name);
    _exit(write(c->report_fd, r, sizeof *r) < 0 ? ENGINE_FAILED : r->status);
}

/* -d: the user's process waits until the container runs; ours goes on as its engine. */
static void detach(struct container *c) {
    int running[2], status = -1;
    char byte;
    if (pipe2(running, O_CLOEXEC) < 0) die("pipe: %s", strerror(errno));
    const pid_t engine = fork();
    if (engine < 0) die("fork: %s", strerror(errno));
    close(running[engine > 0]);
    if (engine == 0) {
        setsid(); /* out of reach of the terminal's signals */
        c->running_fd = running[1];
        return;
    }
    const ssize_t n = read(running[0], &byte, 1);
    if (n == 1 && puts(c->name) >= 0 && fflush(stdout) == 0) {
        close(running[0]);
        exit(0);
    }
    if (n != 0) { /* running where nobody was told of it is worse than not running */
        warn("cannot tell whether %s runs: %s", c->name, strerror(errno));
        kill(engine, SIGTERM);
    }
    waitpid(engine, &status, 0);
    exit(n == 0 && WIFEXITED(status) ? WEXITSTATUS(status) : ENGINE_FAILED);
}

/* The address must be free for use on the bridge, whose own address is the gateway. */
static void check_address(struct container *c, const char *text) {
    struct in_addr address, bridge, mask;
    struct ifreq its_address = {0}, its_mask = {0}, its_flags = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (inet_pton(AF_INET, text, &address) != 1)
        die("address '%s': an IPv4 address such as 192.168.1.2 is needed, or none", text);
    if (fd < 0) die("socket: %s", strerror(errno));
    COPY(its_address.ifr_name, c->bridge);
    COPY(its_mask.ifr_name, c->bridge);
    COPY(its_flags.ifr_name, c->bridge);
    if (ioctl(fd, SIOCGIFADDR, &its_address) < 0 || ioctl(fd, SIOCGIFNETMASK, &its_mask) < 0 ||
        ioctl(fd, SIOCGIFFLAGS, &its_flags) < 0)
        die("there is no bridge %s with an address (%s): run `sudo ./env.sh set`, or use none",
            c->bridge, strerror(errno));
    bridge = ((struct sockaddr_in *)(void *)&its_address.ifr_addr)->sin_addr;
    mask = ((struct sockaddr_in *)(void *)&its_mask.ifr_netmask)->sin_addr;
    if (!(its_flags.ifr_flags & IFF_UP))
        die("bridge %s is down: run `sudo ./env.sh set`", c->bridge);
    close_fd(&fd);
    inet_ntop(AF_INET, &bridge, c->gateway, sizeof c->gateway);
    c->prefix = __builtin_popcount(mask.s_addr);
    if ((address.s_addr ^ bridge.s_addr) & mask.s_addr)
        die("address %s is not in the bridge's network %s/%lld", text, c->gateway, c->prefix);
    if (address.s_addr == bridge.s_addr) die("address %s is the bridge's own, the gateway", text);
    if ((address.s_addr & ~mask.s_addr) == 0 || (address.s_addr | mask.s_addr) == ~0U)
        die("address %s is the network's or its broadcast address", text);
    COPY(c->address, text);
}

/* A clean environment; what -e set stays. Of the host's own only TERM and LANG get in. */
static void complete_environment(struct container *c) {
    static char hostname[80], term[80], lang[80];
    const char *t = getenv("TERM"), *l = getenv("LANG");
    snprintf(hostname, sizeof hostname, "HOSTNAME=%s", c->hostname);
    snprintf(term, sizeof term, "TERM=%s", t && *t ? t : "linux");
    snprintf(lang, sizeof lang, "LANG=%s", l ? l : "");
    char *defaults[] = {DEFAULT_PATH, c->uid ? "HOME=/" : "HOME=/root", hostname, term, lang};
    for (size_t i = 0; i < COUNT(defaults) - !l; i++) set_environment(c, defaults[i], false);
}

/* Of an engine in a chroot(2) the containers could get out of theirs: pivot_root exchanges what
 * is "/" to us, and below that the host's root would remain. Entering our own mount namespace
 * once more leads to the root of it, which must be ours. setns(2) */
static void check_root(void) {
    enum { WHERE = STATX_MNT_ID | STATX_INO };
    struct statx ours, its;
    int cwd_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int mounts_fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (cwd_fd < 0 || mounts_fd < 0 || statx(AT_FDCWD, "/", 0, WHERE, &ours) < 0 ||
        setns(mounts_fd, CLONE_NEWNS) < 0 || statx(AT_FDCWD, "/", 0, WHERE, &its) < 0 ||
        fchdir(cwd_fd) < 0)
        die("/proc/self/ns/mnt: %s", strerror(errno));
    if (ours.stx_mnt_id != its.stx_mnt_id || ours.stx_ino != its.stx_ino)
        die("must not be run in a chroot, which its containers could leave: use pivot_root(8)");
    close_fd(&cwd_fd);
    close_fd(&mounts_fd);
}

/* Look at everything the user typed before anything is made; then walk. */
static int run(struct container *c, char **argv) {
    struct stat s;
    char printable[PATH_MAX];
    uint32_t hash = 2166136261U; /* FNV-1a */

    if (strlen(argv[0]) >= sizeof c->rootfs || !realpath(argv[0], c->rootfs))
        die("rootfs '%s': %s; rootfs-fetch.sh makes one, --help knows the commands", argv[0],
            strerror(errno));
    if (stat(c->rootfs, &s) < 0) die("rootfs '%s': %s", argv[0], strerror(errno));
    if (!S_ISDIR(s.st_mode) || strcmp(c->rootfs, "/") == 0)
        die("rootfs '%s': a directory is needed, other than /, such as rootfs-fetch.sh makes",
            argv[0]);
    snprintf(printable, sizeof printable, "%s", c->rootfs);
    make_printable(printable);
    if (strcmp(printable, c->rootfs) != 0) die("rootfs '%s': unprintable characters", argv[0]);
    take_name(c->name, "name", argv[1]);
    for (const char *p = c->name; *p; p++) hash = (hash ^ (unsigned char)*p) * 16777619U;
    /* A name keeps its range of ids; two names share one once in 28,664. */
    c->base = FIRST_ID + (long long)(hash % ID_RANGES) * IDS;
    if (!c->hostname[0]) COPY(c->hostname, c->name);
    if (strcmp(argv[2], "none") != 0) check_address(c, argv[2]);
    if (c->uid < 0) c->uid = c->gid = 0;
    check_root();
    complete_environment(c);
    c->argv = argv + 3;
    snprintf(c->command, sizeof c->command, "%s", argv[3] ? argv[3] : "(shell)");
    for (size_t n = strlen(c->command), i = 4; argv[3] && argv[i] && n < sizeof c->command; i++)
        n += (size_t)snprintf(c->command + n, sizeof c->command - n, " %s", argv[i]);
    make_printable(c->command);
    for (int i = 0; i < LIMITS; i++)
        if (!c->asked[i]) parse_limit(c, i, limits[i].preset);
    if (c->users == OFF) restart_sealed(c, false);
    if (c->detach) detach(c);
    const int status = walk(c, host_steps, COUNT(host_steps));
    if (c->restart) restart_sealed(c, true);
    return status;
}

/* ---- The engine's steps ----------------------------------------------------------------- */

/*
 * claim: the name and the address become ours.
 *
 * The lock on the name's directory, not its existence, says that a container lives: the
 * kernel drops the lock with the engine, however that ends (flock(2)). What a killed engine
 * left is swept first. All of it under the host's lock, so two engines never claim one name.
 */
static int claim(struct container *c) {
    struct container *others = NULL;
    char path[PATH_MAX];
    const int host_fd = lock_host();
    for (size_t n = find_all(&others); n-- > 0; close_all(&others[n])) {
        const struct container *o = &others[n];
        if (o->run_fd >= 0 && strcmp(o->name, c->name) == 0)
            refuse(c, "a container named %s runs already", c->name);
        else if (o->run_fd >= 0 && c->address[0] && strcmp(o->address, c->address) == 0 &&
                 strcmp(o->bridge, c->bridge) == 0)
            refuse(c, "address %s is in use by container %s", c->address, o->name);
    }
    free(others);
    c->engine = getpid();
    c->engine_start = start_time(c->engine);
    read_boot(c->boot);
    snprintf(path, sizeof path, RUN_DIR "/%s", c->name);
    if (!c->report.why[0] && mkdir(path, 0700) < 0) {
        fail(c, "%s", path);
    } else if (!c->report.why[0]) {
        c->run_fd = open(path, O_DIRECTORY | O_CLOEXEC);
        if (c->run_fd < 0 || flock(c->run_fd, LOCK_EX | LOCK_NB) < 0 ||
            write_state(c, c->run_fd) < 0)
            fail(c, "%s", path);
        if (c->run_fd < 0) rmdir(path);
    }
    close(host_fd);
    return c->report.why[0] ? -1 : 0;
}

/* Only the holder of the lock comes here: the engine at its end, or the sweeper. */
static void release(struct container *c) {
    char path[PATH_MAX];
    if (c->run_fd < 0) return;
    unlinkat(c->run_fd, "state", 0);
    unlinkat(c->run_fd, "state.new", 0);
    snprintf(path, sizeof path, RUN_DIR "/%s", c->name);
    rmdir(path);
}

/* A user namespace cannot be had. Asked for: an error. Else undo all, and go without. */
static int without_users(struct container *c, const char *what, const char *why) {
    if (c->users == ON) return fail(c, "--userns on: %s %s", what, why);
    warn("warning: no user namespace, root inside is root outside: %s %s (%s)", what, why,
         errno ? strerror(errno) : "until delete");
    c->restart = true;
    return -1;
}

/* Map ids 0-65535 of a process's user namespace to the container's range. user_namespaces(7) */
static int write_maps(const struct container *c, long long pid) {
    char path[64], map[64];
    snprintf(map, sizeof map, "0 %lld %d\n", c->base, IDS);
    snprintf(path, sizeof path, "/proc/%lld/gid_map", pid);
    if (write_at(AT_FDCWD, path, map) < 0) return -1;
    snprintf(path, sizeof path, "/proc/%lld/uid_map", pid);
    return write_at(AT_FDCWD, path, map);
}

/*
 * Idmapped mounts take their mapping from a user namespace, and that needs a process, if only
 * a dead one: until it is waited for, a zombie still has its entry in /proc.
 */
static int open_user_namespace(struct container *c) {
    char path[64];
    const int pid = fork_into(CLONE_NEWUSER, -1, NULL);
    if (pid == 0) _exit(0);
    if (pid < 0) return -1;
    snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
    if (write_maps(c, pid) == 0) c->users_fd = open(path, O_RDONLY | O_CLOEXEC);
    const int error = errno;
    waitpid(pid, NULL, 0);
    errno = error;
    return c->users_fd < 0 ? -1 : 0;
}

/*
 * A detached mount of a host path, with ids shifted into the container's range: what is root's
 * on disk is root's inside, and no file is changed for it. mount_setattr(2)
 */
static int open_mapped(struct container *c, const char *path, bool recursive, bool read_only) {
    enum { MOUNT_SETATTR = 442, RDONLY = 1, NODEV = 4, IDMAP = 0x100000 };
    struct {
        uint64_t set, clear, propagation, users_fd;
    } a = {.set = NODEV | (read_only ? RDONLY : 0)};
    const unsigned flags = recursive ? AT_RECURSIVE : 0;
    int tree_fd = sys_open_tree(AT_FDCWD, path, flags);
    if (tree_fd < 0) return fail(c, "%s", path);
    if (c->users != OFF) {
        a.set |= IDMAP;
        a.users_fd = (uint64_t)c->users_fd;
    }
    if (syscall(MOUNT_SETATTR, tree_fd, "", AT_EMPTY_PATH | flags, &a, sizeof a) == 0 ||
        (errno == ENOSYS && a.set == NODEV)) /* before Linux 5.12 we go without nodev */
        return tree_fd;
    close_fd(&tree_fd);
    if (c->users != OFF) return without_users(c, path, "cannot be mapped");
    return fail(c, "%s cannot be mounted%s", path, read_only ? " read-only" : "");
}

/* A file of ours over one in the rootfs, whose own may be missing or wrong. It goes in front, so
 * that a volume of the user's for the same place comes on top; and it is in the layer, because
 * the container may write to it as much as to other files. */
static int add_own_file(struct container *c, const char *name, const char *volume,
                        const char *text) {
    char path[PATH_MAX];
    struct volume own = {.text = volume, .tree_fd = -1};
    snprintf(path, sizeof path, LIB_DIR "/%s/%s", c->name, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) &&
        (c->users == OFF || fchown(fd, (uid_t)c->base, (gid_t)c->base) == 0))
        own.tree_fd = sys_open_tree(AT_FDCWD, path, 0);
    close_fd(&fd);
    if (own.tree_fd < 0) return fail(c, "%s", path);
    memmove(&c->volumes[1], c->volumes, c->volume_count++ * sizeof own);
    c->volumes[0] = own;
    return 0;
}

/* The host's name servers. One on the host's loopback is not ours to reach; systemd-resolved is
 * such a one, and keeps the real ones elsewhere. When all fails, public ones, as docker does. */
static int read_name_servers(struct container *c, char *text, size_t size) {
    static const char local[] = "nameserver 127.";
    if (!read_at(AT_FDCWD, "/etc/resolv.conf", text, size) && errno != ENOENT)
        return fail(c, "/etc/resolv.conf");
    if (strstr(text, local)) read_at(AT_FDCWD, "/run/systemd/resolve/resolv.conf", text, size);
    if (!strstr(text, "nameserver") || strstr(text, local))
        snprintf(text, size, "nameserver 8.8.8.8\nnameserver 1.1.1.1\n");
    return 0;
}

static int add_own_files(struct container *c) {
    char text[5000];
    snprintf(text, sizeof text, "127.0.0.1 localhost\n::1 localhost ip6-localhost\n%s %s %s\n",
             c->address[0] ? c->address : "127.0.1.1", c->hostname, c->name);
    if (add_own_file(c, "hosts", ":/etc/hosts", text) < 0) return -1;
    if (c->address[0] && read_name_servers(c, text, sizeof text) < 0) return -1;
    return c->address[0] ? add_own_file(c, "resolv.conf", ":/etc/resolv.conf", text) : 0;
}

/* The name's directory below LIB_DIR. One that another rootfs, or the other way to map users, was
 * used with is not reused. */
static int open_layer(struct container *c) {
    static const char *const parts[] = {"upper", "work"};
    struct container last = blank;
    char path[PATH_MAX];
    snprintf(path, sizeof path, LIB_DIR "/%s", c->name);
    if (mkdir(LIB_DIR, 0700) < 0 && errno != EEXIST) return fail(c, LIB_DIR);
    const bool made = mkdir(path, 0700) == 0;
    if (!made && errno != EEXIST) return fail(c, "%s", path);
    c->layer_fd = open(path, O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (c->layer_fd < 0) {
        fail(c, "%s", path);
        if (made) rmdir(path);
        return -1;
    }
    const bool used = read_state(&last, c->layer_fd) == 0 && last.rootfs[0];
    if (used && strcmp(last.rootfs, c->rootfs) != 0)
        return refuse(c, "the layer of %s belongs to %s: delete %s first, or take another name",
                      c->name, last.rootfs, c->name);
    if (used && (last.users == OFF) != (c->users == OFF) &&
        faccessat(c->layer_fd, "upper", F_OK, 0) == 0) { /* its files would be somebody else's */
        errno = 0;
        if (last.users == OFF) return without_users(c, path, "was made so");
        return refuse(c, "%s was made with a user namespace: delete %s, or leave out --userns off",
                      path, c->name);
    }
    for (size_t i = 0; i < COUNT(parts) && !c->write_through; i++)
        if (mkdirat(c->layer_fd, parts[i], 0755) < 0 && errno != EEXIST)
            return fail(c, "%s/%s", path, parts[i]);
    c->remove &= !used; /* --rm: not what was there before */
    return c->remove && write_state(c, c->layer_fd) < 0 ? fail(c, "%s/state", path) : 0;
}

/* The name's own files (upper) over those that are at place; the working directory is the layer.
 * The owner and the mode of the root directory are those of upper. A layer that goes at the end
 * need not be safe on the disk before (volatile). */
static int mount_overlay(struct container *c, const char *place) {
    char options[256];
    const uid_t root = c->users == OFF ? 0 : (uid_t)c->base;
    struct statvfs v;
    struct stat s;
    if (stat(c->rootfs, &s) < 0 || chmod("upper", s.st_mode & 07777) < 0 ||
        chown("upper", root + s.st_uid % IDS, root + s.st_gid % IDS) < 0)
        return fail(c, "cannot prepare the layer");
    snprintf(options, sizeof options, "lowerdir=%s,upperdir=upper,workdir=work%s", place,
             c->remove ? ",volatile" : "");
    if (mount("overlay", place, "overlay", MS_NODEV, options) == 0) {
        if (statvfs(place, &v) < 0) return fail(c, "cannot look at the layer");
        if (!(v.f_flag & ST_RDONLY)) return 0;
        errno = ENOSPC; /* overlayfs says nothing when it cannot make its work directory */
        return fail(c, "the layer in " LIB_DIR " cannot be written");
    }
    if (errno == EINVAL && c->users != OFF)
        return without_users(c, "a layer over mapped files", "needs Linux 5.19");
    return fail(c, LIB_DIR " and the rootfs must be on ext4, xfs, btrfs or tmpfs for a layer, or "
                           "use --write-through");
}

/*
 * layer: a root that can be written, over a rootfs that is not.
 *
 * overlayfs shows the rootfs until a file is written, which is then copied to the name's own
 * layer. All of it is mounted in a mount namespace of the engine's own, which the child gets a
 * copy of: the host's mount table never shows it, and nothing has to be unmounted. The place is
 * the name's directory below RUN_DIR, which to everybody else stays what it is.
 * https://docs.kernel.org/filesystems/overlayfs.html
 */
static int stack_layer(struct container *c) {
    char host[PATH_MAX], target[PATH_MAX], place[100];
    if (open_layer(c) < 0) return -1;
    if (c->users != OFF && open_user_namespace(c) < 0)
        return without_users(c, "the kernel", "makes none");
    for (struct volume *v = c->volumes; v < c->volumes + c->volume_count; v++) {
        const bool read_only = split_volume(v->text, host, target);
        v->tree_fd = open_mapped(c, host, true, read_only);
        if (v->tree_fd < 0) return -1;
    }
    int rootfs_fd = open_mapped(c, c->rootfs, false, false);
    if (rootfs_fd < 0) return -1;
    c->host_mounts_fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    snprintf(place, sizeof place, RUN_DIR "/%s", c->name);
    const bool moved = c->host_mounts_fd >= 0 && fchdir(c->layer_fd) == 0 &&
                       unshare(CLONE_NEWNS) == 0 &&
                       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                       sys_move_mount(rootfs_fd, AT_FDCWD, place) == 0 &&
                       mount(NULL, place, NULL, MS_PRIVATE, NULL) == 0; /* it came as a peer */
    close_fd(&rootfs_fd);
    if (!moved) return fail(c, "cannot mount the rootfs in a mount namespace of our own");
    if (!c->write_through && mount_overlay(c, place) < 0) return -1;
    c->root_fd = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (c->root_fd < 0) return fail(c, "cannot open the root");
    return add_own_files(c);
}

/* Back to the host's mounts; the namespace with the layer lives on in the child alone. */
static int leave_mounts(struct container *c) {
    if (c->host_mounts_fd >= 0 && setns(c->host_mounts_fd, CLONE_NEWNS) < 0) return -1;
    close_fd(&c->host_mounts_fd); /* the working directory is now / */
    close_fd(&c->root_fd);
    close_fd(&c->users_fd);
    for (size_t i = 0; i < c->volume_count; i++) close_fd(&c->volumes[i].tree_fd);
    return 0;
}

/* At the end the exit status is noted in the layer, or the layer goes: when no program ever ran on
 * it, which is when it has no state, or when its state says so: with --rm, once it has run. */
static void remove_layer(struct container *c) {
    struct container last = blank;
    const bool there = c->layer_fd >= 0;
    const bool stays = there && read_state(&last, c->layer_fd) == 0 && !last.remove;
    leave_mounts(c);
    if (stays && c->ran) write_state(c, c->layer_fd);
    close_fd(&c->layer_fd);
    if (there && !stays && !remove_layer_tree(c->name))
        warn("warning: " LIB_DIR "/.%s cannot be emptied: see lsattr(1), findmnt(8)", c->name);
}

/*
 * cgroup: the limits, in force before the container's first instruction.
 *
 * Where version 1 holds the controllers the files do not exist: a limit that was asked for is
 * then an error, and a default one is given up with a warning.
 */
static int make_cgroup(struct container *c) {
    bool missing = false;
    const int found = find_cgroup(c);
    if (found < 0) return fail(c, "cannot look for cgroup2 in /proc/self/mountinfo");
    if (found) {
        char *slash = strrchr(c->cgroup, '/');
        *slash = '\0';
        const bool first = mkdir(c->cgroup, 0755) == 0;
        *slash = '/';
        if ((mkdir(c->cgroup, 0755) < 0 && errno != EEXIST) || (c->cgroup_fd = open_cgroup(c)) < 0)
            return fail(c, "%s", c->cgroup);
        if (first) { /* else env.sh has told both to give their controllers to their children */
            write_at(c->cgroup_fd, "../../cgroup.subtree_control", "+cpu +memory +pids");
            write_at(c->cgroup_fd, "../cgroup.subtree_control", "+cpu +memory +pids");
        }
    }
    for (int i = 0; i < LIMITS; i++) {
        const int written = write_at(c->cgroup_fd, limits[i].file, c->limit[i]);
        if (written < 0 && strcmp(c->limit[i], "max") == 0) continue; /* there is none */
        if (written < 0 && (c->asked[i] || (errno != ENOENT && errno != EBADF)))
            return fail(c, "%s: no %s in cgroup v2 (see env.sh check)", limits[i].option,
                        limits[i].file);
        missing |= written < 0;
    }
    if (missing)
        warn("warning: this host has no cpu, memory and pids controllers in cgroup v2: the default "
             "limits are not in force; see env.sh check");
    /* No swap beside the memory limit; and when it is hit, all die, not a random one. */
    static const char *const fixed[][2] = {{"memory.swap.max", "0"}, {"memory.oom.group", "1"}};
    for (size_t i = 0; i < COUNT(fixed); i++)
        if (write_at(c->cgroup_fd, fixed[i][0], fixed[i][1]) < 0 && errno != ENOENT &&
            errno != EBADF)
            return fail(c, "cannot write %s", fixed[i][0]);
    return 0;
}

static int remove_directory(const char *path, const struct stat *s, int type, struct FTW *at) {
    (void)s, (void)at;
    if (type == FTW_DP) rmdir(path);
    return 0;
}

/* Kill what is left in it and remove it, with what root inside has made in it (--cap-add
 * SYS_ADMIN); a cgroup with dying members stays busy for a while. */
static void remove_cgroup(struct container *c) {
    char procs[4096], *rest, *line;
    for (int i = 0; find_cgroup(c) > 0 && rmdir(c->cgroup) < 0 && errno == EBUSY && i < 2000; i++) {
        int fd = open_cgroup(c);
        rest = procs;
        if (write_at(fd, "cgroup.kill", "1") < 0 && /* before Linux 5.14 */
            read_at(fd, "cgroup.procs", procs, sizeof procs))
            while ((line = strsep(&rest, "\n")) != NULL && *line) kill((pid_t)atoi(line), SIGKILL);
        close_fd(&fd);
        usleep(1000);
        nftw(c->cgroup, remove_directory, 16, FTW_DEPTH | FTW_PHYS);
    }
}

/* Be among the container's mounts for a moment, for exec: its child is seen inside as soon as it is
 * there, and so are its mounts, which must not be the host's. */
static int enter_mounts(struct container *c) {
    c->host_mounts_fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    return c->host_mounts_fd < 0 ? -1 : setns(c->join_fd, CLONE_NEWNS);
}

static bool is_null(const struct stat *s) {
    return S_ISCHR(s->st_mode) && s->st_rdev == makedev(1, 3);
}

/* What the program writes comes to us through pipes of our own and goes on from here: in a pipe, a
 * terminal or a device of the caller's it could read what is not for it, or change the owner.
 * Files stay as they are. The pipes are the container's, so that it can open /dev/stdout. */
static int open_outputs(struct container *c) {
    int *const ours[] = {NULL, &c->output_fd, &c->error_fd};
    struct stat s[3];
    for (int i = 1; i < 3; i++) {
        int ends[2];
        if (fstat(i, &s[i]) < 0) return fail(c, "descriptor %d", i);
        if (c->relay && isatty(i)) continue; /* it gets a terminal */
        if (!c->detach && !S_ISFIFO(s[i].st_mode) && (!S_ISCHR(s[i].st_mode) || is_null(&s[i])))
            continue;
        const bool same = s[1].st_dev == s[i].st_dev && s[1].st_ino == s[i].st_ino;
        if (i == 2 && c->stdio[1] > 2 && (same || c->detach)) {
            c->stdio[2] = fcntl(c->stdio[1], F_DUPFD_CLOEXEC, 3);
            continue;
        }
        if (pipe2(ends, O_CLOEXEC) < 0) return fail(c, "pipe");
        *ours[i] = ends[0];
        c->stdio[i] = ends[1];
        if (c->users != OFF &&
            fchown(ends[1], (uid_t)(c->base + c->uid), (gid_t)(c->base + c->gid)) < 0)
            return fail(c, "cannot give a pipe to the container");
    }
    return c->stdio[2] < 0 ? fail(c, "pipe") : 0;
}

/*
 * clone: a process in new namespaces, born inside its cgroup. clone3(2)
 *
 * CLONE_INTO_CGROUP puts it there before it runs; writing cgroup.procs afterwards would leave
 * a moment without limits, and takes milliseconds. The same step serves exec, which has
 * joined the container's PID namespace and needs no new ones.
 */
static int clone_child(struct container *c) {
    const bool joining = c->join_fd >= 0;
    const uint64_t flags = joining ? 0
                                   : CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC |
                                         CLONE_NEWNET | CLONE_NEWCGROUP |
                                         (c->users == OFF ? 0 : CLONE_NEWUSER);
    int report[2], go[2] = {-1, -1}, child_fd = -1;
    const pid_t foreground = tcgetpgrp(0); /* in the background a terminal cannot be set up */

    c->relay = !c->detach && isatty(0) && isatty(1) && (foreground < 0 || foreground == getpgrp());
    if (pipe2(report, O_CLOEXEC) < 0 || pipe2(go, O_CLOEXEC) < 0) return fail(c, "pipe");
    if (open_outputs(c) < 0) return -1;
    /* The working directory follows the child into its copy of the mounts; descriptors do not. */
    if (c->root_fd >= 0 && fchdir(c->root_fd) < 0) return fail(c, "fchdir");
    if (joining && enter_mounts(c) < 0) return fail(c, "cannot join the container");
    const int pid = fork_into(flags, c->cgroup_fd, &child_fd);
    if (pid == 0) {
        close(report[0]);     /* the child must not keep the engine's ends open, */
        close(go[1]);         /* or it would never see that the engine died, */
        close_fd(&c->run_fd); /* nor its lock */
        c->report_fd = report[1];
        c->go_fd = go[0];
        if (c->detach) c->stdio[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (joining) become(c, exec_steps, COUNT(exec_steps));
        become(c, container_steps, COUNT(container_steps));
    }
    int error = errno;
    const bool left = leave_mounts(c) == 0;
    if (pid > 0 && !left) error = errno;
    c->report_fd = report[0];
    c->go_fd = go[1];
    close_fd(&report[1]);
    close_fd(&go[0]);
    for (int i = 1; i < 3; i++)
        if (c->stdio[i] > 2) close_fd(&c->stdio[i]);
    errno = error;
    if (pid < 0)
        return fail(c, "cannot make a process%s",
                    errno == ENOMEM || errno == EAGAIN ? " (are the limits too low?)" : "");
    c->pid_fd = child_fd;
    c->pid = pid;
    c->start = start_time(pid);
    errno = error;
    return left ? 0 : fail(c, "cannot return to the host's mounts");
}

/* Usually it has ended. The sweeper comes here with the pid from a state file, trusted only
 * together with its start time, because the kernel gives numbers out again. */
static void end_child(struct container *c) {
    if (c->pid > 0 && c->pid_fd < 0 && c->start > 0 && start_time(c->pid) == c->start)
        c->pid_fd = sys_pidfd_open(c->pid);
    if (c->pid_fd >= 0 && sys_pidfd_send_signal(c->pid_fd, SIGKILL) == 0) {
        struct pollfd p = {c->pid_fd, POLLIN, 0};
        poll(&p, 1, STOP_SECONDS * 1000);
        waitpid((pid_t)c->pid, NULL, 0);
    }
}

/* users: the child's user namespace gets its ids; only then may it touch files. */
static int map_users(struct container *c) {
    if (c->users != OFF && write_maps(c, c->pid) < 0) return fail(c, "cannot map users");
    if (c->users == AUTO) c->users = ON;
    if (write_state(c, c->run_fd) < 0) return fail(c, RUN_DIR "/%s/state", c->name);
    return write(c->go_fd, "", 1) == 1 ? 0 : fail(c, "the child is gone");
}

/* Run ip(8) on a batch of commands, in a network namespace if one is given. Never a shell. */
static int run_ip(struct container *c, int netns_fd, const char *batch) {
    const ssize_t length = (ssize_t)strlen(batch);
    int in_fd = memfd_create("batch", MFD_CLOEXEC), out_fd = memfd_create("output", MFD_CLOEXEC);
    int ip_fd = -1, pid = -1, status = -1;
    char said[200] = "";

    if (in_fd >= 0 && out_fd >= 0 && pwrite(in_fd, batch, (size_t)length, 0) == length)
        pid = fork_into(0, -1, &ip_fd);
    if (pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if ((netns_fd < 0 || setns(netns_fd, CLONE_NEWNET) == 0) && dup2(in_fd, 0) == 0 &&
            dup2(out_fd, 1) == 1 && dup2(out_fd, 2) == 2)
            execlp("ip", "ip", "-batch", "-", (char *)NULL);
        _exit(NOT_FOUND);
    }
    struct pollfd p = {ip_fd, POLLIN, 0};
    const bool hung = pid > 0 && poll(&p, 1, IP_SECONDS * 1000) == 0;
    if (hung) sys_pidfd_send_signal(ip_fd, SIGKILL);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        fail(c, "cannot run ip");
    else if (status != 0) {
        const ssize_t n = pread(out_fd, said, sizeof said - 1, 0);
        said[n > 0 ? strcspn(said, "\n") : 0] = '\0';
        if (hung)
            refuse(c, "ip did not finish within %d seconds", IP_SECONDS);
        else if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_FOUND)
            refuse(c, "ip cannot be run: install iproute2 (env.sh deps)");
        else
            refuse(c, "ip failed: %s (bridge %s)", said[0] ? said : "silently", c->bridge);
    }
    close_fd(&in_fd);
    close_fd(&out_fd);
    close_fd(&ip_fd);
    return status == 0 ? 0 : -1;
}

/* The kernel notices a new carrier a little later, and drops packets until then. Setting the
 * flags as they are changes nothing, but waits for the lock under which it does. netdevice(7) */
static int await_carrier(struct container *c) {
    struct ifreq r = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), result = fd;
    snprintf(r.ifr_name, sizeof r.ifr_name, "ve%08llx", c->pid);
    for (int i = 0; i < 10000 && result >= 0 && !(r.ifr_flags & IFF_RUNNING); i++) {
        usleep(i ? 200 : 0);
        result = ioctl(fd, SIOCGIFFLAGS, &r);
    }
    if (result < 0 || ioctl(fd, SIOCSIFFLAGS, &r) < 0)
        result = fail(c, "cannot ask for the carrier of %s", r.ifr_name);
    else if (!(r.ifr_flags & IFF_RUNNING))
        result = refuse(c, "%s has no carrier: is bridge %s up?", r.ifr_name, c->bridge);
    close_fd(&fd);
    return result;
}

/*
 * network: a cable from the bridge into the container. veth(4), ip-netns(8)
 *
 * The pair is born with one end in each namespace, so eth0 never exists on the host. Its
 * hardware address is derived from the IP address, as docker does: a neighbour that remembers
 * the last owner of the address reaches the new one at once. The pair dies with the namespace.
 */
static int connect_network(struct container *c) {
    char batch[512], path[64], link[128];
    unsigned char a[4];

    snprintf(path, sizeof path, "/proc/%lld/ns/net", c->pid);
    snprintf(link, sizeof link, NETNS_DIR "/%s", c->name);
    disconnect_network(c);
    if ((mkdir(NETNS_DIR, 0755) < 0 && errno != EEXIST) || symlink(path, link) < 0)
        return fail(c, "%s", link);
    if (!c->address[0]) return 0;
    inet_pton(AF_INET, c->address, a);
    snprintf(batch, sizeof batch,
             "link add ve%08llx type veth peer name eth0 address 02:42:%02x:%02x:%02x:%02x "
             "netns %lld\nlink set ve%08llx master %s up\n",
             c->pid, a[0], a[1], a[2], a[3], c->pid, c->pid, c->bridge);
    if (run_ip(c, -1, batch) < 0) return -1;
    int netns_fd = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(batch, sizeof batch,
             "addr add %s/%lld brd + dev eth0\nlink set eth0 up\nroute add default via %s\n",
             c->address, c->prefix, c->gateway);
    const int result = netns_fd < 0 ? fail(c, "%s", path) : run_ip(c, netns_fd, batch);
    close_fd(&netns_fd);
    return result < 0 ? -1 : await_carrier(c);
}

/* Remove the name, if it is one of ours and not a namespace that somebody made by hand. */
static void disconnect_network(struct container *c) {
    char link[128], target[64] = "";
    snprintf(link, sizeof link, NETNS_DIR "/%s", c->name);
    const ssize_t n = readlink(link, target, sizeof target - 1);
    if (n > 13 && strncmp(target, "/proc/", 6) == 0 && strcmp(target + n - 7, "/ns/net") == 0)
        unlink(link);
}

/* A number from a cgroup file, or from the line of it that starts with key; -1: max, or none. */
static long long read_use(const struct container *c, const char *file, const char *key) {
    char text[4096];
    const char *at = read_at(c->cgroup_fd, file, text, sizeof text) ? text : NULL;
    if (at && key && (at = strstr(text, key)) != NULL) at += strlen(key) + 1;
    return at && isdigit((unsigned char)*at) ? atoll(at) : -1;
}

/* The child's next record, or 0 at the end of the pipe. For exec those who are inside already may
 * have stopped it, or frozen its cgroup, so a signal that means the end is seen while we wait. */
static int await_report(struct container *c) {
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct pollfd p = {c->report_fd, POLLIN, 0};
    sigset_t pending;
    int ready = 0;
    while (!c->forwarded && (ready = poll(&p, 1, 50)) == 0) {
        sigpending(&pending);
        for (size_t i = 0; i < COUNT(ends); i++)
            if (sigismember(&pending, ends[i])) c->forwarded = ends[i];
    }
    const ssize_t n = ready > 0 ? read(c->report_fd, &c->report, sizeof c->report) : -1;
    return n == 0                  ? 0
           : n == sizeof c->report ? (int)c->report.kind
                                   : fail(c, "cannot hear the child");
}

static int child_died(struct container *c) {
    return refuse(c, "the child died while being set up%s",
                  read_use(c, "memory.events", "oom_kill") > 0 ? ": --memory is too low" : "");
}

static void copy_window_size(const struct container *c) {
    struct winsize size;
    if (c->relay && ioctl(0, TIOCGWINSZ, &size) == 0) ioctl(c->output_fd, TIOCSWINSZ, &size);
}

/*
 * go: the child has made its walls, the network stands: let it become the program.
 *
 * The pipe closes when exec succeeds, but a killed child closes it too; so the child says
 * READY just before. READY and end: it runs. READY and a failure: exec failed. End alone: it
 * died while being set up.
 */
static int let_go(struct container *c) {
    int said = await_report(c);
    if (said == WAITING && c->relay) {
        c->output_fd = (int)syscall(SYS_pidfd_getfd, c->pid_fd, c->report.terminal_fd, 0);
        if (c->output_fd < 0 || fcntl(c->output_fd, F_SETFL, O_NONBLOCK) < 0)
            return fail(c, "cannot take the terminal");
        copy_window_size(c);
    }
    if (said == WAITING)
        said = write(c->go_fd, "", 1) == 1 ? await_report(c) : fail(c, "the child is gone");
    if (said == READY) {
        if (await_report(c) != 0) return -1;
        c->started = time(NULL);
        if (c->layer_fd >= 0 && (write_state(c, c->run_fd) < 0 || write_state(c, c->layer_fd) < 0))
            return fail(c, "cannot write the state of %s", c->name);
        if (c->running_fd >= 0 && write(c->running_fd, "", 1) < 0)
            return refuse(c, "the process that started us is gone");
        return 0;
    }
    return said == 0 ? child_died(c) : -1;
}

/* ---- Serving a running container: terminal, signals, log -------------------------------- */

/* One direction of the relay: bytes read that could not be written yet. */
struct stream {
    int from, to; /* from is -1 at its end */
    size_t start, end;
    char data[8192];
};

/* Move what can be moved without waiting: a writable pipe takes PIPE_BUF bytes. False when there is
 * nobody to read them. */
static bool pump(struct stream *s, bool may_read, bool may_write) {
    if (may_read) {
        const ssize_t n = read(s->from, s->data, sizeof s->data);
        s->start = 0;
        s->end = n > 0 ? (size_t)n : 0;
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) s->from = -1;
    }
    if (may_write) {
        const size_t left = s->end - s->start;
        const ssize_t n = write(s->to, s->data + s->start, left < PIPE_BUF ? left : PIPE_BUF);
        if (n > 0)
            s->start += (size_t)n;
        else if (errno != EAGAIN && errno != EINTR)
            s->start = s->end; /* as a closed terminal does */
        return n >= 0 || errno != EPIPE;
    }
    return true;
}

/* Keep the log bounded: at LOG_BYTES it becomes log.1, in place of the older one. */
static int open_log(struct container *c) {
    struct stat s;
    if (c->log_fd >= 0 && (fstat(c->log_fd, &s) < 0 || s.st_size < LOG_BYTES)) return c->log_fd;
    if (c->log_fd >= 0) renameat(c->layer_fd, "log", c->layer_fd, "log.1");
    close_fd(&c->log_fd);
    return c->log_fd = openat(c->layer_fd, "log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/*
 * Pass a signal on. The kernel drops what a PID namespace's first process has no handler for,
 * even SIGTERM; then we do what would have happened to any other process: it ends. True when
 * it is to end, and gets STOP_SECONDS for it.
 */
static bool forward(struct container *c, int number) {
    if (number == SIGWINCH) {
        copy_window_size(c);
        return false;
    }
    const bool last = number == SIGTERM || number == SIGHUP;
    const bool dropped = c->join_fd < 0 && !handles_signal(c->pid, number);
    if (dropped || last) c->forwarded = number;
    if (c->join_fd >= 0)
        kill(-(pid_t)c->pid, number); /* exec: as a terminal would, to all of its session */
    else
        sys_pidfd_send_signal(c->pid_fd, dropped ? SIGKILL : number);
    return last;
}

/* The poll loop: until the program ended and everything it wrote has been passed on. After a signal
 * nobody waits for a reader that is slow; nor, in exec, for others that have its output open. */
static void relay(struct container *c) {
    struct stream streams[] = {{.from = c->output_fd, .to = 1},
                               {.from = c->error_fd, .to = 2},
                               {.from = c->relay ? 0 : -1, .to = c->output_fd}};
    struct signalfd_siginfo s;
    time_t deadline = 0;

    for (bool ended = false, left = true; !ended || left;) {
        struct pollfd p[2 + 2 * COUNT(streams)] = {{ended ? -1 : c->pid_fd, POLLIN, 0},
                                                   {c->signal_fd, POLLIN, 0}};
        bool full = false;
        if (c->detach) streams[0].to = open_log(c);
        for (size_t i = 0; i < COUNT(streams); i++) {
            const bool waits = streams[i].start < streams[i].end;
            p[2 + 2 * i] = (struct pollfd){waits ? -1 : streams[i].from, POLLIN, 0};
            p[3 + 2 * i] = (struct pollfd){waits ? streams[i].to : -1, POLLOUT, 0};
            full |= waits && i < 2 && !c->forwarded;
        }
        const int ready = poll(p, COUNT(p), ended && !full ? 0 : deadline ? 1000 : -1);
        left = ready != 0 || full;
        if (deadline && time(NULL) >= deadline) sys_pidfd_send_signal(c->pid_fd, SIGKILL);
        if (p[1].revents && read(c->signal_fd, &s, sizeof s) == sizeof s &&
            forward(c, (int)s.ssi_signo) && !deadline)
            deadline = time(NULL) + STOP_SECONDS;
        for (size_t i = 0; i < COUNT(streams); i++)
            if (!pump(&streams[i], p[2 + 2 * i].revents,
                      p[3 + 2 * i].revents || streams[i].to < 0)) {
                streams[i].from = -1; /* SIGPIPE for the program, too */
                close_fd(i ? &c->error_fd : &c->output_fd);
            }
        ended |= p[0].revents != 0;
    }
}

/* Until the container ends. Our terminal becomes a plain wire meanwhile, because echo and
 * editing are done by the container's own. Returns the exit status for the shell. */
static int serve(struct container *c) {
    const sigset_t set = hold_signals();
    struct termios raw;
    int status = 0;

    c->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
    if (c->detach) {
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        for (int i = 0; i < 3; i++) dup2(null_fd, i);
        close_fd(&null_fd);
    }
    if (c->relay && tcgetattr(0, &c->saved) == 0) {
        raw = c->saved;
        cfmakeraw(&raw);
        tcsetattr(0, TCSANOW, &raw);
    }
    relay(c);
    if (c->relay) tcsetattr(0, TCSANOW, &c->saved);
    close_fd(&c->signal_fd);
    close_fd(&c->log_fd);
    waitpid((pid_t)c->pid, &status, 0);
    close_fd(&c->pid_fd);
    if (!WIFSIGNALED(status)) return WEXITSTATUS(status);
    if (WTERMSIG(status) == SIGKILL && read_use(c, "memory.events", "oom_kill") > 0) {
        warn("%s was killed: it needed more memory than its limit; see --memory", c->name);
        usleep(300000); /* before its cgroup goes: those that serve an exec look there, too */
    }
    return 128 + (c->forwarded ? c->forwarded : WTERMSIG(status));
}

/* ---- The child's steps ------------------------------------------------------------------ */

/* Wait for a byte from the engine. End-of-file instead: it died, and nobody is to be told. */
static int wait_for_engine(struct container *c) {
    char byte;
    const ssize_t n = read(c->go_fd, &byte, 1);
    if (n == 0) _exit(ENGINE_FAILED);
    return n < 0 ? fail(c, "cannot hear the engine") : 0;
}

static int tell_engine(struct container *c, int kind) {
    const struct report r = {.kind = kind, .terminal_fd = c->output_fd};
    return write(c->report_fd, &r, sizeof r) < 0 ? fail(c, "cannot tell the engine") : 0;
}

/* Groups go first, for a mere user may not change them. Whenever credentials change, the kernel
 * resets the other two: not dumpable, so that nobody may look into us (CVE-2016-9962), and killed
 * when the engine dies. prctl(2) */
static int become_user(struct container *c, uid_t uid, gid_t gid) {
    if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
        return fail(c, "cannot become user %u:%u", uid, gid);
    if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return fail(c, "prctl");
    return 0;
}

/* Neither the host's terminal nor its keys (session-keyring(7)); root, from the unmapped user
 * that clone leaves. */
static int leave_session(struct container *c) {
    enum { JOIN_SESSION_KEYRING = 1 };
    if (setsid() < 0) return fail(c, "setsid");
    if (syscall(SYS_keyctl, JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS && errno != EDQUOT)
        return fail(c, "cannot leave the host's keyring");
    return become_user(c, 0, 0);
}

/*
 * private: nothing done here shows on the host.
 *
 * Mounts of a systemd host are shared, so a copied namespace would still pass mounts on;
 * MS_PRIVATE ends that. mount_namespaces(7)
 */
static int make_private(struct container *c) {
    if (wait_for_engine(c) < 0 || leave_session(c) < 0) return -1; /* it maps our user ids */
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ? fail(c, "mount /") : 0;
}

/*
 * rootfs: the layer becomes a mount point of ours.
 *
 * pivot_root(2) wants a mount point, and refuses one that came from a more privileged mount
 * namespace; so the tree is mounted onto itself.
 */
static int enter_rootfs(struct container *c) {
    c->root_fd = sys_open_tree(AT_FDCWD, ".", AT_RECURSIVE);
    if (c->root_fd < 0 || sys_move_mount(c->root_fd, AT_FDCWD, ".") < 0 || fchdir(c->root_fd) < 0)
        return fail(c, "cannot mount the root onto itself");
    return 0;
}

/* Mount a file system of the kernel's. A rootfs that has a link in the place is refused. */
static int mount_inside(struct container *c, const char *type, const char *target,
                        unsigned long flags, const char *options) {
    char path[64];
    int target_fd = open_inside(c, target, true, RESOLVE_NO_SYMLINKS);
    if (target_fd < 0)
        return errno == ELOOP ? refuse(c, "/%s is a symbolic link in the rootfs", target)
                              : fail(c, "/%s", target);
    snprintf(path, sizeof path, "/proc/self/fd/%d", target_fd);
    const int result = mount(type, path, type, flags, options);
    close_fd(&target_fd);
    return result < 0 ? fail(c, "mount %s on /%s", type, target) : 0;
}

/* For a device of the host's: it can be written to, but its owner and mode stay. */
#define NODE_FLAGS (MS_RDONLY | MS_NOSUID | MS_NOEXEC)

/* Put what is at the host's (or our own) path onto the target; flags: those of a remount. */
static int bind_inside(struct container *c, const char *source, const char *target, bool directory,
                       unsigned long flags) {
    char path[64];
    int source_fd = source[0] == '/' ? sys_openat2(AT_FDCWD, source, O_PATH, 0)
                                     : open_inside(c, source, directory, RESOLVE_NO_SYMLINKS);
    int tree_fd = source_fd < 0 ? -1 : sys_open_tree(source_fd, "", AT_RECURSIVE | AT_EMPTY_PATH);
    close_fd(&source_fd);
    int target_fd = tree_fd < 0 ? -1 : open_inside(c, target, directory, RESOLVE_NO_SYMLINKS);
    int result = target_fd < 0 ? -1 : sys_move_mount(tree_fd, target_fd, "");
    snprintf(path, sizeof path, "/proc/self/fd/%d", tree_fd);
    if (result == 0 && flags) result = mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | flags, NULL);
    if (result < 0) fail(c, "%s on /%s", source, target);
    close_fd(&tree_fd);
    close_fd(&target_fd);
    return result;
}

/* Hide path under a null or an empty directory, or make it read-only; it is below c->root_fd, which
 * is proc or sys itself meanwhile. Not every kernel has every part. */
static int protect(struct container *c, const char *path, bool hide) {
    const unsigned long flags = MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY;
    struct stat s;
    if (fstatat(c->root_fd, path, &s, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : fail(c, "%s", path);
    if (hide && S_ISDIR(s.st_mode)) return mount_inside(c, "tmpfs", path, flags, "size=0,mode=555");
    return bind_inside(c, hide ? "/dev/null" : path, path, S_ISDIR(s.st_mode),
                       hide ? NODE_FLAGS : flags);
}

/*
 * proc: the kernel's own file systems, for these namespaces.
 *
 * Before pivot, because the kernel allows proc and sysfs in a user namespace only where a
 * full one is visible already, and the host's is still there. Parts of both speak of the whole
 * machine, whatever the namespace: those are hidden or read-only. They are found from the file
 * system itself: with --write-through somebody may exchange the directories meanwhile.
 */
static int mount_proc(struct container *c) {
    static const struct {
        const char *type, *place;
        long magic;
        unsigned long flags;
        const char *hidden[16], *read_only[6]; /* up to the first NULL */
    } systems[] = {
        {"proc",
         "proc",
         PROC_SUPER_MAGIC,
         0,
         {"acpi", "asound", "interrupts", "kcore", "keys", "kpagecount", "kpageflags",
          "latency_stats", "pagetypeinfo", "sched_debug", "scsi", "slabinfo", "timer_list",
          "timer_stats", "vmallocinfo"},
         {"bus", "fs", "irq", "sys", "sysrq-trigger"}},
        {"sysfs", "sys", SYSFS_MAGIC, MS_RDONLY, {"devices/virtual/powercap", "firmware"}, {NULL}},
    };
    const unsigned long quiet = MS_NOSUID | MS_NOEXEC | MS_NODEV;
    int root_fd = c->root_fd, result = 0;
    struct statfs f;

    for (size_t i = 0; i < COUNT(systems) && result == 0; i++) {
        c->root_fd = root_fd;
        if (mount_inside(c, systems[i].type, systems[i].place, quiet | systems[i].flags, NULL) < 0)
            return -1;
        c->root_fd = open_inside(c, systems[i].place, true, RESOLVE_NO_SYMLINKS);
        if (c->root_fd < 0 || fstatfs(c->root_fd, &f) < 0)
            result = fail(c, "/%s", systems[i].place);
        else if (f.f_type != systems[i].magic)
            result = refuse(c, "/%s of the rootfs was exchanged", systems[i].place);
        for (const char *const *p = systems[i].hidden; result == 0 && *p; p++)
            result = protect(c, *p, true);
        for (const char *const *p = systems[i].read_only; result == 0 && *p; p++)
            result = protect(c, *p, false);
        if (result == 0 && systems[i].magic == SYSFS_MAGIC && c->cgroup_fd >= 0)
            result = mount_inside(c, "cgroup2", "fs/cgroup", quiet | MS_RDONLY, NULL);
        close_fd(&c->root_fd);
    }
    c->root_fd = root_fd;
    return result;
}

/* The master of a new terminal from the container's devpts, and its slave. pty(7) */
static int open_terminal(struct container *c, int devpts_ptmx_fd) {
    int unlock = 0, slave_fd = -1;
    c->output_fd = devpts_ptmx_fd;
    if (c->output_fd >= 0 && ioctl(c->output_fd, TIOCSPTLCK, &unlock) == 0)
        slave_fd = ioctl(c->output_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave_fd < 0 || fchown(slave_fd, (uid_t)c->uid, (gid_t)-1) < 0)
        return fail(c, "cannot open a terminal");
    for (int i = 0; i < 3; i++)
        if (isatty(i)) c->stdio[i] = slave_fd;
    return 0;
}

/*
 * dev: the few devices that are the same for everybody, and terminals of its own.
 *
 * Nodes are not made (a user namespace may not) but are the host's, each checked to be the
 * device it claims to be; a node that is made beside them cannot be opened. devpts is a new
 * instance: the host's terminals are not in it.
 */
static int mount_dev(struct container *c) {
    static const struct device {
        const char *name;
        unsigned char major, minor;
    } devices[] = {
        {"null", 1, 3},   {"zero", 1, 5},    {"full", 1, 7},
        {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0},
    };
    static const char *const links[][2] = {
        {"/proc/self/fd", "fd"},       {"/proc/self/fd/0", "stdin"}, {"/proc/self/fd/1", "stdout"},
        {"/proc/self/fd/2", "stderr"}, {"pts/ptmx", "ptmx"},
    };
    static const char small[] = "mode=755,size=64k,nr_inodes=1k";
    const unsigned long quiet = MS_NOSUID | MS_NOEXEC | MS_NODEV;
    char path[64];
    struct stat s;

    umask(0);
    if (mount_inside(c, "tmpfs", "dev", MS_NOSUID | MS_NODEV, small) < 0 ||
        mount_inside(c, "devpts", "dev/pts", MS_NOSUID | MS_NOEXEC,
                     "newinstance,ptmxmode=0666,mode=0620,gid=5") < 0 ||
        mount_inside(c, "tmpfs", "dev/shm", quiet, "mode=1777,size=64m,nr_inodes=16k") < 0 ||
        mount_inside(c, "mqueue", "dev/mqueue", quiet, NULL) < 0)
        return -1;
    /* From here on by descriptor: with --write-through somebody may exchange dev meanwhile. */
    int dev_fd = open_inside(c, "dev", true, RESOLVE_NO_SYMLINKS);
    if (dev_fd < 0) return fail(c, "/dev");
    for (size_t i = 0; i < COUNT(devices); i++) {
        snprintf(path, sizeof path, "/dev/%s", devices[i].name);
        if (bind_inside(c, path, path + 1, false, NODE_FLAGS) < 0) return -1;
        if (fstatat(dev_fd, devices[i].name, &s, AT_SYMLINK_NOFOLLOW) < 0)
            return fail(c, "%s", path);
        if (!S_ISCHR(s.st_mode) || s.st_rdev != makedev(devices[i].major, devices[i].minor))
            return refuse(c, "the host's %s is not the device of that name", path);
    }
    for (size_t i = 0; i < COUNT(links); i++)
        if (symlinkat(links[i][0], dev_fd, links[i][1]) < 0) return fail(c, "/dev/%s", links[i][1]);
    umask(022);
    const int ptmx_fd =
        c->relay ? sys_openat2(dev_fd, "pts/ptmx", O_RDWR | O_NOCTTY, RESOLVE_NO_SYMLINKS) : -1;
    close_fd(&dev_fd);
    if (c->relay && open_terminal(c, ptmx_fd) < 0) return -1;
    return c->relay ? bind_inside(c, "dev/pts/0", "dev/console", false, 0)
                    : bind_inside(c, "/dev/null", "dev/console", false, NODE_FLAGS);
}

/* Volumes come as descriptors of detached mounts. Their places are found by openat2(2), for which
 * no link leads out of the root, and last, so that they may be in /dev. */
static int place_volumes(struct container *c) {
    for (struct volume *v = c->volumes; v < c->volumes + c->volume_count; v++) {
        char host[PATH_MAX], target[PATH_MAX];
        struct stat s;
        split_volume(v->text, host, target);
        if (fstat(v->tree_fd, &s) < 0) return fail(c, "volume %s", v->text);
        int target_fd = open_inside(c, target, S_ISDIR(s.st_mode), RESOLVE_IN_ROOT);
        if (target_fd < 0 || sys_move_mount(v->tree_fd, target_fd, "") < 0)
            return fail(c, "volume on %s%s", target,
                        errno == EINVAL ? ": one is a directory, the other is not" : "");
        close_fd(&target_fd);
    }
    return 0;
}

/*
 * pivot: the root of the mount namespace itself is exchanged, and the old one detached.
 *
 * chroot(2) would only change where "/" points for this process, and root can walk out of it.
 * With pivot_root(".", ".") the old root ends up on top of the new one, from where it is
 * unmounted: afterwards no path, and no mount, leads to the host's files. pivot_root(2)
 */
static int pivot(struct container *c) {
    if (place_volumes(c) < 0) return -1;
    if (syscall(SYS_pivot_root, ".", ".") < 0) return fail(c, "pivot_root");
    if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return fail(c, "cannot detach the host's root");
    /* A volume came as a peer of the host's mount; mounts made in one would show in the other. */
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return fail(c, "mount /");
    if (c->read_only &&
        mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NODEV, NULL) < 0)
        return fail(c, "cannot make the root read-only");
    return 0;
}

/* hostname: uts_namespaces(7); and the loopback interface of the new network, which is down. */
static int set_hostname(struct container *c) {
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int socket_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (sethostname(c->hostname, strlen(c->hostname)) < 0) return fail(c, "sethostname");
    if (socket_fd < 0 || ioctl(socket_fd, SIOCSIFFLAGS, &lo) < 0)
        return fail(c, "cannot set lo up");
    close(socket_fd);
    return 0;
}

/*
 * caps: root of the container keeps only the capabilities in its bounding set, another user
 * has none; none are inheritable, and no set-user-ID program gives more. capabilities(7)
 */
static int drop_capabilities(struct container *c) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2] = {{0, 0, 0}, {0, 0, 0}};

    for (int i = 0, has; (has = prctl(PR_CAPBSET_READ, i)) >= 0 || errno != EINVAL; i++)
        if (has < 0 || (has && !BIT(c->capabilities, i) && prctl(PR_CAPBSET_DROP, i) < 0))
            return fail(c, "cannot drop capability %d", i);
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (become_user(c, (uid_t)c->uid, (gid_t)c->gid) < 0) return -1;
    for (int i = 0; i < 2 && c->uid == 0; i++)
        sets[i].permitted = sets[i].effective = (uint32_t)(c->capabilities >> 32 * i);
    if (syscall(SYS_capset, &header, sets) < 0) return fail(c, "capset");
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? fail(c, "prctl") : 0;
}

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#else
#error "the system call filter is written for x86_64 and aarch64"
#endif

/* System calls that a container is denied, unless it has the capability in front; -1: always. */
static const struct denied {
    int unless, calls[14]; /* up to the first 0 */
} denied[] = {
    /* mounts: it could undo its read-only and masked paths; namespaces of others */
    {CAP_SYS_ADMIN,
     {SYS_mount, SYS_umount2, SYS_pivot_root, SYS_move_mount, SYS_open_tree, SYS_fsopen,
      SYS_fsconfig, SYS_fsmount, SYS_fspick, 442 /* mount_setattr */, 467 /* open_tree_attr */,
      SYS_setns}},
    /* files by number instead of by name, past the root */
    {CAP_DAC_READ_SEARCH, {SYS_open_by_handle_at, SYS_name_to_handle_at}},
    /* programs, events and memory inside the kernel, where many holes were found */
    {CAP_SYS_ADMIN, {SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_fanotify_init}},
    {-1, {SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register}},
    {CAP_SYS_MODULE, {SYS_init_module, SYS_finit_module, SYS_delete_module}},
    /* keys belong to the user, not to a namespace */
    {-1, {SYS_add_key, SYS_request_key, SYS_keyctl}},
    /* the machine as a whole: another kernel, its clock, swap, accounting, log, devices' ports */
    {CAP_SYS_BOOT, {SYS_kexec_load, SYS_kexec_file_load, SYS_reboot}},
    {CAP_SYS_TIME, {SYS_settimeofday, SYS_clock_settime, SYS_clock_adjtime, SYS_adjtimex}},
    {CAP_SYS_ADMIN, {SYS_swapon, SYS_swapoff, SYS_quotactl, 443 /* quotactl_fd */}},
    {CAP_SYS_PACCT, {SYS_acct}},
    {CAP_SYSLOG, {SYS_syslog}},
#ifdef __x86_64__
    {CAP_SYS_RAWIO, {SYS_iopl, SYS_ioperm}},
#endif
    /* other processes' internals and memory placement */
    {CAP_SYS_PTRACE, {SYS_kcmp}},
    {CAP_SYS_NICE, {SYS_move_pages, SYS_migrate_pages}},
};

/* And those that are denied by an argument: when it has a bit, or is a value. */
static const struct denied_argument {
    int unless, call, argument, test;
    uint32_t value;
} denied_arguments[] = {
    /* in a user namespace of its own it would have all capabilities again */
    {CAP_SYS_ADMIN, SYS_clone, 0, BPF_JSET, CLONE_NEWUSER},
    {CAP_SYS_ADMIN, SYS_unshare, 0, BPF_JSET, CLONE_NEWUSER},
    /* pushes input into a terminal, which may be the host's */
    {-1, SYS_ioctl, 1, BPF_JEQ, TIOCSTI},
    {-1, SYS_ioctl, 1, BPF_JEQ, TIOCLINUX},
    /* vsock(7) leads to the hypervisor and to other machines on it, past all network namespaces */
    {-1, SYS_socket, 0, BPF_JEQ, AF_VSOCK},
};

/*
 * seccomp: a program in classic BPF that the kernel runs before each system call. seccomp(2)
 *
 * It loads a field of struct seccomp_data, compares, and jumps (counted in instructions) or
 * returns a verdict. Other ABIs of the processor have other numbers for the same calls, so
 * they are refused. clone3 passes its flags in memory, where a filter cannot look: ENOSYS
 * makes libc use clone. Of an argument the kernel looks at 32 of the 64 bits, and so must we.
 */
static int filter_calls(struct container *c) {
    enum { DENY = SECCOMP_RET_ERRNO | EPERM, MISSING = SECCOMP_RET_ERRNO | ENOSYS };
    struct sock_filter code[200];
    unsigned short n = 0;
#define LOAD(field) \
    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, \
                                             (uint32_t)offsetof(struct seccomp_data, field))
#define JUMP(test, value, yes, no) \
    code[n++] = \
        (struct sock_filter)BPF_JUMP(BPF_JMP | (test) | BPF_K, (uint32_t)(value), (yes), (no))
#define RETURN(verdict) code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, (verdict))

    if (c->seccomp == OFF) return 0;
    LOAD(arch);
    JUMP(BPF_JEQ, OUR_ARCH, 1, 0);
    RETURN(SECCOMP_RET_KILL_PROCESS);
    LOAD(nr);
    JUMP(BPF_JGE, 0x40000000, 0, 1); /* x32: a flag on the numbers of x86_64 */
    RETURN(MISSING);
    JUMP(BPF_JEQ, SYS_clone3, 0, 1);
    RETURN(MISSING);
    for (const struct denied *d = denied; d < denied + COUNT(denied); d++)
        for (const int *call = d->calls; *call; call++)
            if (d->unless < 0 || !BIT(c->capabilities, d->unless)) {
                JUMP(BPF_JEQ, *call, 0, 1);
                RETURN(DENY);
            }
    for (const struct denied_argument *d = denied_arguments;
         d < denied_arguments + COUNT(denied_arguments); d++)
        if (d->unless < 0 || !BIT(c->capabilities, d->unless)) {
            LOAD(nr);
            JUMP(BPF_JEQ, d->call, 0, 3);
            LOAD(args[d->argument]); /* the low half, on little-endian machines */
            JUMP(d->test, d->value, 0, 1);
            RETURN(DENY);
        }
    RETURN(SECCOMP_RET_ALLOW);
#undef LOAD
#undef JUMP
#undef RETURN
    struct sock_fprog program = {n, code};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0) return fail(c, "seccomp");
    return 0;
}

/* Why exec failed, in the status and the words that shells use. */
static int explain_exec(struct container *c) {
    const char *program = c->argv[0];
    int error = errno;

    c->report.status = error == ENOENT || error == ENOTDIR ? NOT_FOUND : NOT_EXECUTABLE;
    if (error == ENOENT && strchr(program, '/') && access(program, F_OK) == 0)
        return refuse(c, "%s is there, but its interpreter or loader is not in the rootfs",
                      program);
    if (error == ENOENT)
        return refuse(c, "%s: not found in the container%s", program,
                      c->argv == c->shell ? ": is the rootfs a root file system?" : "");
    if (error == ENOEXEC) return refuse(c, "%s: not a program for this machine", program);
    errno = error;
    return fail(c, "%s", program);
}

/*
 * exec: when the network stands, become the program.
 *
 * Just before, every descriptor but 0, 1, 2 is closed, because one open directory of the host
 * would be a way out; only then the working directory is entered, and checked to be inside: it
 * may be a link to /proc/self/fd/7 (CVE-2024-21626).
 */
static int execute(struct container *c) {
    char cwd[PATH_MAX];
    struct stat s;
    sigset_t none;

    if (tell_engine(c, WAITING) < 0 || wait_for_engine(c) < 0) return -1;
    if (!c->argv[0]) {
        c->shell[0] = access("/bin/bash", X_OK) == 0 ? "/bin/bash" : "/bin/sh";
        c->argv = c->shell;
    }
    for (int i = 0; i < 3; i++) {
        if (fstat(c->stdio[i], &s) < 0) return fail(c, "descriptor %d", i);
        if (is_null(&s)) { /* not the host's, which it could chmod */
            c->stdio[i] = sys_openat2(AT_FDCWD, "/dev/null", O_RDWR, RESOLVE_NO_SYMLINKS);
            if (c->stdio[i] < 0 || fstat(c->stdio[i], &s) < 0) return fail(c, "/dev/null");
            if (!is_null(&s)) return refuse(c, "/dev/null is not the device of that name");
        }
        if (dup2(c->stdio[i], i) < 0) return fail(c, "dup2");
    }
    if (c->relay && ioctl(0, TIOCSCTTY, 0) < 0) return fail(c, "cannot make the terminal its own");
    if (c->report_fd != REPORT_FD && dup3(c->report_fd, REPORT_FD, O_CLOEXEC) < 0)
        return fail(c, "dup3");
    c->report_fd = REPORT_FD;
    if (syscall(SYS_close_range, REPORT_FD + 1, ~0U, 0) < 0) return fail(c, "close_range");
    if (chdir(c->cwd) < 0) return fail(c, "-w %s", c->cwd);
    const char *inside = getcwd(cwd, sizeof cwd);
    if (!inside && errno != ENOENT) return fail(c, "getcwd");
    if (!inside || cwd[0] != '/')
        return refuse(c, "the working directory is outside of the container");
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int n = 1; n < NSIG; n++) signal(n, SIG_DFL); /* whatever our caller ignores */
    if (tell_engine(c, READY) < 0) return -1;
    environ = c->environment;
    execvp(c->argv[0], c->argv);
    return explain_exec(c);
}

/* ---- Living with containers ------------------------------------------------------------- */

/* The container of this name, which must be running where that is asked for. */
static void need_container(struct container *c, const char *name, bool running) {
    int host_fd = lock_host(); /* which sweeps */
    if (!find_container(c, name))
        die("there is no container named %s; see container_engine list", c->name);
    close_fd(&host_fd);
    if (running && c->pid < 0) die("container %s is not running", c->name);
    if (c->pid < 0) return;
    c->cgroup_fd = open_cgroup(c);
    const int error = errno;
    const bool lost = c->cgroup_fd < 0 && find_cgroup(c) != 0; /* not: there never was one */
    c->pid_fd = sys_pidfd_open(c->pid);
    if (c->pid_fd < 0 && errno != ESRCH) die("container %s: %s", c->name, strerror(errno));
    if (c->pid_fd >= 0 && start_time(c->pid) == c->start) {
        if (lost) die("the cgroup of container %s: %s", c->name, strerror(error));
        return;
    }
    if (running) die("container %s has just ended", c->name);
    c->pid = -1;
    close_fd(&c->pid_fd);
}

/* What a state file holds, as KEY=VALUE lines, and list --json as an object. Size 0: a number. */
#define TEXT(field) \
    { #field, offsetof(struct container, field), sizeof blank.field }
#define NUMBER(field) \
    { #field, offsetof(struct container, field), 0 }
static const struct field {
    const char *key;
    size_t offset, size;
} fields[] = {
    TEXT(rootfs),         TEXT(address), TEXT(bridge),   TEXT(gateway),   TEXT(hostname),
    TEXT(command),        NUMBER(pid),   NUMBER(start),  NUMBER(started), NUMBER(status),
    NUMBER(capabilities), NUMBER(users), NUMBER(base),   NUMBER(seccomp), NUMBER(remove),
    NUMBER(uid),          NUMBER(gid),   NUMBER(prefix), NUMBER(engine),  NUMBER(engine_start),
    TEXT(boot),
};
#define FIELD_TEXT(c, f)   ((const char *)(c) + (f)->offset)
#define FIELD_NUMBER(c, f) (*(const long long *)(const void *)FIELD_TEXT(c, f))

static void describe(const struct container *c, char status[32]) {
    if (c->pid >= 0 || c->run_fd >= 0)
        snprintf(status, 32, "%s", !c->started ? "starting" : c->pid >= 0 ? "running" : "ending");
    else /* no status: its engine was killed, and it with it */
        snprintf(status, 32, "exited (%lld)", c->status < 0 ? 128LL + SIGKILL : c->status);
}

/* What a container uses, from its cgroup's files: for list --json and inspect. */
enum { MEMORY_NOW, MEMORY_MAX, PIDS_NOW, PIDS_MAX };
static const struct use {
    const char *key, *file, *line;
} uses[] = {
    {"memory", "memory.current", NULL},
    {"memory_max", "memory.max", NULL},
    {"pids", "pids.current", NULL},
    {"pids_max", "pids.max", NULL},
    {"cpu_usec", "cpu.stat", "usage_usec"},
    {"cpu_throttled", "cpu.stat", "nr_throttled"},
    {"oom_kills", "memory.events", "oom_kill"},
};

static void print_number(const char *key, long long n) {
    printf(n < 0 ? ",\"%s\":null" : ",\"%s\":%lld", key, n);
}

static void print_json(const struct container *c, const char *status, double cpu) {
    printf("{\"name\":\"%s\",\"state\":\"%s\",\"cpu_percent\":%.1f", c->name, status, cpu);
    for (const struct field *f = fields; f < fields + COUNT(fields); f++) {
        if (!f->size) print_number(f->key, FIELD_NUMBER(c, f));
        if (f->size) printf(",\"%s\":\"", f->key);
        for (const char *p = FIELD_TEXT(c, f); f->size && *p; p++)
            printf(strchr("\"\\", *p) ? "\\%c" : "%c", *p);
        printf(f->size ? "\"" : "");
    }
    for (const struct use *u = uses; u < uses + COUNT(uses); u++)
        print_number(u->key, read_use(c, u->file, u->line));
    printf("}");
}

/* For people: a number of bytes in MiB, another as it is, max, or a dash where there is none. */
static const char *show_use(const struct container *c, const struct use *u, char text[24]) {
    const long long n = read_use(c, u->file, u->line);
    if (n < 0 && !u->line && read_at(c->cgroup_fd, u->file, text, 24) && *text == 'm') return "max";
    if (n < 0) return "-";
    const bool bytes = strncmp(u->file, "memory.", 7) == 0 && !u->line;
    snprintf(text, 24, bytes ? "%.1fM" : "%.0f", (double)n / (bytes ? 1 << 20 : 1));
    return text;
}

static void print_row(const struct container *c, const char *status, double cpu) {
    const time_t started = (time_t)c->started;
    char when[32] = "-", pid[24] = "-", a[24], b[24], d[24], e[24];
    if (started) strftime(when, sizeof when, "%m-%d %H:%M:%S", localtime(&started));
    if (c->pid >= 0) snprintf(pid, sizeof pid, "%lld", c->pid);
    printf("%-16s %-12s %7s %-15s %-14s %5.1f%% %7s/%-7s %4s/%-4s %s\n", c->name, status, pid,
           c->address[0] ? c->address : "none", when, cpu, show_use(c, &uses[MEMORY_NOW], a),
           show_use(c, &uses[MEMORY_MAX], b), show_use(c, &uses[PIDS_NOW], d),
           show_use(c, &uses[PIDS_MAX], e), c->command);
}

static long long microseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

/* list: everything that runs or has a layer. Processor use is taken over some periods of cpu.max,
 * because in a part of one a container may get all of its share. */
static int list(struct container *c, char **argv) {
    enum { SAMPLE = 3 * CPU_PERIOD };
    struct container *all = NULL;
    char status[32];
    (void)argv;
    int host_fd = lock_host(); /* which sweeps */
    const size_t count = find_all(&all);
    c->json &= !c->quiet;
    close_fd(&host_fd);
    for (size_t i = 0; i < count; i++) {
        all[i].cgroup_fd = all[i].pid < 0 ? -1 : open_cgroup(&all[i]);
        all[i].sample[0] = read_use(&all[i], "cpu.stat", "usage_usec");
        all[i].sample[1] = microseconds();
    }
    if (!c->quiet && count) usleep(SAMPLE);
    if (!c->quiet && !c->json)
        printf("%-16s %-12s %7s %-15s %-14s %6s %7s/%-7s %4s/%-4s %s\n", "NAME", "STATUS", "PID",
               "ADDRESS", "STARTED", "CPU", "MEMORY", "MAX", "PIDS", "MAX", "COMMAND");
    for (size_t i = 0; i < count; i++) {
        struct container *o = &all[i];
        const long long used = read_use(o, "cpu.stat", "usage_usec") - o->sample[0];
        const double cpu = (double)used * 100 / (double)(microseconds() - o->sample[1] + 1);
        describe(o, status);
        if (c->quiet) {
            puts(o->name);
        } else if (c->json) {
            printf("%s", i ? ",\n " : "[");
            print_json(o, status, used < 0 ? 0 : cpu);
        } else {
            print_row(o, status, used < 0 ? 0 : cpu);
        }
        close_all(o);
    }
    if (c->json) puts(count ? "]" : "[]");
    free(all);
    return 0;
}

/* Copy a file of the process's in /proc, indented, without the first words of each line. */
static void show_file(const char *title, long long pid, const char *name, int skip) {
    char path[64], line[4096];
    snprintf(path, sizeof path, "/proc/%lld/%s", pid, name);
    FILE *f = fopen(path, "re");
    puts(title);
    while (f && fgets(line, sizeof line, f)) {
        const char *at = line;
        for (int i = 0; i < skip; i++) at += strcspn(at, " ") + (strchr(at, ' ') != NULL);
        line[strcspn(line, "\n")] = '\0';
        make_printable(line); /* the container has chosen some of it */
        printf("  %s\n", at + strspn(at, " "));
    }
    if (f) fclose(f);
}

/* The namespaces of the host and of the container: numbers that differ are walls. */
static void show_namespaces(long long pid) {
    static const char *const kinds[] = {"cgroup", "ipc",  "mnt",  "net",
                                        "pid",    "time", "user", "uts"};
    printf("namespaces  %-24s %-24s\n", "host", "container");
    for (size_t i = 0; i < COUNT(kinds); i++) {
        char path[64], host[64] = "", inside[64] = "";
        snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[i]);
        const ssize_t there = readlink(path, host, sizeof host - 1);
        snprintf(path, sizeof path, "/proc/%lld/ns/%s", pid, kinds[i]);
        if (there > 0 && readlink(path, inside, sizeof inside - 1) > 0)
            printf("  %-9s %-24s %-24s %s\n", kinds[i], host, inside,
                   strcmp(host, inside) ? "its own" : "the host's");
    }
}

/* A picture of the way from the host to the container, and who else is on the bridge. */
static void show_network(const struct container *c) {
    struct container *all = NULL;
    int host_fd = lock_host();
    printf("network\n");
    if (!c->address[0])
        printf("  lo only\n");
    else
        printf("  host %s (%s/%lld) --- ve%08llx === eth0 (%s/%lld) %s\n", c->bridge, c->gateway,
               c->prefix, c->pid, c->address, c->prefix, c->name);
    for (size_t n = find_all(&all); n-- > 0; close_all(&all[n]))
        if (all[n].pid >= 0 && all[n].address[0] && c->address[0] && all[n].pid != c->pid &&
            strcmp(all[n].bridge, c->bridge) == 0)
            printf("  %*s +-- ve%08llx === eth0 (%s) %s\n", (int)strlen(c->bridge) + 5, "",
                   all[n].pid, all[n].address, all[n].name);
    free(all);
    close_fd(&host_fd);
}

static int inspect(struct container *c, char **argv) {
    char status[32], text[64];
    need_container(c, argv[0], false);
    describe(c, status);
    printf("name        %s\nstatus      %s\nrootfs      %s\nlayer       " LIB_DIR "/%s\n"
           "command     %s\n",
           c->name, status, c->rootfs, c->name, c->command);
    if (c->pid >= 0) {
        printf("pid         %lld on the host, 1 inside\n", c->pid);
        show_namespaces(c->pid);
        show_file("user ids    (inside, on the host, how many)", c->pid, "uid_map", 0);
        show_file("mounts      (place, options, type, source)", c->pid, "mountinfo", 4);
        printf("limits and use\n");
        if (read_at(c->cgroup_fd, "cpu.max", text, sizeof text)) printf("  cpu_max       %s", text);
        for (size_t i = 0; i < COUNT(uses); i++)
            printf("  %-13s %s\n", uses[i].key, show_use(c, &uses[i], text));
        show_network(c);
    }
    return 0;
}

/* join: into the container's namespaces, all at once; its root and users become ours. setns(2) */
static int join(struct container *c) {
    const int kinds = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP |
                      (c->users == OFF ? 0 : CLONE_NEWUSER);
    return setns(c->join_fd, kinds) < 0 ? fail(c, "cannot join the container") : leave_session(c);
}

/* terminal: one of the container's. Its /dev may have changed, so what is opened is checked. */
static int open_exec_terminal(struct container *c) {
    const char *path = "/dev/pts/ptmx";
    struct stat s;
    if (!c->relay) return 0;
    int path_fd = sys_openat2(AT_FDCWD, path, O_PATH, RESOLVE_NO_SYMLINKS);
    if (path_fd < 0 || fstat(path_fd, &s) < 0 || s.st_rdev != makedev(5, 2))
        return refuse(c, "%s of the container is not the device of that name", path);
    close_fd(&path_fd);
    return open_terminal(c, open(path, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NOFOLLOW));
}

/*
 * exec: a second program, behind the same walls and in the same cgroup as the first.
 *
 * Not dumpable from the start: between joining and exec the container's processes must not
 * reach into ours, which still knows the host (CVE-2016-9962).
 */
static int exec_in(struct container *c, char **argv) {
    const long long uid = c->uid, gid = c->gid;
    need_container(c, argv[0], true);
    if (!c->started) die("container %s is only starting: its walls do not stand yet", c->name);
    if (c->users == OFF) restart_sealed(c, false);
    if (uid >= 0) {
        c->uid = uid;
        c->gid = gid;
    }
    c->status = -1;
    complete_environment(c);
    c->argv = argv + 1;
    close_fd(&c->run_fd);
    c->join_fd = c->pid_fd;
    c->pid_fd = -1; /* no child of ours yet, and that one is not ours to end */
    c->pid = -1;
    /* What the container can see of a process in its PID namespace is joined before. */
    if (prctl(PR_SET_DUMPABLE, 0) < 0 ||
        setns(c->join_fd, CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC) < 0)
        die("cannot join %s: %s", c->name, strerror(errno));
    return walk(c, exec_host_steps, COUNT(exec_host_steps));
}

/* update: the kernel puts new limits in force at once. */
static int update(struct container *c, char **argv) {
    if (!c->asked[CPUS] && !c->asked[MEMORY] && !c->asked[PIDS])
        die("update: --cpus, --memory or --pids is needed");
    need_container(c, argv[0], true);
    const long long used = read_use(c, "memory.current", NULL);
    if (isdigit((unsigned char)c->limit[MEMORY][0]) && used > atoll(c->limit[MEMORY]) && !c->force)
        die("%s uses %lld bytes, more than %s: it might be killed; --force does it anyway", c->name,
            used, c->limit[MEMORY]);
    for (int i = 0; i < LIMITS; i++)
        if (c->asked[i] && write_at(c->cgroup_fd, limits[i].file, c->limit[i]) < 0)
            die("%s: cannot write %s: %s; see env.sh check", limits[i].option, limits[i].file,
                strerror(errno));
    return 0;
}

/* Wait until the container's engine has cleaned up and let go of its lock. */
static bool wait_gone(struct container *c, long long milliseconds) {
    for (; flock(c->run_fd, LOCK_SH | LOCK_NB) < 0; milliseconds -= 5)
        if (milliseconds <= 0 || usleep(5000) < 0) return false;
    close_fd(&c->run_fd);
    return true;
}

static void kill_and_wait(struct container *c) {
    if (c->pid_fd >= 0) sys_pidfd_send_signal(c->pid_fd, SIGKILL);
    if (c->run_fd >= 0 && !wait_gone(c, LOCK_SECONDS * 1000LL))
        die("the engine of %s, process %lld, does not react: end it, then try again", c->name,
            c->engine);
}

static int stop(struct container *c, char **argv) {
    need_container(c, argv[0], true);
    if (!handles_signal(c->pid, SIGTERM))
        warn("%s: its first process has no handler for TERM, so it is killed", c->name);
    else if (sys_pidfd_send_signal(c->pid_fd, SIGTERM) == 0 && !wait_gone(c, c->seconds * 1000))
        warn("%s: still there %lld s after TERM, so it is killed", c->name, c->seconds);
    kill_and_wait(c);
    puts(c->name);
    return 0;
}

static int send_signal(struct container *c, char **argv) {
    static const char names[] =
        "0 HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT "
        "STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS ";
    const char *text = argv[1] ? argv[1] : "KILL";
    const int number = isdigit((unsigned char)*text)
                           ? (int)parse_whole("signal", text, NSIG - 1)
                           : find_word(names, strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text);
    if (number <= 0) die("signal '%s': a number, or a name such as TERM is needed", text);
    need_container(c, argv[0], true);
    if (sys_pidfd_send_signal(c->pid_fd, number) < 0) die("container %s has just ended", c->name);
    return 0;
}

static int delete (struct container *c, char **argv) {
    need_container(c, argv[0], false);
    if (c->run_fd >= 0 && !c->force)
        die("container %s is running: stop it first, or use delete -f", c->name);
    kill_and_wait(c);
    c->address[0] = '\0'; /* which may be somebody else's by now */
    /* Under the name's lock, as a start is, and not under the host's: it may take long. */
    if (claim(c) < 0) die("container %s is in use again: %s", c->name, c->report.why);
    const bool gone = remove_layer_tree(c->name);
    release(c);
    if (!gone) die(LIB_DIR "/.%s cannot be emptied: see lsattr(1), findmnt(8)", c->name);
    puts(c->name);
    return 0;
}

/* ---- Plumbing: state -------------------------------------------------------------------- */

/* The lock of the whole host, which env.sh takes too, on swept ground; closing gives it back. */
static int lock_host(void) {
    struct container *all = NULL;
    int fd =
        mkdir(RUN_DIR, 0700) < 0 && errno != EEXIST ? -1 : open(RUN_DIR, O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) die(RUN_DIR ": %s", strerror(errno));
    for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++)
        if (i == LOCK_SECONDS * 200 || usleep(5000) < 0)
            die(RUN_DIR " stays locked by another engine or env.sh: end it, then try again");
    for (size_t n = find_all(&all); n-- > 0;) close_all(&all[n]);
    free(all);
    return fd;
}

/* Written aside and renamed, so that a reader never sees a half. */
static int write_state(const struct container *c, int dir_fd) {
    char text[2 * PATH_MAX];
    size_t n = 0;
    for (const struct field *f = fields; f < fields + COUNT(fields); f++)
        n += (size_t)(f->size
                          ? snprintf(text + n, sizeof text - n, "%s=%s\n", f->key, FIELD_TEXT(c, f))
                          : snprintf(text + n, sizeof text - n, "%s=%lld\n", f->key,
                                     FIELD_NUMBER(c, f)));
    int fd = openat(dir_fd, "state.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const bool written = fd >= 0 && write(fd, text, n) == (ssize_t)n;
    close_fd(&fd);
    return written ? renameat(dir_fd, "state.new", dir_fd, "state") : -1;
}

static int read_state(struct container *c, int dir_fd) {
    char text[2 * PATH_MAX], *rest = text, *line;
    if (!read_at(dir_fd, "state", text, sizeof text)) return -1;
    while ((line = strsep(&rest, "\n")) != NULL) {
        char *value = strchr(line, '=');
        if (value) *value++ = '\0';
        for (const struct field *f = fields; value && f < fields + COUNT(fields); f++)
            if (strcmp(line, f->key) == 0 && f->size)
                snprintf((char *)c + f->offset, f->size, "%s", value);
            else if (strcmp(line, f->key) == 0)
                *(long long *)(void *)((char *)c + f->offset) = atoll(value);
    }
    return 0;
}

/*
 * run_fd >= 0: its engine lives. pid >= 0: it runs. Neither: it ended, and has a layer.
 * When nobody holds the lock of a name that should run, its engine was killed: we walk the way
 * back that it could not.
 */
static bool find_container(struct container *c, const char *name) {
    char path[PATH_MAX], boot[37];
    take_name(c->name, "name", name);
    snprintf(path, sizeof path, LIB_DIR "/%s", c->name);
    c->layer_fd = open(path, O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    snprintf(path, sizeof path, RUN_DIR "/%s", c->name);
    c->run_fd = open(path, O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (c->run_fd < 0 && errno != ENOENT && errno != ENOTDIR) die("%s: %s", path, strerror(errno));
    if (read_state(c, c->run_fd >= 0 ? c->run_fd : c->layer_fd) < 0 && c->run_fd >= 0 &&
        errno != ENOENT)
        die("%s/state: %s", path, strerror(errno));
    read_boot(boot);
    if (boot[0] && strcmp(c->boot, boot) != 0) c->pid = c->engine = -1;
    bool locked = c->run_fd >= 0 && flock(c->run_fd, LOCK_EX | LOCK_NB) < 0;
    for (int i = 0; locked && i < 1000 && start_time(c->engine) != c->engine_start; i++) {
        usleep(1000); /* killed while it made a child, which is about to notice */
        locked = flock(c->run_fd, LOCK_EX | LOCK_NB) < 0;
    }
    if (c->run_fd >= 0 && !locked) {
        walk_back(c, host_steps, COUNT(host_steps));
        close_all(c);
        c->pid = -1;
        snprintf(path, sizeof path, LIB_DIR "/%s/state", c->name);
        return access(path, F_OK) == 0;
    }
    if (c->run_fd < 0 || start_time(c->pid) != c->start) c->pid = -1;
    const bool rubbish = c->run_fd < 0 && c->remove; /* the machine went down under a --rm */
    const bool found = c->run_fd >= 0 || (c->layer_fd >= 0 && !rubbish);
    close_fd(&c->layer_fd);
    if (rubbish) remove_layer_tree(c->name);
    return found;
}

/* All names that run or have a layer, in order; the caller frees the array. */
static size_t find_all(struct container **all) {
    static const char *const dirs[] = {LIB_DIR, RUN_DIR};
    char path[PATH_MAX];
    size_t n = 0;
    for (size_t d = 0; d < COUNT(dirs); d++) {
        struct dirent **names = NULL;
        const int count = scandir(dirs[d], &names, NULL, alphasort);
        for (int i = 0; i < count; free(names[i++])) {
            const char *gone = names[i]->d_name + (names[i]->d_name[0] == '.');
            snprintf(path, sizeof path, RUN_DIR "/%s", gone);
            if (d == 0 && gone > names[i]->d_name && is_name(gone) && access(path, F_OK) < 0)
                remove_layer_tree(gone); /* when no engine is at it */
            bool known = !is_name(names[i]->d_name);
            for (size_t k = 0; k < n; k++) known |= strcmp((*all)[k].name, names[i]->d_name) == 0;
            struct container *more = known ? NULL : realloc(*all, (n + 1) * sizeof **all);
            if (!more) continue;
            *all = more;
            (*all)[n] = blank;
            n += find_container(&(*all)[n], names[i]->d_name);
        }
        free(names);
    }
    return n;
}

static void close_all(struct container *c) {
    for (size_t i = 0; i < FDS; i++) close_fd(&c->fds[i]);
}

/* ---- Plumbing: processes ---------------------------------------------------------------- */

/* fork(2), with namespaces, a cgroup to be born in (-1: ours), and a descriptor of the child. */
/* NOLINTNEXTLINE(readability-non-const-parameter): the kernel writes to it */
static int fork_into(uint64_t flags, int cgroup_fd, int *pid_fd) {
    struct clone_args a = {.flags = flags, .exit_signal = SIGCHLD};
    if (cgroup_fd >= 0) {
        a.flags |= CLONE_INTO_CGROUP;
        a.cgroup = (uint64_t)cgroup_fd;
    }
    if (pid_fd) {
        a.flags |= CLONE_PIDFD;
        a.pidfd = (uint64_t)(uintptr_t)pid_fd;
    }
    return (int)syscall(SYS_clone3, &a, sizeof a);
}

/* When the process began, in ticks since boot: field 22 of proc_pid_stat(5). -1: it is dead. */
static long long start_time(long long pid) {
    char path[64], text[1024], state;
    long long ticks;
    snprintf(path, sizeof path, "/proc/%lld/stat", pid);
    const char *at = read_at(AT_FDCWD, path, text, sizeof text) ? strrchr(text, ')') : NULL;
    if (!at || sscanf(at,
                      ") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                      "%*s %lld",
                      &state, &ticks) != 2)
        return -1;
    return strchr("ZX", state) ? -1 : ticks;
}

/* Numbers of processes, and ticks, begin anew with each boot. random(4) */
static void read_boot(char boot[37]) {
    if (!read_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", boot, 37)) boot[0] = '\0';
}

/* Does the process catch, ignore or wait for this signal? One that blocks it may wait for it, as
 * inits do, unless it is a shell between two commands (which catches CHLD). proc_pid_status(5) */
static bool handles_signal(long long pid, int number) {
    static const char *const lines[] = {"\nSigBlk:", "\nSigIgn:", "\nSigCgt:"};
    unsigned long long sets[COUNT(lines)] = {0};
    char path[64], text[4096] = "";
    snprintf(path, sizeof path, "/proc/%lld/status", pid);
    read_at(AT_FDCWD, path, text, sizeof text);
    for (size_t i = 0; i < COUNT(lines); i++) {
        const char *at = strstr(text, lines[i]);
        sets[i] = at ? strtoull(at + strlen(lines[i]), NULL, 16) : 0;
    }
    if (BIT(sets[2], SIGCHLD - 1)) sets[0] = 0;
    snprintf(path, sizeof path, "/proc/%lld/syscall", pid); /* in sigwait(3) it is not blocked */
    if (read_at(AT_FDCWD, path, text, sizeof text) && atoi(text) == SYS_rt_sigtimedwait)
        return true;
    return BIT(sets[0] | sets[1] | sets[2], number - 1);
}

/*
 * Without a user namespace root inside could overwrite the engine's file through a running
 * copy of it (CVE-2019-5736). So what runs then is a copy in memory, sealed against writing.
 * userns_off: we found that there can be none, and begin again as if that had been asked for.
 */
static void restart_sealed(const struct container *c, bool userns_off) {
    const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    int self_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    size_t n = 0;
    struct stat s;
    if (self_fd < 0 || fstat(self_fd, &s) < 0) die("/proc/self/exe: %s", strerror(errno));
    if (fcntl(self_fd, F_GET_SEALS) == seals) { /* we are the copy */
        close_fd(&self_fd);
        return;
    }
    while (c->words[n]) n++;
    char **words = calloc(n + 2, sizeof *words);
    int copy_fd = memfd_create("container_engine", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    off_t at = 0;
    while (copy_fd >= 0 && at < s.st_size &&
           sendfile(copy_fd, self_fd, &at, (size_t)(s.st_size - at)) > 0)
        ;
    if (words && at == s.st_size && fcntl(copy_fd, F_ADD_SEALS, seals) == 0) {
        words[0] = c->words[0];
        if (userns_off) words[1] = "--userns=off";
        memcpy(words + 1 + userns_off, c->words + 1, (n - 1) * sizeof *words);
        fexecve(copy_fd, words, environ);
    }
    die("cannot run from a sealed copy in memory: %s", strerror(errno));
}

/* ---- Plumbing: files -------------------------------------------------------------------- */

/*
 * A descriptor of a path below the container's root, which is made where it is missing.
 * how: RESOLVE_IN_ROOT, links are followed as the container would; or RESOLVE_NO_SYMLINKS.
 * A link that leads nowhere is replaced. openat2(2)
 */
static int open_inside(struct container *c, const char *path, bool directory, uint64_t how) {
    char parent[PATH_MAX];
    int fd = -1;
    path += strspn(path, "/");
    for (int try = 0; try < 3; try++) {
        fd = sys_openat2(c->root_fd, *path ? path : ".", O_PATH, how | RESOLVE_NO_MAGICLINKS);
        if (fd >= 0 || errno != ENOENT || strlen(path) >= sizeof parent) return fd;
        COPY(parent, path);
        for (size_t n = strlen(parent); n > 0 && parent[n - 1] == '/'; n--) parent[n - 1] = '\0';
        char *slash = strrchr(parent, '/'), *leaf = slash ? slash + 1 : parent;
        if (slash) *slash = '\0';
        int parent_fd = open_inside(c, slash ? parent : "", true, how);
        if (parent_fd < 0) return -1;
        if ((directory ? mkdirat(parent_fd, leaf, 0755)
                       : mknodat(parent_fd, leaf, S_IFREG | 0644, 0)) < 0 &&
            errno == EEXIST)
            unlinkat(parent_fd, leaf, 0);
        close_fd(&parent_fd);
    }
    return fd;
}

/* A small file as a string; false when it cannot be read. */
static bool read_at(int dir_fd, const char *name, char *text, size_t size) {
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);
    text[n > 0 ? n : 0] = '\0';
    close_fd(&fd);
    return n >= 0;
}

/* In one write, as the kernel's control files want it. */
static int write_at(int dir_fd, const char *name, const char *text) {
    int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC);
    const ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));
    close_fd(&fd);
    return n < 0 ? -1 : 0;
}

/* The name's cgroup below the mount of cgroup2, which may be alone or beside version 1's. 1 if
 * there is one, 0 if not, -1 if that cannot be seen. proc_pid_mountinfo(5) */
static int find_cgroup(struct container *c) {
    char line[2 * PATH_MAX], where[PATH_MAX - 100], procs[PATH_MAX];
    if (c->cgroup[0]) return 1;
    FILE *f = fopen("/proc/self/mountinfo", "re");
    int found = f ? 0 : -1;
    while (found >= 0 && fgets(line, sizeof line, f)) {
        if (!strstr(line, " - cgroup2 ") || sscanf(line, "%*s %*s %*s %*s %3990s", where) != 1)
            continue;
        snprintf(procs, sizeof procs, "%s/cgroup.procs", where);
        if (access(procs, F_OK) == 0)
            found =
                snprintf(c->cgroup, sizeof c->cgroup, "%s/" CGROUP_DIR "/%s", where, c->name) > 0;
        else if (errno != ENOENT) /* which means hidden by a later mount */
            found = -1;
    }
    if (f && ferror(f)) found = -1;
    if (f) fclose(f);
    return found;
}

static int open_cgroup(struct container *c) {
    return find_cgroup(c) > 0 ? open(c->cgroup, O_DIRECTORY | O_CLOEXEC) : -1;
}

/*
 * Remove a directory below LIB_DIR and what is in it, however deep, never through a link, into a
 * mount, or upwards: the entries of each directory are moved to the top, until all are empty
 * there, and can go. False when something in it cannot be removed.
 */
static bool remove_tree(int lib_fd, const char *name) {
    const uint64_t how = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS;
    const long long now = microseconds(); /* so that no name is one that a killed command gave */
    unsigned moved = 0, before = ~0U;
    bool gone = false;
    while (!(gone = unlinkat(lib_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT) &&
           moved != before) {
        const int top_fd = sys_openat2(lib_fd, name, O_RDONLY | O_DIRECTORY, how);
        DIR *top = top_fd < 0 ? NULL : fdopendir(top_fd);
        struct dirent *e, *inner;
        before = moved;
        while (top && (e = readdir(top)) != NULL) {
            if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
            moved++;
            if (unlinkat(top_fd, e->d_name, 0) == 0 ||
                unlinkat(top_fd, e->d_name, AT_REMOVEDIR) == 0)
                continue;
            const int fd = sys_openat2(top_fd, e->d_name, O_RDONLY | O_DIRECTORY, how);
            DIR *below = fd < 0 ? NULL : fdopendir(fd);
            moved--;
            while (below && (inner = readdir(below)) != NULL) {
                char free_name[64];
                snprintf(free_name, sizeof free_name, ".moved%llx.%u", now, moved);
                if (inner->d_name[0] != '.' ||
                    (inner->d_name[1] && strcmp(inner->d_name, "..") != 0))
                    moved += renameat(fd, inner->d_name, top_fd, free_name) == 0;
            }
            if (below) closedir(below);
        }
        if (top) closedir(top);
    }
    return gone;
}

/* A layer: out of the way at once, as .name, which no container can have, and then removed. Should
 * we be killed meanwhile, find_all comes back to it. */
static bool remove_layer_tree(const char *name) {
    char gone[80];
    int lib_fd = open(LIB_DIR, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (lib_fd < 0) return errno == ENOENT;
    snprintf(gone, sizeof gone, ".%s", name);
    bool done = true;
    for (bool more = is_name(name); more; more = renameat(lib_fd, name, lib_fd, gone) == 0)
        done = remove_tree(lib_fd, gone);
    close_fd(&lib_fd);
    return done;
}

/* Safe to call twice, and keeps errno for the report that follows. */
static void close_fd(int *fd) {
    const int error = errno;
    if (*fd >= 0) close(*fd);
    *fd = -1;
    errno = error;
}

/* ---- Plumbing: reports ------------------------------------------------------------------ */

/* Note why a step failed, for the driver to print; error: an errno, or 0. Returns -1. */
static int note_failure(struct container *c, int error, const char *format, ...) {
    struct report *r = &c->report;
    va_list args;
    va_start(args, format);
    vsnprintf(r->why, sizeof r->why - (error ? 64 : 0), format, args); /* the reason has room */
    va_end(args);
    const size_t n = strlen(r->why);
    if (error) snprintf(r->why + n, sizeof r->why - n, ": %s", strerror(error));
    return -1;
}

/* For people and JSON: what is no whole UTF-8 character, or none to be seen, becomes '?'. */
static void make_printable(char *text) {
    wchar_t w = 0;
    for (int n = 1; *text; text += n) {
        n = mbtowc(&w, text, MB_CUR_MAX);
        if (n > 0 && !iswcntrl((wint_t)w)) continue;
        n = n > 0 ? n : 1;
        memset(text, '?', (size_t)n);
    }
}

/* One line on stderr, in one write; nothing that came from outside can make two of it. */
static void warn(const char *format, ...) {
    char line[1024] = "container_engine: ";
    size_t n = strlen(line);
    va_list args;
    va_start(args, format);
    vsnprintf(line + n, sizeof line - n, format, args);
    va_end(args);
    make_printable(line);
    dprintf(STDERR_FILENO, "%s\n", line);
}
