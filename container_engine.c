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
 *   clone     ------ clone3(CLONE_NEW*) ---> private   out of sight of the host's mounts
 *   users     map user ids -- "mapped" ----> rootfs    root of its world, volumes in place
 *   network   veth pair, bridge, address     proc      proc, sys, cgroup; mask what leaks
 *     (ip runs while the child mounts)       dev       devices, terminals, shared memory
 *                                            pivot     change the root, detach the old one
 *                                            hostname  its name, loopback up
 *                                            caps      drop capabilities, become the user
 *                                            seccomp   filter system calls
 *   go        <------- "waiting" ----------- exec      wait for the network,
 *             -------- "go" --------------->           then become the program
 *   (serve: relay the terminal, pass signals on, wait)
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
#include <getopt.h>
#include <grp.h>
#include <ifaddrs.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
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
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define VERSION "0.1.0"
#define RUN_DIR "/run/container_engine"     /* what runs: a directory a name, locked by its engine */
#define LIB_DIR "/var/lib/container_engine" /* what stays: a layer a name, until delete */
#define NETNS_DIR "/run/netns"              /* where ip-netns(8) looks for names */
#define CGROUP_DIR "container_engine"       /* below the cgroup2 mount, a cgroup a name below it */
#define SAFE_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define COUNT(array) (sizeof(array) / sizeof *(array))

enum {
	ENGINE_FAILED = 125, /* as docker and env(1) do */
	NOT_EXECUTABLE = 126,
	NOT_FOUND = 127,
	FIRST_ID = 524288, /* systemd reserves 524288-1879048191 for containers */
	IDS = 65536,       /* user ids in a container */
	ID_RANGES = 28664, /* how many times IDS fits into that */
	CPU_PERIOD = 100000, /* microseconds, the kernel's default */
	LOCK_SECONDS = 10, /* how long to wait for another engine */
	IP_SECONDS = 10,   /* how long ip(8) may take */
	STOP_SECONDS = 10, /* between TERM and KILL, as docker does */
	LOG_BYTES = 1 << 20, /* of a detached container's output; one older file is kept */
	REPORT_FD = 3,     /* the only descriptor besides 0, 1, 2 that lives until exec */
};

enum choice { AUTO, ON, OFF };

/* A limit: its option, its cgroup file, and the value when nobody says otherwise. */
enum { CPUS, MEMORY, PIDS, LIMITS };
static const struct limit {
	const char *name, *file, *preset;
} limits[LIMITS] = {
	[CPUS] = { "cpus", "cpu.max", "0.5" },
	[MEMORY] = { "memory", "memory.max", "50M" },
	[PIDS] = { "pids", "pids.max", "64" },
};

/* A directory or file of the host that appears in the container: -v, and our own /etc/hosts. */
struct volume {
	char *source;
	const char *target; /* absolute, inside */
	bool read_only, own; /* own: made by the engine, so it has the right owner already */
	int tree_fd; /* a detached mount, to be put in place by the child; -1: not open */
};

/* What the child says: one record a time, smaller than PIPE_BUF, so that it arrives whole. */
struct report {
	enum { FAILED = 1, WAITING, READY } kind;
	int status; /* FAILED: what the engine exits with */
	int terminal_fd; /* WAITING: the terminal's master in the child's table, or -1 */
	char step[12], why[220];
};

/* One direction of a relay: bytes read from one descriptor that the other has not taken yet. */
struct stream {
	int from, to; /* from is -1 at its end */
	size_t start, end;
	char data[8192];
};

/* Everything about one container. The numbers that state files hold are all long long. */
struct container {
	/* What it is to be: filled in by the command line. */
	char name[65], hostname[65], bridge[IF_NAMESIZE];
	char address[INET_ADDRSTRLEN]; /* "" for loopback only */
	char rootfs[PATH_MAX], command[256];
	const char *cwd;
	char **argv; /* of the program */
	char *shell[2]; /* argv, when no program was given */
	char **words; /* of our own command line */
	char *environment[258];
	const char *limit[LIMITS]; /* what to write into the file; NULL where nothing was asked */
	struct volume volumes[32];
	size_t volume_count;
	long long uid, gid;
	long long capabilities; /* the bounding set, a bit each */
	long long users; /* enum choice; OFF: root inside is root outside */
	long long seccomp, remove; /* filter calls; remove the layer at the end */
	bool read_only, write_through, detach, json, quiet, force;
	int seconds; /* stop: before KILL */

	/* What has been made so far. */
	long long pid, start, started; /* of PID 1; its start in ticks since boot; seconds UTC */
	long long status; /* exit status of the last run; -1 while it runs */
	char gateway[INET_ADDRSTRLEN];
	long long prefix; /* length of the bridge's, in bits */
	long long base; /* host id of the container's root */
	int run_fd, layer_fd, cgroup_fd, users_fd, host_mounts_fd, pid_fd;
	int root_fd; /* in the engine: merged tree; in the child: its root-to-be */
	int report_fd, go_fd; /* pipes from and to the child */
	int stdio[3]; /* what the program gets as 0, 1, 2 */
	long long new_layer; /* this run made the layer's directory */
	bool relay, ran, restart; /* restart: again, without a user namespace */
	int terminal_fd, signal_fd, log_fd, running_fd; /* running_fd: tells -d's first process */
	struct termios saved; /* of our own terminal */
	int forwarded; /* the signal that made us end the container */
	char failed[12], why[256]; /* the child's step that failed; what failed */
};

/* The two kinds of steps. Both return 0, or -1 with c->why filled in. */
struct step {
	const char *name;
	int (*make)(struct container *c);
	void (*undo)(struct container *c); /* safe when its step ran half, or not at all */
};

/* A word on the command line, the options that it takes, and what it does. */
struct command {
	const char *name, *options; /* a leading '+': options end at the first other word */
	int (*run)(struct container *c, int argc, char **argv);
};

/* Contents: the command line, */
static int run(struct container *c, int argc, char **argv);
static void parse_options(struct container *c, const struct command *, int argc, char **argv);
static void check_run(struct container *c, int argc, char **argv);
static int walk(struct container *c, const struct step *steps, size_t count);
/* the engine's steps and their undos, */
static int claim(struct container *c);
static void release(struct container *c);
static int stack_layer(struct container *c);
static void remove_layer(struct container *c);
static int make_cgroup(struct container *c);
static void remove_cgroup(struct container *c);
static int clone_child(struct container *c);
static void end_child(struct container *c);
static int map_users(struct container *c);
static int connect_network(struct container *c);
static void disconnect_network(struct container *c);
static int let_go(struct container *c);
static int serve(struct container *c);
/* the child's steps, */
static _Noreturn void become(struct container *c, const struct step *steps, size_t count);
static int make_private(struct container *c);
static int enter_rootfs(struct container *c);
static int mount_proc(struct container *c);
static int mount_dev(struct container *c);
static int pivot(struct container *c);
static int set_hostname(struct container *c);
static int drop_capabilities(struct container *c);
static int filter_calls(struct container *c);
static int execute(struct container *c);
/* living with containers, */
static int list(struct container *c, int argc, char **argv);
static int inspect(struct container *c, int argc, char **argv);
static int exec_in(struct container *c, int argc, char **argv);
static int join(struct container *c);
static int open_exec_terminal(struct container *c);
static int update(struct container *c, int argc, char **argv);
static int stop(struct container *c, int argc, char **argv);
static int send_signal(struct container *c, int argc, char **argv);
static int delete(struct container *c, int argc, char **argv);
/* and plumbing: state, */
static int lock_host(void);
static void sweep(void);
static void sweep_dead(void);
static int read_state(struct container *c, int dir_fd);
static int write_state(const struct container *c, int dir_fd);
static bool find_container(struct container *c, const char *name);
static size_t find_all(struct container **all);
/* processes, */
static int fork_into(uint64_t flags, int cgroup_fd, int *pid_fd);
static long long start_time(long long pid);
static bool handles_signal(long long pid, int number);
static void restart_sealed(const struct container *c, bool without_users);
static void choose_program(struct container *c, int root_fd);
/* files, */
static int open_inside(struct container *c, const char *path, bool directory, uint64_t how);
static bool read_at(int dir_fd, const char *name, char *text, size_t size);
static int write_at(int dir_fd, const char *name, const char *text);
static bool find_cgroup2(char path[PATH_MAX]);
static void remove_tree(const char *path);
static void close_fd(int *fd);
/* reports, */
static int fail(struct container *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int refuse(struct container *c, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
static _Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* and system calls that not every libc has. */
struct mount_attributes; /* mount_setattr(2)'s struct mount_attr, by a name that libc has not */
static int sys_openat2(int dir_fd, const char *path, uint64_t flags, uint64_t resolve);
static int sys_open_tree(int dir_fd, const char *path, unsigned flags);
static int sys_move_mount(int tree_fd, int dir_fd, const char *path);
static int sys_mount_setattr(int tree_fd, const struct mount_attributes *a, bool recursive);
static int sys_pidfd_open(long long pid);
static int sys_pidfd_send_signal(int pid_fd, int number);

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

static const struct option long_options[] = {
	{ "cpus", required_argument, NULL, 'C' },      { "memory", required_argument, NULL, 'M' },
	{ "pids", required_argument, NULL, 'P' },      { "bridge", required_argument, NULL, 'b' },
	{ "hostname", required_argument, NULL, 'H' },  { "userns", required_argument, NULL, 'U' },
	{ "cap-add", required_argument, NULL, 'A' },   { "cap-drop", required_argument, NULL, 'D' },
	{ "seccomp", required_argument, NULL, 'S' },   { "rm", no_argument, NULL, 'R' },
	{ "read-only", no_argument, NULL, 'r' },       { "write-through", no_argument, NULL, 'W' },
	{ "detach", no_argument, NULL, 'd' },          { "json", no_argument, NULL, 'j' },
	{ "force", no_argument, NULL, 'f' },           { "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },         { NULL, 0, NULL, 0 },
};

static const struct command run_command = { "run", "+CMPbHUADSRrWdewuv", run };
static const struct command commands[] = {
	{ "list", "qj", list },    { "ps", "qj", list },     { "inspect", "", inspect },
	{ "exec", "+ewu", exec_in }, { "update", "CMPf", update }, { "stop", "t", stop },
	{ "kill", "", send_signal }, { "delete", "f", delete },
};

/* Numbers of capabilities(7), in the kernel's order. */
static const char *const capability_names[] = {
	"chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid",
	"setpcap", "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw",
	"ipc_lock", "ipc_owner", "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct",
	"sys_admin", "sys_boot", "sys_nice", "sys_resource", "sys_time", "sys_tty_config", "mknod",
	"lease", "audit_write", "audit_control", "setfcap", "mac_override", "mac_admin", "syslog",
	"wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf", "checkpoint_restore",
};

#define CAP(name) (1LL << CAP_##name)
/* docker's default without MKNOD: what programs that start as root expect to have. */
#define DEFAULT_CAPABILITIES \
	(CAP(CHOWN) | CAP(DAC_OVERRIDE) | CAP(FOWNER) | CAP(FSETID) | CAP(KILL) | CAP(SETGID) | \
	 CAP(SETUID) | CAP(SETPCAP) | CAP(NET_BIND_SERVICE) | CAP(NET_RAW) | CAP(SYS_CHROOT) | \
	 CAP(AUDIT_WRITE) | CAP(SETFCAP))

static const struct container blank = {
	.bridge = "cebr0", .cwd = "/", .capabilities = DEFAULT_CAPABILITIES, .seccomp = ON,
	.uid = -1, .gid = -1, .seconds = STOP_SECONDS, .pid = -1, .status = -1, .run_fd = -1,
	.layer_fd = -1, .cgroup_fd = -1, .users_fd = -1, .host_mounts_fd = -1, .pid_fd = -1,
	.root_fd = -1, .report_fd = -1, .go_fd = -1, .stdio = { 0, 1, 2 }, .terminal_fd = -1,
	.signal_fd = -1, .log_fd = -1, .running_fd = -1,
};

int main(int argc, char **argv)
{
	struct container c = blank;

	c.words = argv;
	const struct command *command = &run_command;

	/* A file opened as 0, 1 or 2 would become the container's input or output. */
	while (fcntl(STDERR_FILENO, F_GETFD) < 0)
		if (open("/dev/null", O_RDWR) < 0)
			return ENGINE_FAILED;
	for (size_t i = 0; i < COUNT(commands); i++)
		if (argc > 1 && strcmp(argv[1], commands[i].name) == 0)
			command = &commands[i];
	if (command != &run_command) {
		argc--;
		argv++;
	}
	parse_options(&c, command, argc, argv);
	if (geteuid() != 0)
		die("must be run as root: sudo container_engine ...");
	umask(022);
	signal(SIGPIPE, SIG_IGN);
	if (command != &run_command)
		sweep();
	return command->run(&c, argc - optind, argv + optind);
}

/* A whole number without sign, blanks or leading zeros, or -1. */
static long long parse_number(const char *text, char **end)
{
	errno = 0;
	if (!isdigit((unsigned char)*text) || (*text == '0' && isdigit((unsigned char)text[1])))
		return -1;
	long long n = strtoll(text, end, 10);
	return errno || (end == NULL ? 0 : *end == text) ? -1 : n;
}

static long long parse_whole(const char *what, const char *text, long long low, long long high)
{
	char *end = NULL;
	long long n = parse_number(text, &end);

	if (n < low || n > high || *end)
		die("%s '%s': a whole number from %lld to %lld is needed", what, text, low, high);
	return n;
}

/* 0.5 -> "50000 100000": microseconds of processor time in each period (cgroups(7)). */
static const char *parse_cpus(const char *text)
{
	static char value[64];
	char *end = NULL;
	double cpus = parse_number(text, &end) < 0 ? -1 : strtod(text, &end);

	if (strspn(text, "0123456789.") != strlen(text) || *end || cpus < 0.01 || cpus > 10000)
		die("--cpus '%s': a number from 0.01 to 10000 is needed, such as 0.5, or max", text);
	snprintf(value, sizeof value, "%.0f %d", cpus * CPU_PERIOD, CPU_PERIOD);
	return value;
}

static const char *parse_size(const char *text)
{
	static char value[32];
	char *end = NULL;
	long long n = parse_number(text, &end), unit = 1;

	if (n > 0 && *end) {
		const char *units = "KMG", *u = strchr(units, toupper((unsigned char)*end));
		unit = u ? 1LL << 10 * (u - units + 1) : 0;
		end++;
	}
	if (n <= 0 || *end || unit == 0 || n > LLONG_MAX / unit)
		die("--memory '%s': a size such as 50M, 1G or a number of bytes is needed, or max", text);
	snprintf(value, sizeof value, "%lld", n * unit);
	return value;
}

/* What to write into the limit's file. "max" is the kernel's own word for no limit. */
static const char *parse_limit(int which, const char *text)
{
	if (strcmp(text, "max") == 0)
		return text;
	if (which == CPUS)
		return parse_cpus(text);
	if (which == MEMORY)
		return parse_size(text);
	parse_whole("--pids", text, 1, 4194304);
	return text;
}

/* NAME, CAP_NAME or ALL, in any case, as a set of bits. */
static long long parse_capability(const char *text)
{
	const char *name = strncasecmp(text, "cap_", 4) == 0 ? text + 4 : text;

	for (size_t i = 0; i < COUNT(capability_names); i++)
		if (strcasecmp(name, capability_names[i]) == 0)
			return 1LL << i;
	if (strcasecmp(name, "all") != 0)
		die("capability '%s' is unknown: see capabilities(7), or use ALL", text);
	return (1LL << COUNT(capability_names)) - 1;
}

static long long parse_choice(const char *what, const char *text)
{
	if (strcmp(text, "on") != 0 && strcmp(text, "off") != 0)
		die("%s '%s': on or off is needed", what, text);
	return text[1] == 'n' ? ON : OFF;
}

/* A name becomes a directory, a cgroup and a line of a list, so little is allowed in it. */
static void take_name(char name[65], const char *what, const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");

	if (n == 0 || n > 64 || text[n] || !isalnum((unsigned char)text[0]))
		die("%s: 1 to 64 letters, digits, '_', '.', '-' are needed, a letter or digit first", what);
	memcpy(name, text, n + 1);
}

/* KEY=VALUE, perhaps in place of an earlier one. The last entry stays NULL, as execve wants. */
static void set_environment(struct container *c, char *entry, bool replace)
{
	size_t key = strcspn(entry, "="), i = 0;

	if (key == 0 || entry[key] == '\0')
		die("-e '%s': KEY=VALUE is needed", entry);
	while (c->environment[i] && strncmp(c->environment[i], entry, key + 1) != 0)
		i++;
	if (i + 1 >= COUNT(c->environment))
		die("-e: at most %zu variables", COUNT(c->environment) - 1);
	if (replace || !c->environment[i])
		c->environment[i] = entry;
}

/* HOST:CONTAINER[:ro]. The host's path may be relative; it is made absolute here. */
static void add_volume(struct container *c, char *text)
{
	struct volume *v = &c->volumes[c->volume_count];
	char *target = strchr(text, ':'), *mode = target ? strchr(target + 1, ':') : NULL;

	if (c->volume_count + 1 >= COUNT(c->volumes) - 3) /* three are ours: see add_own_files */
		die("-v: too many volumes");
	if (!target || target[1] != '/' || (mode && strcmp(mode, ":ro") != 0 && strcmp(mode, ":rw") != 0))
		die("-v '%s': HOST:/CONTAINER or HOST:/CONTAINER:ro is needed", text);
	*target = '\0';
	v->source = realpath(text, NULL);
	if (!v->source)
		die("-v %s: %s", text, strerror(errno));
	v->target = target + 1;
	v->read_only = mode && strcmp(mode, ":ro") == 0;
	if (mode)
		*mode = '\0';
	if (strspn(v->target, "/") == strlen(v->target))
		die("-v: the container's root itself cannot be a volume");
	v->tree_fd = -1;
	c->volume_count++;
}

static void take_user(struct container *c, const char *text)
{
	char *end = NULL;

	c->uid = c->gid = parse_number(text, &end);
	if (c->uid >= 0 && *end == ':')
		c->gid = parse_number(end + 1, &end);
	if (c->uid < 0 || c->gid < 0 || *end || c->uid >= IDS || c->gid >= IDS)
		die("-u '%s': UID or UID:GID is needed, numbers from 0 to %d", text, IDS - 1);
}

/* One switch for all commands; the command's own list says what it takes. */
static void parse_options(struct container *c, const struct command *command, int argc, char **argv)
{
	const char *words = command->options;
	int o;

	opterr = 0;
	while ((o = getopt_long(argc, argv, *words == '+' ? "+:e:w:u:v:t:dqfh" : ":e:w:u:v:t:dqfh",
	                        long_options, NULL)) != -1) {
		if (o == 'h' || o == 'V') {
			printf("%s", o == 'h' ? usage : "container_engine " VERSION "\n");
			exit(fflush(stdout) == 0 ? 0 : ENGINE_FAILED);
		}
		if (o == '?' || o == ':' || !strchr(words, o))
			die("option %s: %s; see container_engine --help", argv[optind - 1],
			    o == ':' ? "a value is needed" : o == '?' ? "unknown" : "not for this command");
		switch (o) {
		case 'C': c->limit[CPUS] = parse_limit(CPUS, optarg); break;
		case 'M': c->limit[MEMORY] = parse_limit(MEMORY, optarg); break;
		case 'P': c->limit[PIDS] = parse_limit(PIDS, optarg); break;
		case 'H': take_name(c->hostname, "--hostname", optarg); break;
		case 'U': c->users = parse_choice("--userns", optarg); break;
		case 'S': c->seccomp = parse_choice("--seccomp", optarg); break;
		case 'A': c->capabilities |= parse_capability(optarg); break;
		case 'D': c->capabilities &= ~parse_capability(optarg); break;
		case 'R': c->remove = true; break;
		case 'r': c->read_only = true; break;
		case 'W': c->write_through = true; break;
		case 'd': c->detach = true; break;
		case 'e': set_environment(c, optarg, true); break;
		case 'w': c->cwd = optarg; break;
		case 'u': take_user(c, optarg); break;
		case 'v': add_volume(c, optarg); break;
		case 'j': c->json = true; break;
		case 'q': c->quiet = true; break;
		case 'f': c->force = true; break;
		case 't': c->seconds = (int)parse_whole("-t", optarg, 0, 86400); break;
		case 'b':
			if (!*optarg || strlen(optarg) >= IF_NAMESIZE || strpbrk(optarg, "/ \t\n"))
				die("--bridge '%s' cannot be the name of an interface", optarg);
			strcpy(c->bridge, optarg);
		}
	}
}

/* ---- The two tables, and the drivers that walk them ------------------------------------- */

static const struct step host_steps[] = {
	{ "claim", claim, release },
	{ "layer", stack_layer, remove_layer },
	{ "cgroup", make_cgroup, remove_cgroup },
	{ "clone", clone_child, end_child },
	{ "users", map_users, NULL },
	{ "network", connect_network, disconnect_network },
	{ "go", let_go, NULL },
};

static const struct step container_steps[] = {
	{ "private", make_private, NULL },
	{ "rootfs", enter_rootfs, NULL },
	{ "proc", mount_proc, NULL },
	{ "dev", mount_dev, NULL },
	{ "pivot", pivot, NULL },
	{ "hostname", set_hostname, NULL },
	{ "caps", drop_capabilities, NULL },
	{ "seccomp", filter_calls, NULL },
	{ "exec", execute, NULL },
};

/* A program that joins a running container finds the walls there; it only dresses alike. */
static const struct step exec_host_steps[] = {
	{ "clone", clone_child, end_child },
	{ "go", let_go, NULL },
};

static const struct step exec_steps[] = {
	{ "join", join, NULL },
	{ "terminal", open_exec_terminal, NULL },
	{ "caps", drop_capabilities, NULL },
	{ "seccomp", filter_calls, NULL },
	{ "exec", execute, NULL },
};

/* Undo steps from the last to the first, whether they were made, half made, or not at all. */
static void walk_back(struct container *c, const struct step *steps, size_t count)
{
	while (count-- > 0)
		if (steps[count].undo)
			steps[count].undo(c);
}

/* The engine: all steps, then serve the container until it ends, then the way back. */
static int walk(struct container *c, const struct step *steps, size_t count)
{
	size_t done = 0;

	while (done < count && steps[done].make(c) == 0)
		done++;
	if (done == count) {
		c->ran = true;
		c->status = serve(c);
	} else {
		if (c->status < 0)
			c->status = ENGINE_FAILED;
		if (c->why[0])
			warn("%s: %s", c->failed[0] ? c->failed : steps[done].name, c->why);
	}
	walk_back(c, steps, done < count ? done + 1 : count);
	return (int)c->status;
}

/* The child: all steps, the last of which does not return when it goes well. */
static _Noreturn void become(struct container *c, const struct step *steps, size_t count)
{
	struct report r = { .kind = FAILED };
	size_t i = 0;

	c->status = ENGINE_FAILED;
	while (i < count && steps[i].make(c) == 0)
		i++;
	r.status = (int)c->status;
	snprintf(r.step, sizeof r.step, "%s", steps[i].name);
	snprintf(r.why, sizeof r.why, "%.*s", (int)sizeof r.why - 1, c->why);
	if (write(c->report_fd, &r, sizeof r) < 0)
		_exit(ENGINE_FAILED); /* nobody is there to be told */
	_exit(r.status);
}
static int run(struct container *c, int argc, char **argv)
{
	check_run(c, argc, argv);
	if (c->users == OFF)
		restart_sealed(c, false);
	if (c->detach) {
		int running[2];
		char done;

		if (pipe2(running, O_CLOEXEC) < 0)
			die("pipe: %s", strerror(errno));
		pid_t engine = fork();
		if (engine < 0)
			die("fork: %s", strerror(errno));
		close(running[engine > 0]);
		if (engine > 0) {
			int status = 0;

			if (read(running[0], &done, 1) == 1) {
				puts(c->name);
				return 0;
			}
			waitpid(engine, &status, 0);
			return WIFEXITED(status) ? WEXITSTATUS(status) : ENGINE_FAILED;
		}
		setsid(); /* out of reach of the terminal's signals */
		c->running_fd = running[1];
	}
	int status = walk(c, host_steps, COUNT(host_steps));

	if (c->restart)
		restart_sealed(c, true);
	return status;
}

/* The address must be free for use on the bridge, whose own address is the gateway. */
static void check_address(struct container *c, const char *text)
{
	struct in_addr address, bridge = { 0 }, mask = { 0 };
	struct ifaddrs *all = NULL;

	if (inet_pton(AF_INET, text, &address) != 1)
		die("address '%s': an IPv4 address such as 192.168.1.2 is needed, or none", text);
	if (if_nametoindex(c->bridge) == 0)
		die("there is no bridge %s: run `sudo ./env.sh set` first, or use none", c->bridge);
	if (getifaddrs(&all) < 0)
		die("cannot read the host's addresses: %s", strerror(errno));
	for (struct ifaddrs *i = all; i; i = i->ifa_next)
		if (strcmp(i->ifa_name, c->bridge) == 0 && i->ifa_addr && !mask.s_addr &&
		    i->ifa_addr->sa_family == AF_INET) {
			bridge = ((struct sockaddr_in *)(void *)i->ifa_addr)->sin_addr;
			mask = ((struct sockaddr_in *)(void *)i->ifa_netmask)->sin_addr;
		}
	freeifaddrs(all);
	if (!mask.s_addr)
		die("bridge %s has no address: run `sudo ./env.sh set` first", c->bridge);
	inet_ntop(AF_INET, &bridge, c->gateway, sizeof c->gateway);
	c->prefix = __builtin_popcount(mask.s_addr);
	if ((address.s_addr ^ bridge.s_addr) & mask.s_addr)
		die("address %s is not in the bridge's network %s/%lld", text, c->gateway, c->prefix);
	if (address.s_addr == bridge.s_addr)
		die("address %s is the bridge's own, the gateway", text);
	if ((address.s_addr & ~mask.s_addr) == 0 || (address.s_addr | mask.s_addr) == ~0U)
		die("address %s is the network's or its broadcast address", text);
	strcpy(c->address, text);
}

/* A clean environment; what -e set stays. The host's own never gets in, but for two. */
static void complete_environment(struct container *c)
{
	static char hostname[80], term[80], lang[80];
	char *defaults[] = {
		"PATH=" SAFE_PATH, c->uid == 0 ? "HOME=/root" : "HOME=/", hostname, term, lang,
	};

	snprintf(hostname, sizeof hostname, "HOSTNAME=%s", c->hostname);
	snprintf(term, sizeof term, "TERM=%s", getenv("TERM") ? getenv("TERM") : "linux");
	snprintf(lang, sizeof lang, "LANG=%s", getenv("LANG") ? getenv("LANG") : "");
	for (size_t i = 0; i < COUNT(defaults) - !getenv("LANG"); i++)
		set_environment(c, defaults[i], false);
}

/* Look at everything the user typed before anything is made. */
static void check_run(struct container *c, int argc, char **argv)
{
	struct stat s;

	if (argc < 3)
		die("<rootfs> <name> <ip>|none are needed; see container_engine --help");
	if (strlen(argv[0]) >= sizeof c->rootfs || !realpath(argv[0], c->rootfs))
		die("rootfs %s: %s; rootfs-fetch.sh makes one", argv[0], strerror(errno));
	if (stat(c->rootfs, &s) < 0 || !S_ISDIR(s.st_mode))
		die("rootfs %s is not a directory", argv[0]);
	if (strcmp(c->rootfs, "/") == 0)
		die("rootfs / is the host itself: use a directory made by rootfs-fetch.sh");
	for (const char *p = c->rootfs; *p; p++)
		if (iscntrl((unsigned char)*p))
			die("rootfs: control characters in its path");
	take_name(c->name, "name", argv[1]);
	if (!c->hostname[0])
		strcpy(c->hostname, c->name);
	if (strcmp(argv[2], "none") != 0)
		check_address(c, argv[2]);
	if (c->cwd[0] != '/')
		die("-w '%s': an absolute path is needed", c->cwd);
	c->argv = argv + 3;
	if (c->uid < 0)
		c->uid = c->gid = 0;
	complete_environment(c);
	uint32_t hash = 2166136261U; /* FNV-1a: a range of ids that stays the name's own */
	for (const char *p = c->name; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619U;
	c->base = FIRST_ID + (long long)(hash % ID_RANGES) * IDS;
}

/* ---- The engine's steps ----------------------------------------------------------------- */

/*
 * claim: the name and the address become ours.
 *
 * The lock on the name's directory, not its existence, says that a container lives: the
 * kernel drops the lock with the engine, however that ends (flock(2)). What a killed engine
 * left is swept first. All of it under the host's lock, so two engines never claim one name.
 */
static int claim(struct container *c)
{
	struct container *others = NULL;
	char path[PATH_MAX];
	int host_fd = lock_host();

	if (host_fd < 0)
		return fail(c, RUN_DIR);
	sweep_dead();
	for (size_t n = find_all(&others); n-- > 0;) {
		struct container *o = &others[n];

		if (o->run_fd >= 0 && strcmp(o->name, c->name) == 0)
			refuse(c, "a container named %s runs already", c->name);
		else if (o->run_fd >= 0 && c->address[0] && strcmp(o->address, c->address) == 0 &&
		         strcmp(o->bridge, c->bridge) == 0)
			refuse(c, "address %s is in use by container %s", c->address, o->name);
		close_fd(&o->run_fd);
	}
	free(others);
	snprintf(path, sizeof path, RUN_DIR "/%s", c->name);
	if (!c->why[0] && (mkdir(path, 0700) < 0 ||
	    (c->run_fd = open(path, O_DIRECTORY | O_CLOEXEC)) < 0 ||
	    flock(c->run_fd, LOCK_EX | LOCK_NB) < 0 || write_state(c, c->run_fd) < 0))
		fail(c, "%s", path);
	close(host_fd);
	return c->why[0] ? -1 : 0;
}

/* Only the holder of the lock comes here: the engine at its end, or the sweeper. */
static void release(struct container *c)
{
	static const char *const files[] = { "state", "state.new", "hosts", "hostname", "resolv.conf" };
	char path[PATH_MAX];

	if (c->run_fd < 0)
		return;
	for (size_t i = 0; i < COUNT(files); i++)
		unlinkat(c->run_fd, files[i], 0);
	snprintf(path, sizeof path, RUN_DIR "/%s", c->name);
	rmdir(path);
	close_fd(&c->run_fd);
}

/* A user namespace cannot be had. Asked for: an error. Else all is undone and tried without. */
static int without_users(struct container *c, const char *why)
{
	if (c->users == ON)
		return fail(c, "--userns on: %s", why);
	warn("warning: no user namespace, root inside is root outside: %s (%s)", why, strerror(errno));
	c->restart = true;
	return -1;
}

/* Map ids 0-65535 of the process's user namespace to our range. user_namespaces(7) */
static int write_maps(const struct container *c, long long pid)
{
	char path[64], map[64];

	snprintf(map, sizeof map, "0 %lld %d\n", c->base, IDS);
	snprintf(path, sizeof path, "/proc/%lld/gid_map", pid);
	if (write_at(AT_FDCWD, path, map) < 0)
		return -1;
	snprintf(path, sizeof path, "/proc/%lld/uid_map", pid);
	return write_at(AT_FDCWD, path, map);
}

/*
 * Idmapped mounts take their mapping from a user namespace, and that needs a process, if only
 * a dead one: until it is waited for, a zombie still has its entry in /proc.
 */
static int open_user_namespace(struct container *c)
{
	char path[64];
	int pid = fork_into(CLONE_NEWUSER, -1, NULL);

	if (pid == 0)
		_exit(0);
	if (pid < 0)
		return -1;
	snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
	if (write_maps(c, pid) == 0)
		c->users_fd = open(path, O_RDONLY | O_CLOEXEC);
	int error = errno;
	waitpid(pid, NULL, 0);
	errno = error;
	return c->users_fd < 0 ? -1 : 0;
}

struct mount_attributes {
	uint64_t set, clear, propagation, users_fd;
};
enum { ATTR_RDONLY = 1, ATTR_NOSUID = 2, ATTR_NODEV = 4, ATTR_IDMAP = 0x100000 };

/*
 * A detached mount of a host path, with ids shifted into the container's range: what is root's
 * on disk is root's inside, and no file is changed for it. mount_setattr(2)
 */
static int open_mapped(struct container *c, const char *path, bool recursive, bool read_only)
{
	struct mount_attributes a = { .set = ATTR_NODEV };
	int tree_fd = sys_open_tree(AT_FDCWD, path, recursive ? AT_RECURSIVE : 0);

	if (tree_fd < 0)
		return fail(c, "%s", path);
	if (c->users != OFF) {
		a.set |= ATTR_IDMAP;
		a.users_fd = (uint64_t)c->users_fd;
	}
	if (read_only)
		a.set |= ATTR_RDONLY;
	if (sys_mount_setattr(tree_fd, &a, recursive) == 0)
		return tree_fd;
	int error = errno;
	close(tree_fd);
	errno = error;
	if (c->users != OFF)
		return without_users(c, "its files cannot be mapped");
	if (errno == ENOSYS && !read_only) /* before 5.12 */
		return sys_open_tree(AT_FDCWD, path, recursive ? AT_RECURSIVE : 0);
	return fail(c, "%s: cannot be mounted%s", path, read_only ? " read-only" : "");
}

/* A file of ours over one in the rootfs, whose own may be missing or wrong. */
static int add_own_file(struct container *c, const char *name, const char *target, const char *text)
{
	struct volume *v = &c->volumes[c->volume_count];
	char path[PATH_MAX];

	snprintf(path, sizeof path, RUN_DIR "/%s/%s", c->name, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) &&
		(c->users == OFF || fchown(fd, (uid_t)c->base, (gid_t)c->base) == 0);
	if (fd >= 0)
		close(fd);
	v->tree_fd = written ? sys_open_tree(AT_FDCWD, path, 0) : -1;
	if (v->tree_fd < 0)
		return fail(c, "%s", path);
	/* In front: a volume of the user's on the same place goes on top. */
	struct volume own = *v;
	memmove(&c->volumes[1], &c->volumes[0], c->volume_count * sizeof *v);
	own.own = true;
	own.target = target;
	c->volumes[0] = own;
	c->volume_count++;
	return 0;
}

/* The host's name servers, without those that listen on its loopback, which is not ours. */
static void compose_resolv_conf(char *text, size_t size)
{
	static const char *const sources[] = { "/etc/resolv.conf", "/run/systemd/resolve/resolv.conf" };
	size_t used = 0;
	bool server = false;

	for (size_t i = 0; i < COUNT(sources) && !server; i++) {
		char line[512], word[64], address[64];
		FILE *f = fopen(sources[i], "re");

		used = 0;
		while (f && fgets(line, sizeof line, f)) {
			bool names = sscanf(line, "%63s %63s", word, address) == 2 &&
				strcmp(word, "nameserver") == 0;
			if (line[0] == '#' || line[0] == ';' || used + strlen(line) >= size ||
			    (names && (strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0)))
				continue;
			server |= names;
			used += (size_t)sprintf(text + used, "%s", line);
		}
		if (f)
			fclose(f);
	}
	if (!server) /* as docker does */
		snprintf(text + used, size - used, "nameserver 8.8.8.8\nnameserver 1.1.1.1\n");
}

static int add_own_files(struct container *c)
{
	char text[4096];

	snprintf(text, sizeof text, "127.0.0.1 localhost\n::1 localhost ip6-localhost\n%s %s%s%s\n",
	         c->address[0] ? c->address : "127.0.1.1", c->hostname,
	         strcmp(c->hostname, c->name) ? " " : "", strcmp(c->hostname, c->name) ? c->name : "");
	if (add_own_file(c, "hosts", "/etc/hosts", text) < 0)
		return -1;
	snprintf(text, sizeof text, "%s\n", c->hostname);
	if (add_own_file(c, "hostname", "/etc/hostname", text) < 0)
		return -1;
	text[0] = '\0';
	compose_resolv_conf(text, sizeof text);
	return c->address[0] ? add_own_file(c, "resolv.conf", "/etc/resolv.conf", text) : 0;
}

/* The name's directory below LIB_DIR. One that another rootfs was used with is not reused. */
static int open_layer(struct container *c)
{
	static const char *const parts[] = { "lower", "upper", "work", "merged" };
	struct container last = { .remove = false };
	char path[PATH_MAX];

	snprintf(path, sizeof path, LIB_DIR "/%s", c->name);
	if (mkdir(LIB_DIR, 0700) < 0 && errno != EEXIST)
		return fail(c, LIB_DIR);
	c->new_layer = mkdir(path, 0700) == 0;
	c->layer_fd = open(path, O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (c->layer_fd < 0)
		return fail(c, "%s", path);
	if (!c->new_layer && read_state(&last, c->layer_fd) == 0 &&
	    strcmp(last.rootfs, c->rootfs) != 0)
		return refuse(c, "the layer of %s belongs to %s: delete %s first, or take another name",
		              c->name, last.rootfs, c->name);
	for (size_t i = 0; i < COUNT(parts); i++)
		if (mkdirat(c->layer_fd, parts[i], 0755) < 0 && errno != EEXIST)
			return fail(c, "%s/%s", path, parts[i]);
	return write_state(c, c->layer_fd) < 0 ? fail(c, "%s/state", path) : 0;
}

/*
 * layer: a root that can be written, over a rootfs that is not.
 *
 * overlayfs shows upper (the name's own) over lower (the rootfs, mapped) as merged; the first
 * write to a file copies it up. All of it is mounted in a mount namespace of the engine's own,
 * which the child gets a copy of, so the host's mount table never shows it and nothing has to
 * be unmounted. https://docs.kernel.org/filesystems/overlayfs.html
 */
static int stack_layer(struct container *c)
{
	struct stat s;

	if (open_layer(c) < 0)
		return -1;
	c->host_mounts_fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (c->host_mounts_fd < 0 || fchdir(c->layer_fd) < 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return fail(c, "cannot leave the host's mount namespace");
	if (c->users != OFF && open_user_namespace(c) < 0)
		return without_users(c, "the kernel makes none");
	int lower_fd = open_mapped(c, c->rootfs, false, false);
	if (lower_fd < 0)
		return -1;
	if (sys_move_mount(lower_fd, AT_FDCWD, "lower") < 0) {
		close(lower_fd);
		return fail(c, "cannot mount the rootfs");
	}
	close(lower_fd);
	if (!c->write_through) {
		uid_t root = c->users == OFF ? 0 : (uid_t)c->base;
		/* The root directory's owner and mode are those of upper. */
		if (stat(c->rootfs, &s) < 0 || fchmodat(c->layer_fd, "upper", s.st_mode & 07777, 0) < 0 ||
		    fchownat(c->layer_fd, "upper", root + s.st_uid % IDS, root + s.st_gid % IDS, 0) < 0)
			return fail(c, "cannot prepare the layer");
		if (mount("overlay", "merged", "overlay", MS_NODEV,
		          "lowerdir=lower,upperdir=upper,workdir=work") < 0) {
			if (errno == EINVAL && c->users != OFF)
				return without_users(c, "no layer on mapped files, which needs Linux 5.19");
			return fail(c, "no layer of " LIB_DIR " on %s: both need a filesystem such as "
			            "ext4, xfs, btrfs, tmpfs; or use --write-through", c->rootfs);
		}
	}
	c->root_fd = open(c->write_through ? "lower" : "merged", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (c->root_fd < 0)
		return fail(c, "cannot open the root");
	for (size_t i = 0; i < c->volume_count; i++) {
		struct volume *v = &c->volumes[i];
		v->tree_fd = open_mapped(c, v->source, true, v->read_only);
		if (v->tree_fd < 0)
			return -1;
	}
	choose_program(c, c->root_fd);
	return add_own_files(c);
}

/* Back to the host's mounts; the namespace with the layer lives on in the child alone. */
static int leave_mounts(struct container *c)
{
	int result = 0;

	if (c->host_mounts_fd >= 0)
		result = setns(c->host_mounts_fd, CLONE_NEWNS); /* the working directory is now / */
	close_fd(&c->host_mounts_fd);
	close_fd(&c->root_fd);
	close_fd(&c->users_fd);
	for (size_t i = 0; i < c->volume_count; i++)
		close_fd(&c->volumes[i].tree_fd);
	return result;
}

/* At the end: the exit status is noted, or the layer goes, when it was to, or never was used. */
static void remove_layer(struct container *c)
{
	char path[PATH_MAX];

	leave_mounts(c);
	if (c->layer_fd < 0)
		return;
	snprintf(path, sizeof path, LIB_DIR "/%s", c->name);
	if (c->remove || (c->new_layer && !c->ran))
		remove_tree(path);
	else if (c->ran)
		write_state(c, c->layer_fd);
	close_fd(&c->layer_fd);
}

/* Children of a cgroup get only the controllers that its subtree_control names. */
static void enable_controllers(const char *root)
{
	static const char *const words[] = { "+cpu", "+memory", "+pids" };
	char path[PATH_MAX + 64];

	for (int depth = 0; depth < 2; depth++) {
		snprintf(path, sizeof path, "%s%s/cgroup.subtree_control", root, depth ? "/" CGROUP_DIR : "");
		for (size_t i = 0; i < COUNT(words); i++)
			if (write_at(AT_FDCWD, path, words[i]) < 0)
				continue; /* what is missing is seen when its limit is written */
	}
}

/*
 * cgroup: the limits, in force before the container's first instruction.
 *
 * Where version 1 holds the controllers the files do not exist: a limit that was asked for is
 * then an error, and a default one is given up with a warning.
 */
static int make_cgroup(struct container *c)
{
	char root[PATH_MAX], path[PATH_MAX + 128];
	bool enabled = false, warned = false;

	if (!find_cgroup2(root)) {
		for (size_t i = 0; i < LIMITS; i++)
			if (c->limit[i])
				return refuse(c, "--%s: no cgroup2 is mounted; see env.sh check", limits[i].name);
		warn("warning: no cgroup2 is mounted: no limits; see env.sh check");
		return 0;
	}
	snprintf(path, sizeof path, "%s/" CGROUP_DIR, root);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return fail(c, "%s", path);
	snprintf(path, sizeof path, "%s/" CGROUP_DIR "/%s", root, c->name);
	if ((mkdir(path, 0755) < 0 && errno != EEXIST) ||
	    (c->cgroup_fd = open(path, O_DIRECTORY | O_CLOEXEC)) < 0)
		return fail(c, "%s", path);
	for (int i = 0; i < LIMITS; i++) {
		const char *value = c->limit[i] ? c->limit[i] : parse_limit(i, limits[i].preset);
		int result = write_at(c->cgroup_fd, limits[i].file, value);

		if (result < 0 && errno == ENOENT && !enabled) {
			enable_controllers(root);
			enabled = true;
			result = write_at(c->cgroup_fd, limits[i].file, value);
		}
		if (result < 0 && (c->limit[i] || errno != ENOENT))
			return fail(c, "--%s needs %s/%s", limits[i].name, path, limits[i].file);
		if (result < 0 && !warned)
			warn("warning: no %s controller in cgroup v2: limits are not in force; "
			     "see env.sh check", limits[i].name);
		warned |= result < 0;
	}
	/* No swap beside the memory limit; and when it is hit, all die, not a random one. */
	if ((write_at(c->cgroup_fd, "memory.swap.max", "0") < 0 ||
	     write_at(c->cgroup_fd, "memory.oom.group", "1") < 0) && errno != ENOENT)
		return fail(c, "%s", path);
	return 0;
}

/* Kill what is left in it and remove it; a cgroup with dying members stays busy for a while. */
static void remove_cgroup(struct container *c)
{
	char root[PATH_MAX], path[PATH_MAX + 128];

	if (!find_cgroup2(root))
		return;
	snprintf(path, sizeof path, "%s/" CGROUP_DIR "/%s", root, c->name);
	close_fd(&c->cgroup_fd);
	for (int i = 0; rmdir(path) < 0 && errno == EBUSY && i < 2000; i++) {
		char procs[4096], *rest = procs;
		int fd = open(path, O_DIRECTORY | O_CLOEXEC);

		if (write_at(fd, "cgroup.kill", "1") < 0 && read_at(fd, "cgroup.procs", procs, sizeof procs))
			for (char *line; (line = strsep(&rest, "\n")) && *line;) /* before 5.14 */
				kill((pid_t)atoi(line), SIGKILL);
		close_fd(&fd);
		usleep(1000);
	}
}

/* Block the signals that are passed on to the container, and return their set. */
static sigset_t hold_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGUSR1, SIGUSR2 };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < COUNT(numbers); i++)
		sigaddset(&set, numbers[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return set;
}

/*
 * clone: a process in new namespaces, born inside its cgroup. clone3(2)
 *
 * CLONE_INTO_CGROUP puts it there before it runs; writing cgroup.procs afterwards would leave
 * a moment without limits, and takes milliseconds. The same table serves exec, which has
 * joined the container's PID namespace and needs no new ones.
 */
static int clone_child(struct container *c)
{
	int report[2] = { -1, -1 }, go[2] = { -1, -1 }, output[2] = { -1, -1 };
	bool joining = c->pid_fd >= 0;
	uint64_t flags = joining ? 0 : CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC |
		CLONE_NEWNET | CLONE_NEWCGROUP | (c->users == OFF ? 0 : CLONE_NEWUSER);

	hold_signals(); /* until serve() reads them from a descriptor */
	c->relay = !c->detach && isatty(0) && isatty(1);
	if (pipe2(report, O_CLOEXEC) < 0 || pipe2(go, O_CLOEXEC) < 0 ||
	    (c->detach && pipe2(output, O_CLOEXEC) < 0))
		return fail(c, "pipe");
	if (c->detach) {
		c->stdio[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
		c->stdio[1] = c->stdio[2] = output[1];
	}
	/* The working directory follows the child into its copy of the mounts; descriptors do not. */
	if (c->root_fd >= 0 && fchdir(c->root_fd) < 0)
		return fail(c, "fchdir");
	int child_fd = -1, pid = fork_into(flags, c->cgroup_fd, &child_fd);
	if (pid == 0) {
		close(report[0]); /* the child must not keep the engine's ends open, */
		close(go[1]); /* or it would never see that the engine died */
		close_fd(&c->run_fd); /* nor hold its lock */
		c->report_fd = report[1];
		c->go_fd = go[0];
		if (joining)
			become(c, exec_steps, COUNT(exec_steps));
		become(c, container_steps, COUNT(container_steps));
	}
	int error = errno;
	close(report[1]);
	close(go[0]);
	c->report_fd = report[0];
	c->go_fd = go[1];
	if (c->detach) {
		close(output[1]);
		close_fd(&c->stdio[0]);
		c->terminal_fd = output[0];
	}
	errno = error;
	if (pid < 0)
		return fail(c, "cannot make a process%s",
		            errno == ENOMEM || errno == EAGAIN ? " (limits too low?)" : "");
	if (joining)
		close(c->pid_fd);
	c->pid_fd = child_fd;
	c->pid = pid;
	c->start = start_time(pid);
	if (leave_mounts(c) < 0)
		return fail(c, "cannot return to the host's mounts");
	return 0;
}

/* Usually it has ended. The sweeper comes here with the pid of a state file, trusted only
 * together with its start time, because the kernel gives numbers out again. */
static void end_child(struct container *c)
{
	if (c->pid > 0 && c->pid_fd < 0 && c->start > 0 && start_time(c->pid) == c->start)
		c->pid_fd = sys_pidfd_open(c->pid);
	if (c->pid_fd >= 0 && sys_pidfd_send_signal(c->pid_fd, SIGKILL) == 0) {
		struct pollfd p = { c->pid_fd, POLLIN, 0 };
		poll(&p, 1, STOP_SECONDS * 1000);
		waitpid((pid_t)c->pid, NULL, 0);
	}
	close_fd(&c->pid_fd);
	close_fd(&c->report_fd);
	close_fd(&c->go_fd);
	close_fd(&c->terminal_fd);
}

/* users: the child's user namespace gets its ids. Only then may it touch files. */
static int map_users(struct container *c)
{
	if (c->users != OFF && write_maps(c, c->pid) < 0)
		return fail(c, "cannot map users");
	c->started = time(NULL);
	if (write_state(c, c->run_fd) < 0)
		return fail(c, RUN_DIR "/%s/state", c->name);
	return write(c->go_fd, "", 1) == 1 ? 0 : fail(c, "the child is gone");
}

/* Run ip(8) with a batch of commands, in a network namespace if one is given. Never a shell. */
static int run_ip(struct container *c, int netns_fd, const char *batch)
{
	int in[2], err[2], status = -1, ip_fd = -1;
	char said[200] = "";

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
		return fail(c, "pipe");
	int pid = fork_into(0, -1, &ip_fd);
	if (pid == 0) {
		char *argv[] = { "ip", "-batch", "-", NULL };
		sigset_t none;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		if (netns_fd >= 0 && setns(netns_fd, CLONE_NEWNET) < 0)
			_exit(NOT_EXECUTABLE);
		dup2(in[0], 0);
		dup2(err[1], 1);
		dup2(err[1], 2);
		execvp("ip", argv);
		_exit(NOT_FOUND);
	}
	close(in[0]);
	close(err[1]);
	ssize_t sent = pid < 0 ? -1 : write(in[1], batch, strlen(batch));
	close(in[1]);
	struct pollfd p = { ip_fd, POLLIN, 0 };
	bool hung = pid > 0 && poll(&p, 1, IP_SECONDS * 1000) == 0;
	if (hung)
		kill(pid, SIGKILL);
	if (pid > 0)
		waitpid(pid, &status, 0);
	fcntl(err[0], F_SETFL, O_NONBLOCK); /* a child of ip's may hold the other end */
	ssize_t n = read(err[0], said, sizeof said - 1);
	close(err[0]);
	close_fd(&ip_fd);
	said[n > 0 ? strcspn(said, "\n") : 0] = '\0';
	if (pid < 0)
		return fail(c, "cannot run ip");
	if (status == 0 && sent == (ssize_t)strlen(batch))
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_FOUND)
		return refuse(c, "ip is missing: install iproute2 (env.sh deps)");
	return hung ? refuse(c, "ip did not finish within %d seconds", IP_SECONDS)
	            : refuse(c, "ip failed: %s", said[0] ? said : "(it said nothing)");
}

/*
 * network: a cable from the bridge into the container. veth(4), ip-netns(8)
 *
 * The pair is born with one end in each namespace, so eth0 never exists on the host. Its
 * hardware address is derived from the IP address, as docker does: a neighbour that remembers
 * the last owner of the address reaches the new one at once. The pair dies with the namespace.
 */
static int connect_network(struct container *c)
{
	char batch[512], path[64], link[128];
	struct in_addr a;

	snprintf(path, sizeof path, "/proc/%lld/ns/net", c->pid);
	snprintf(link, sizeof link, NETNS_DIR "/%s", c->name);
	if (mkdir(NETNS_DIR, 0755) < 0 && errno != EEXIST)
		return fail(c, NETNS_DIR);
	disconnect_network(c);
	if (symlink(path, link) < 0)
		return fail(c, "%s", link);
	if (!c->address[0])
		return 0;
	int netns_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (netns_fd < 0)
		return fail(c, "%s", path);
	inet_pton(AF_INET, c->address, &a);
	const unsigned char *b = (const unsigned char *)&a;
	snprintf(batch, sizeof batch,
	         "link add ve%08llx type veth peer name eth0 address 02:42:%02x:%02x:%02x:%02x netns %lld\n"
	         "link set ve%08llx master %s up\n",
	         c->pid, b[0], b[1], b[2], b[3], c->pid, c->pid, c->bridge);
	int result = run_ip(c, -1, batch);
	snprintf(batch, sizeof batch,
	         "addr add %s/%lld brd + dev eth0\nlink set eth0 up\nroute add default via %s\n",
	         c->address, c->prefix, c->gateway);
	if (result == 0)
		result = run_ip(c, netns_fd, batch);
	close(netns_fd);
	return result;
}

/* Remove the name, if it is one of ours and not a namespace that somebody made by hand. */
static void disconnect_network(struct container *c)
{
	char link[128], target[64] = "";

	snprintf(link, sizeof link, NETNS_DIR "/%s", c->name);
	ssize_t n = readlink(link, target, sizeof target - 1);
	if (n > 8 && strncmp(target, "/proc/", 6) == 0 && strcmp(target + n - 7, "/ns/net") == 0)
		unlink(link);
}

/* How often the kernel killed in this cgroup because memory ran out. */
static long long count_oom(const struct container *c)
{
	char text[512];
	char *line = read_at(c->cgroup_fd, "memory.events", text, sizeof text) ?
		strstr(text, "oom_kill ") : NULL;

	return line ? atoll(line + 9) : 0;
}

/* The child's next record; its failure becomes ours. 0 at the end of the pipe. */
static int await_report(struct container *c, struct report *r)
{
	ssize_t n = read(c->report_fd, r, sizeof *r);

	if (n == 0)
		return 0;
	if (n != sizeof *r)
		return fail(c, "cannot hear the child");
	if (r->kind != FAILED)
		return r->kind;
	c->status = r->status;
	snprintf(c->failed, sizeof c->failed, "%s", r->step);
	snprintf(c->why, sizeof c->why, "%s", r->why);
	return -1;
}

/*
 * go: the child has made its walls, the network stands: let it become the program.
 *
 * The pipe closes when exec succeeds, but a killed child closes it too; so the child says
 * READY just before. READY and end: it runs. READY and a failure: exec failed. End alone: it
 * died while being set up.
 */
static int let_go(struct container *c)
{
	struct report r;
	struct winsize size;
	int said = await_report(c, &r);

	if (said == WAITING) {
		if (c->relay) {
			c->terminal_fd = (int)syscall(SYS_pidfd_getfd, c->pid_fd, r.terminal_fd, 0);
			if (c->terminal_fd < 0 || fcntl(c->terminal_fd, F_SETFL, O_NONBLOCK) < 0)
				return fail(c, "cannot take the terminal");
			if (ioctl(0, TIOCGWINSZ, &size) == 0)
				ioctl(c->terminal_fd, TIOCSWINSZ, &size);
		}
		said = write(c->go_fd, "", 1) == 1 ? await_report(c, &r) : 0;
		if (said == READY && (said = await_report(c, &r)) == 0) {
			if (c->running_fd >= 0 && write(c->running_fd, "", 1) < 0)
				return fail(c, "the first process is gone");
			close_fd(&c->running_fd);
			return 0;
		}
	}
	if (said == 0)
		return refuse(c, "the child died while being set up%s",
		              count_oom(c) ? ": memory limit too low" : "");
	return -1;
}

/* ---- Serving a running container: terminal, signals, log -------------------------------- */

/* Keep the log bounded: at LOG_BYTES it becomes log.1, in place of the older one. */
static int open_log(struct container *c)
{
	struct stat s;

	if (c->log_fd >= 0 && fstat(c->log_fd, &s) == 0 && s.st_size < LOG_BYTES)
		return c->log_fd;
	if (c->log_fd >= 0)
		renameat(c->layer_fd, "log", c->layer_fd, "log.1");
	close_fd(&c->log_fd);
	c->log_fd = openat(c->layer_fd, "log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return c->log_fd;
}

/* Move what can be moved without waiting, and close the stream's source at its end. */
static bool pump(struct stream *s, bool may_read, bool may_write)
{
	if (s->start == s->end && may_read && s->from >= 0) {
		ssize_t n = read(s->from, s->data, sizeof s->data);
		s->start = 0;
		s->end = n > 0 ? (size_t)n : 0;
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			s->from = -1;
		if (n <= 0)
			return false;
	}
	if (s->start < s->end && may_write) {
		ssize_t n = write(s->to, s->data + s->start, s->end - s->start);
		if (n > 0)
			s->start += (size_t)n;
		else if (errno != EAGAIN && errno != EINTR)
			s->start = s->end; /* nobody reads: let it go, as a closed terminal does */
	}
	return true;
}

/*
 * Pass a signal on. The kernel drops what a PID namespace's first process has no handler for,
 * even for SIGTERM; then we do what would have happened to any other process: it ends.
 * Returns how many milliseconds it has left, -1 for no end.
 */
static int forward(struct container *c, int number)
{
	struct winsize size;

	if (number == SIGWINCH) {
		if (c->relay && ioctl(0, TIOCGWINSZ, &size) == 0)
			ioctl(c->terminal_fd, TIOCSWINSZ, &size);
		return -1;
	}
	bool ends = number == SIGINT || number == SIGTERM || number == SIGHUP || number == SIGQUIT;
	if (ends && !handles_signal(c->pid, number)) {
		c->forwarded = number;
		sys_pidfd_send_signal(c->pid_fd, SIGKILL);
		return -1;
	}
	sys_pidfd_send_signal(c->pid_fd, number);
	if (number != SIGTERM && number != SIGHUP)
		return -1;
	c->forwarded = number;
	return STOP_SECONDS * 1000;
}

/* Our terminal becomes a plain wire: the container's own terminal does echo and editing. */
static void make_raw(struct container *c)
{
	struct termios raw;

	if (!c->relay || tcgetattr(0, &c->saved) < 0)
		return;
	raw = c->saved;
	cfmakeraw(&raw);
	tcsetattr(0, TCSANOW, &raw);
}

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* The poll loop: until the program ended and everything it wrote has been passed on. */
static void relay(struct container *c)
{
	struct stream in = { .from = c->relay ? 0 : -1, .to = c->terminal_fd };
	struct stream out = { .from = c->terminal_fd, .to = c->relay ? 1 : -1 };
	long long deadline = -1;
	bool ended = false;

	while (!ended || out.from >= 0 || out.start < out.end) {
		bool pending = out.start < out.end, feeding = in.start < in.end;
		struct pollfd p[] = {
			{ ended ? -1 : c->pid_fd, POLLIN, 0 },
			{ c->signal_fd, POLLIN, 0 },
			{ pending ? -1 : out.from, POLLIN, 0 },
			{ pending ? out.to : -1, POLLOUT, 0 },
			{ feeding ? -1 : in.from, POLLIN, 0 },
			{ feeding && !ended ? in.to : -1, POLLOUT, 0 },
		};
		long long left = deadline < 0 ? -1 : deadline > now() ? deadline - now() : 0;
		int ready = poll(p, COUNT(p), ended ? 0 : (int)left);
		struct signalfd_siginfo s;

		if (ready < 0 && errno != EINTR)
			break;
		if (ready == 0 && ended && !pending)
			break; /* exec: others still have its terminal open */
		if (ready == 0 && deadline >= 0) {
			sys_pidfd_send_signal(c->pid_fd, SIGKILL);
			deadline = -1;
		}
		if (p[1].revents && read(c->signal_fd, &s, sizeof s) == sizeof s) {
			int grace = forward(c, (int)s.ssi_signo);
			if (grace >= 0 && deadline < 0)
				deadline = now() + grace;
		}
		if (c->detach && (p[2].revents || pending))
			out.to = open_log(c);
		pump(&out, p[2].revents, p[3].revents || c->detach || out.start == out.end);
		pump(&in, p[4].revents, p[5].revents || in.start == in.end);
		ended |= p[0].revents != 0;
	}
}

/* Returns the exit status for the shell. */
static int serve(struct container *c)
{
	int status = 0;

	sigset_t set = hold_signals();
	c->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (c->detach) {
		int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		for (int i = 0; i < 3; i++)
			dup2(null_fd, i);
		close_fd(&null_fd);
	}
	make_raw(c);
	relay(c);
	if (c->relay)
		tcsetattr(0, TCSANOW, &c->saved);
	close_fd(&c->signal_fd);
	close_fd(&c->log_fd);
	waitpid((pid_t)c->pid, &status, 0);
	close_fd(&c->pid_fd);
	if (!WIFSIGNALED(status))
		return WEXITSTATUS(status);
	if (WTERMSIG(status) == SIGKILL && count_oom(c))
		warn("%s was killed: it needed more memory than its limit; see --memory", c->name);
	return 128 + (c->forwarded ? c->forwarded : WTERMSIG(status));
}

/* ---- The child's steps ------------------------------------------------------------------ */

/* Wait for a byte from the engine. End-of-file instead: it died, and nobody is to be told. */
static void wait_for_engine(struct container *c)
{
	char byte;

	if (read(c->go_fd, &byte, 1) != 1)
		_exit(ENGINE_FAILED);
}

/* Root of the (user) namespace, from the unmapped user that clone leaves; groups go first. */
static int become_root(struct container *c)
{
	if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return fail(c, "cannot become root of the container");
	/* Credentials changed, and with them these two were reset: see prctl(2). */
	if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return fail(c, "prctl");
	return 0;
}

/*
 * private: nothing done here shows on the host, and nothing of the host's is shared.
 *
 * Mounts of a systemd host are shared, so a copied namespace would still pass mounts on;
 * MS_PRIVATE ends that (mount_namespaces(7)). A session and a keyring of its own: neither the
 * host's terminal nor its keys (session-keyring(7)). Not dumpable: nobody may look into us.
 */
static int make_private(struct container *c)
{
	enum { JOIN_SESSION_KEYRING = 1 };

	wait_for_engine(c);
	if (setsid() < 0)
		return fail(c, "setsid");
	if (syscall(SYS_keyctl, JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS && errno != EDQUOT)
		return fail(c, "cannot leave the host's keyring");
	if (become_root(c) < 0)
		return -1;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return fail(c, "mount /");
	return 0;
}

/*
 * rootfs: the layer becomes a mount point of ours, and the volumes are put into it.
 *
 * pivot_root(2) wants a mount point, and refuses one that came from a more privileged mount
 * namespace; so the tree is mounted onto itself. Volumes come as descriptors of detached
 * mounts, and their places are found by openat2(2), for which no link leads out of the root.
 */
static int enter_rootfs(struct container *c)
{
	c->root_fd = sys_open_tree(AT_FDCWD, ".", AT_RECURSIVE);
	if (c->root_fd < 0 || sys_move_mount(c->root_fd, AT_FDCWD, ".") < 0 || fchdir(c->root_fd) < 0)
		return fail(c, "cannot mount the root onto itself");
	for (size_t i = 0; i < c->volume_count; i++) {
		struct volume *v = &c->volumes[i];
		struct stat s;

		if (fstat(v->tree_fd, &s) < 0)
			return fail(c, "%s", v->source);
		int target_fd = open_inside(c, v->target, S_ISDIR(s.st_mode), RESOLVE_IN_ROOT);
		if (target_fd < 0 || sys_move_mount(v->tree_fd, target_fd, "") < 0)
			return fail(c, "volume on %s", v->target);
		close(target_fd);
	}
	return 0;
}

/* Mount a file system of the kernel's. A rootfs that has a link in the place is refused. */
static int mount_inside(struct container *c, const char *type, const char *target,
                        unsigned long flags, const char *options)
{
	char path[64];
	int target_fd = open_inside(c, target, true, RESOLVE_NO_SYMLINKS);

	if (target_fd < 0)
		return errno == ELOOP ? refuse(c, "/%s is a symbolic link in the rootfs", target)
		                      : fail(c, "/%s", target);
	snprintf(path, sizeof path, "/proc/self/fd/%d", target_fd);
	int result = mount(type, path, type, flags, options);
	close(target_fd);
	return result < 0 ? fail(c, "mount %s on /%s", type, target) : 0;
}

/* Put what is at the host's (or our own) path onto the target; flags: those of a remount. */
static int bind_inside(struct container *c, const char *source, const char *target, bool directory,
                       unsigned long flags)
{
	char path[64];
	int tree_fd = sys_open_tree(source[0] == '/' ? AT_FDCWD : c->root_fd, source, AT_RECURSIVE);
	int target_fd = open_inside(c, target, directory, RESOLVE_NO_SYMLINKS);
	int result = tree_fd < 0 || target_fd < 0 ? -1 : sys_move_mount(tree_fd, target_fd, "");

	snprintf(path, sizeof path, "/proc/self/fd/%d", tree_fd);
	if (result == 0 && flags)
		result = mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | flags, NULL);
	if (result < 0)
		fail(c, "%s on /%s", source, target);
	close_fd(&tree_fd);
	close_fd(&target_fd);
	return result;
}

/*
 * proc: the kernel's own file systems, for these namespaces.
 *
 * Before pivot, because the kernel allows proc and sysfs in a user namespace only where a
 * full one is visible already, and the host's is still there. Parts of both speak of the whole
 * machine, whatever the namespace: those are masked (a null, an empty directory) or read-only.
 */
static int mount_proc(struct container *c)
{
	static const char *const masked[] = {
		"proc/acpi", "proc/asound", "proc/interrupts", "proc/kcore", "proc/keys",
		"proc/latency_stats", "proc/sched_debug", "proc/scsi", "proc/timer_list",
		"proc/timer_stats", "sys/devices/virtual/powercap", "sys/firmware",
	};
	static const char *const read_only[] = {
		"proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger",
	};
	const unsigned long quiet = MS_NOSUID | MS_NOEXEC | MS_NODEV;
	struct stat s;

	if (mount_inside(c, "proc", "proc", quiet, NULL) < 0 ||
	    mount_inside(c, "sysfs", "sys", quiet | MS_RDONLY, NULL) < 0 ||
	    (c->cgroup_fd >= 0 &&
	     mount_inside(c, "cgroup2", "sys/fs/cgroup", quiet | MS_RDONLY, NULL) < 0))
		return -1;
	for (size_t i = 0; i < COUNT(masked); i++) {
		if (fstatat(c->root_fd, masked[i], &s, AT_SYMLINK_NOFOLLOW) < 0)
			continue; /* this kernel has none */
		if (S_ISDIR(s.st_mode)
		    ? mount_inside(c, "tmpfs", masked[i], quiet | MS_RDONLY, "size=0,mode=555") < 0
		    : bind_inside(c, "/dev/null", masked[i], false, 0) < 0)
			return -1;
	}
	for (size_t i = 0; i < COUNT(read_only); i++)
		if (fstatat(c->root_fd, read_only[i], &s, AT_SYMLINK_NOFOLLOW) == 0 &&
		    bind_inside(c, read_only[i], read_only[i], S_ISDIR(s.st_mode), quiet | MS_RDONLY) < 0)
			return -1;
	return 0;
}

/* The master of a new terminal from the container's devpts, and its slave. pty(7) */
static int open_terminal(struct container *c, int devpts_ptmx_fd)
{
	int unlock = 0, slave_fd = -1;

	c->terminal_fd = devpts_ptmx_fd;
	if (c->terminal_fd >= 0 && ioctl(c->terminal_fd, TIOCSPTLCK, &unlock) == 0)
		slave_fd = ioctl(c->terminal_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave_fd < 0 || fchown(slave_fd, (uid_t)c->uid, (gid_t)-1) < 0)
		return fail(c, "cannot open a terminal");
	for (int i = 0; i < 3; i++)
		if (isatty(i))
			c->stdio[i] = slave_fd;
	return 0;
}

/*
 * dev: the few devices that are the same for everybody, and terminals of its own.
 *
 * Nodes are not made (a user namespace may not) but are the host's, each checked to be the
 * device it claims to be. devpts is a new instance: the host's terminals are not in it.
 */
static int mount_dev(struct container *c)
{
	static const struct device { const char *name; unsigned char major, minor; } devices[] = {
		{ "null", 1, 3 }, { "zero", 1, 5 }, { "full", 1, 7 },
		{ "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 },
	};
	static const char *const links[][2] = {
		{ "/proc/self/fd", "dev/fd" }, { "/proc/self/fd/0", "dev/stdin" },
		{ "/proc/self/fd/1", "dev/stdout" }, { "/proc/self/fd/2", "dev/stderr" },
		{ "pts/ptmx", "dev/ptmx" },
	};
	const unsigned long quiet = MS_NOSUID | MS_NOEXEC | MS_NODEV;
	char path[64];
	struct stat s;

	umask(0);
	if (mount_inside(c, "tmpfs", "dev", MS_NOSUID | MS_STRICTATIME, "mode=755,size=64k") < 0 ||
	    mount_inside(c, "devpts", "dev/pts", MS_NOSUID | MS_NOEXEC,
	                 "newinstance,ptmxmode=0666,mode=0620,gid=5") < 0 ||
	    mount_inside(c, "tmpfs", "dev/shm", quiet, "mode=1777,size=64m") < 0 ||
	    mount_inside(c, "mqueue", "dev/mqueue", quiet, NULL) < 0)
		return -1;
	for (size_t i = 0; i < COUNT(devices); i++) {
		snprintf(path, sizeof path, "/dev/%s", devices[i].name);
		if (bind_inside(c, path, path + 1, false, 0) < 0)
			return -1;
		if (fstatat(c->root_fd, path + 1, &s, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISCHR(s.st_mode) ||
		    s.st_rdev != makedev(devices[i].major, devices[i].minor))
			return refuse(c, "the host's %s is not the device of that name", path);
	}
	for (size_t i = 0; i < COUNT(links); i++)
		if (symlinkat(links[i][0], c->root_fd, links[i][1]) < 0)
			return fail(c, "/%s", links[i][1]);
	umask(022);
	if (!c->relay)
		return bind_inside(c, "/dev/null", "dev/console", false, 0);
	if (open_terminal(c, openat(c->root_fd, "dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0)
		return -1;
	return bind_inside(c, "dev/pts/0", "dev/console", false, 0);
}

/*
 * pivot: the root of the mount namespace itself is exchanged, and the old one detached.
 *
 * chroot(2) would only change where "/" points for this process, and root can walk out of it.
 * With pivot_root(".", ".") the old root ends up on top of the new one, from where it is
 * unmounted: afterwards no path, and no mount, leads to the host's files. pivot_root(2)
 */
static int pivot(struct container *c)
{
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return fail(c, "pivot_root");
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return fail(c, "cannot detach the host's root");
	if (c->read_only && mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NODEV, NULL) < 0)
		return fail(c, "cannot make the root read-only");
	return 0;
}

/* hostname: uts_namespaces(7); and the loopback interface of the new network, which is down. */
static int set_hostname(struct container *c)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int socket_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (sethostname(c->hostname, strlen(c->hostname)) < 0)
		return fail(c, "sethostname");
	if (socket_fd < 0 || ioctl(socket_fd, SIOCSIFFLAGS, &lo) < 0)
		return fail(c, "cannot set lo up");
	close(socket_fd);
	return 0;
}

/*
 * caps: root of the container keeps only the capabilities in its bounding set, another user
 * has none; none are inheritable, and no set-user-ID program gives more. capabilities(7)
 */
static int drop_capabilities(struct container *c)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct sets[2] = { { 0, 0, 0 }, { 0, 0, 0 } };

	for (int i = 0; prctl(PR_CAPBSET_READ, i) >= 0; i++)
		if (!(c->capabilities >> i & 1) && prctl(PR_CAPBSET_DROP, i) < 0)
			return fail(c, "cannot drop capability %d", i);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (setresgid((gid_t)c->gid, (gid_t)c->gid, (gid_t)c->gid) < 0 ||
	    setresuid((uid_t)c->uid, (uid_t)c->uid, (uid_t)c->uid) < 0)
		return fail(c, "cannot become user %lld:%lld", c->uid, c->gid);
	for (int i = 0; i < 2 && c->uid == 0; i++)
		sets[i].permitted = sets[i].effective = (uint32_t)(c->capabilities >> 32 * i);
	if (syscall(SYS_capset, &header, sets) < 0)
		return fail(c, "capset");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return fail(c, "prctl");
	return 0;
}

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#else
#error "the system call filter is written for x86_64 and aarch64"
#endif

/* System calls that a container is denied, unless it has the capability beside it. */
static const struct denied { int number, unless; } denied[] = {
	/* mounts: would let it undo its read-only and masked paths */
	{ SYS_mount, CAP_SYS_ADMIN }, { SYS_umount2, CAP_SYS_ADMIN },
	{ SYS_pivot_root, CAP_SYS_ADMIN }, { SYS_move_mount, CAP_SYS_ADMIN },
	{ SYS_open_tree, CAP_SYS_ADMIN }, { SYS_fsopen, CAP_SYS_ADMIN },
	{ SYS_fsconfig, CAP_SYS_ADMIN }, { SYS_fsmount, CAP_SYS_ADMIN },
	{ SYS_fspick, CAP_SYS_ADMIN }, { 442 /* mount_setattr */, CAP_SYS_ADMIN },
	{ SYS_setns, CAP_SYS_ADMIN }, /* namespaces of others */
	{ SYS_open_by_handle_at, CAP_DAC_READ_SEARCH }, /* files by number, past the root */
	{ SYS_name_to_handle_at, CAP_DAC_READ_SEARCH },
	/* programs in the kernel, and ways into its memory that had many holes */
	{ SYS_bpf, CAP_SYS_ADMIN }, { SYS_perf_event_open, CAP_SYS_ADMIN },
	{ SYS_userfaultfd, CAP_SYS_ADMIN }, { SYS_io_uring_setup, -1 },
	{ SYS_io_uring_enter, -1 }, { SYS_io_uring_register, -1 },
	{ SYS_init_module, CAP_SYS_MODULE }, { SYS_finit_module, CAP_SYS_MODULE },
	{ SYS_delete_module, CAP_SYS_MODULE },
	/* keys are of the user, not of the namespace */
	{ SYS_add_key, -1 }, { SYS_request_key, -1 }, { SYS_keyctl, -1 },
	/* the machine as a whole: another kernel, power, clocks, swap, accounting, its log */
	{ SYS_kexec_load, CAP_SYS_BOOT }, { SYS_reboot, CAP_SYS_BOOT },
	{ SYS_kexec_file_load, CAP_SYS_BOOT }, { SYS_settimeofday, CAP_SYS_TIME },
	{ SYS_clock_settime, CAP_SYS_TIME }, { SYS_clock_adjtime, CAP_SYS_TIME },
	{ SYS_adjtimex, CAP_SYS_TIME }, { SYS_swapon, CAP_SYS_ADMIN },
	{ SYS_swapoff, CAP_SYS_ADMIN }, { SYS_acct, CAP_SYS_PACCT },
	{ SYS_quotactl, CAP_SYS_ADMIN }, { SYS_syslog, CAP_SYSLOG },
	{ SYS_vhangup, CAP_SYS_TTY_CONFIG }, { SYS_lookup_dcookie, CAP_SYS_ADMIN },
	{ SYS_nfsservctl, -1 },
	/* other processes' memory and the host's processors */
	{ SYS_kcmp, CAP_SYS_PTRACE }, { SYS_migrate_pages, CAP_SYS_NICE },
	{ SYS_move_pages, CAP_SYS_NICE },
#ifdef __x86_64__
	{ SYS_iopl, CAP_SYS_RAWIO }, { SYS_ioperm, CAP_SYS_RAWIO }, /* ports of devices */
	{ SYS_uselib, -1 }, { SYS_ustat, -1 }, { SYS_sysfs, -1 }, /* obsolete */
#endif
};

/*
 * seccomp: a program in classic BPF that the kernel runs before each system call. seccomp(2)
 *
 * It loads a field of struct seccomp_data, compares, and jumps (counted in instructions) or
 * returns a verdict. Other ABIs of the processor have other numbers for the same calls, so
 * they are refused. clone3 passes its flags in memory, where a filter cannot look: ENOSYS
 * makes libc use clone, which is checked for CLONE_NEWUSER: in a user namespace of its own a
 * process would have all capabilities again.
 */
static int filter_calls(struct container *c)
{
	enum { DENY = SECCOMP_RET_ERRNO | EPERM, MISSING = SECCOMP_RET_ERRNO | ENOSYS };
	const bool admin = c->capabilities >> CAP_SYS_ADMIN & 1;
	struct sock_filter code[2 * COUNT(denied) + 32];
	unsigned short n = 0;
#define LOAD(field) code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, \
		(uint32_t)offsetof(struct seccomp_data, field))
#define JUMP(test, value, yes, no) code[n++] = (struct sock_filter)BPF_JUMP( \
		BPF_JMP | (test) | BPF_K, (uint32_t)(value), (yes), (no))
#define RETURN(verdict) code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, (verdict))

	if (c->seccomp == OFF)
		return 0;
	LOAD(arch);
	JUMP(BPF_JEQ, OUR_ARCH, 1, 0);
	RETURN(SECCOMP_RET_KILL_PROCESS);
	LOAD(nr);
	JUMP(BPF_JGE, 0x40000000, 0, 1); /* x32: a flag on the numbers of x86_64 */
	RETURN(MISSING);
	JUMP(BPF_JEQ, SYS_clone3, 0, 1);
	RETURN(MISSING);
	for (size_t i = 0; i < COUNT(denied); i++) {
		if (denied[i].unless >= 0 && c->capabilities >> denied[i].unless & 1)
			continue;
		JUMP(BPF_JEQ, denied[i].number, 0, 1);
		RETURN(DENY);
	}
	if (!admin) {
		JUMP(BPF_JEQ, SYS_clone, 1, 0);
		JUMP(BPF_JEQ, SYS_unshare, 0, 4);
		LOAD(args[0]); /* the low 32 bits, on little-endian machines */
		JUMP(BPF_JSET, CLONE_NEWUSER, 0, 1);
		RETURN(DENY);
		RETURN(SECCOMP_RET_ALLOW);
	}
	/* Two requests push input into a terminal, which may be one of the host's. The kernel
	 * looks at 32 bits of the 64, and so must we. */
	JUMP(BPF_JEQ, SYS_ioctl, 0, 4);
	LOAD(args[1]);
	JUMP(BPF_JEQ, TIOCSTI, 1, 0);
	JUMP(BPF_JEQ, TIOCLINUX, 0, 1);
	RETURN(DENY);
	RETURN(SECCOMP_RET_ALLOW);
#undef LOAD
#undef JUMP
#undef RETURN
	struct sock_fprog program = { n, code };
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return fail(c, "seccomp");
	return 0;
}

/* Try the program in each directory of its own PATH, as execvp(3) does without its shell. */
static void try_path(struct container *c)
{
	char path[PATH_MAX];
	const char *dirs = SAFE_PATH;
	int error = ENOENT;

	if (strchr(c->argv[0], '/')) {
		execve(c->argv[0], c->argv, c->environment);
		return;
	}
	for (char **e = c->environment; *e; e++)
		if (strncmp(*e, "PATH=", 5) == 0)
			dirs = *e + 5;
	while (*dirs) {
		int n = (int)strcspn(dirs, ":");

		snprintf(path, sizeof path, "%.*s/%s", n, dirs, c->argv[0]);
		execve(path, c->argv, c->environment);
		if (errno != ENOENT && errno != ENOTDIR)
			error = errno;
		dirs += n + (dirs[n] == ':');
	}
	errno = error;
}

/* Why exec failed, in the status and the words that shells use. */
static int explain_exec(struct container *c)
{
	const char *program = c->argv[0];
	int error = errno;

	c->status = error == ENOENT || error == ENOTDIR ? NOT_FOUND : NOT_EXECUTABLE;
	if (error == ENOENT && strchr(program, '/') && access(program, F_OK) == 0)
		return refuse(c, "%s is there, but its interpreter or loader is not in the rootfs", program);
	if (error == ENOENT)
		return refuse(c, "%s: not found in the container", program);
	if (error == ENOEXEC)
		return refuse(c, "%s: not a program for this machine", program);
	errno = error;
	return fail(c, "%s", program);
}

/*
 * exec: when the network stands, become the program.
 *
 * Just before, every descriptor but 0, 1, 2 is closed, and the working directory is checked to
 * be inside: one open directory of the host would be a way out (CVE-2024-21626).
 */
static int execute(struct container *c)
{
	struct report r = { .kind = WAITING, .terminal_fd = c->terminal_fd };
	char cwd[PATH_MAX];
	sigset_t none;

	if (write(c->report_fd, &r, sizeof r) < 0)
		return -1;
	wait_for_engine(c);
	if (chdir(c->cwd) < 0)
		return fail(c, "-w %s", c->cwd);
	if (!getcwd(cwd, sizeof cwd) || cwd[0] != '/')
		return refuse(c, "the working directory is outside of the container");
	for (int i = 0; i < 3; i++)
		if (dup2(c->stdio[i], i) < 0)
			return fail(c, "dup2");
	if (c->relay && ioctl(0, TIOCSCTTY, 0) < 0)
		return fail(c, "cannot make the terminal its own");
	if (c->report_fd != REPORT_FD && dup3(c->report_fd, REPORT_FD, O_CLOEXEC) < 0)
		return fail(c, "dup3");
	c->report_fd = REPORT_FD;
	if (syscall(SYS_close_range, REPORT_FD + 1, ~0U, 0) < 0)
		return fail(c, "close_range");
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	r.kind = READY;
	if (write(c->report_fd, &r, sizeof r) < 0)
		return -1;
	try_path(c);
	return explain_exec(c);
}

/* ---- Living with containers ------------------------------------------------------------- */

/* A number from a cgroup file, or from the line of it that starts with a key; -1: max, none. */
static long long read_use(const struct container *c, const char *file, const char *key)
{
	char text[4096];
	const char *at = read_at(c->cgroup_fd, file, text, sizeof text) ? text : NULL;

	if (at && key && (at = strstr(text, key)) != NULL)
		at += strlen(key) + 1;
	return at && isdigit((unsigned char)*at) ? atoll(at) : -1;
}

static void open_cgroup(struct container *c)
{
	char root[PATH_MAX], path[PATH_MAX + 128];

	if (!find_cgroup2(root))
		return;
	snprintf(path, sizeof path, "%s/" CGROUP_DIR "/%s", root, c->name);
	c->cgroup_fd = open(path, O_DIRECTORY | O_CLOEXEC);
}

/* The container of this name, running if it must be; else one line and the end. */
static void need_container(struct container *c, const char *name, bool running)
{
	if (!find_container(c, name))
		die("there is no container named %s; see container_engine list", c->name);
	if (running && c->pid < 0)
		die("container %s is not running", c->name);
	if (c->run_fd >= 0)
		open_cgroup(c);
}

static void need_words(int argc, int low, int high, const char *words)
{
	if (argc < low || argc > high)
		die("%s %s needed; see container_engine --help", words, high == 1 ? "is" : "are");
}

/* 52428800 -> "50.0M", -1 -> "-" */
static const char *human(long long bytes, char text[24])
{
	const char *unit = "BKMGTP";
	double n = (double)bytes;

	while (n >= 1024 && unit[1]) {
		n /= 1024;
		unit++;
	}
	snprintf(text, 24, bytes < 0 ? "-" : *unit == 'B' ? "%.0f" : "%.1f%c", n, *unit);
	return text;
}

static void print_json(const char *key, const char *text)
{
	printf("\"%s\":\"", key);
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == '"' || *text == '\\')
			printf("\\u%04x", (unsigned char)*text);
		else
			putchar(*text);
	printf("\",");
}

static void print_row(const struct container *c, double cpu, bool json)
{
	const long long memory = read_use(c, "memory.current", NULL), most = read_use(c, "memory.max", NULL);
	const long long pids = read_use(c, "pids.current", NULL), top = read_use(c, "pids.max", NULL);
	char status[32], when[32] = "-", a[24], b[24];
	time_t started = (time_t)c->started;

	snprintf(status, sizeof status, c->pid >= 0 ? "running" : c->run_fd >= 0 ? "starting" : "exited (%lld)",
	         c->status < 0 ? 128LL + SIGKILL : c->status);
	if (c->started > 0)
		strftime(when, sizeof when, json ? "%Y-%m-%dT%H:%M:%SZ" : "%m-%d %H:%M:%S",
		         json ? gmtime(&started) : localtime(&started));
	if (json) {
		printf("{");
		print_json("name", c->name);
		print_json("status", status);
		print_json("address", c->address);
		print_json("rootfs", c->rootfs);
		print_json("command", c->command);
		print_json("started", when);
		printf("\"pid\":%lld,\"cpu_percent\":%.1f,\"memory\":%lld,\"memory_max\":%lld,"
		       "\"pids\":%lld,\"pids_max\":%lld}", c->pid, cpu, memory, most, pids, top);
		return;
	}
	printf("%-16s %-12s %7.0lld %-15s %-14s", c->name, status, c->pid < 0 ? 0 : c->pid,
	       c->address[0] ? c->address : "none", when);
	if (c->pid >= 0)
		printf(" %5.1f%% %6s/%-6s", cpu, human(memory, a), human(most, b));
	else
		printf(" %6s %6s/%-6s", "-", "-", "-");
	printf(" %3s", human(pids, a));
	printf("/%-4s %s\n", human(top, b), c->command);
}

/* list: everything that runs or has a layer. Processor use is taken over a tenth of a second. */
static int list(struct container *c, int argc, char **argv)
{
	enum { SAMPLE = 100000 }; /* microseconds */
	struct container *all = NULL;
	size_t count = find_all(&all);
	long long *used = calloc(count + 1, sizeof *used);

	(void)argv;
	need_words(argc, 0, 0, "options only");
	for (size_t i = 0; i < count; i++)
		if (all[i].pid >= 0 && !c->quiet) {
			open_cgroup(&all[i]);
			used[i] = read_use(&all[i], "cpu.stat", "usage_usec");
		}
	if (!c->quiet && !c->json)
		printf("%-16s %-12s %7s %-15s %-14s %6s %6s/%-6s %3s/%-4s %s\n", "NAME", "STATUS", "PID",
		       "ADDRESS", "STARTED", "CPU", "MEMORY", "LIMIT", "PID", "MAX", "COMMAND");
	if (!c->quiet && count)
		usleep(SAMPLE);
	for (size_t i = 0; i < count; i++) {
		double cpu = (double)(read_use(&all[i], "cpu.stat", "usage_usec") - used[i]) * 100 / SAMPLE;

		if (c->json)
			printf("%s", i ? ",\n " : "[");
		if (c->quiet)
			puts(all[i].name);
		else
			print_row(&all[i], all[i].pid < 0 || cpu < 0 ? 0 : cpu, c->json);
		close_fd(&all[i].run_fd);
		close_fd(&all[i].cgroup_fd);
	}
	if (c->json)
		puts(count ? "]" : "[]");
	free(all);
	free(used);
	return 0;
}

/* Copy a file of /proc to our output, indented, from the given field of each line on. */
static void show_file(const char *title, long long pid, const char *name, int skip)
{
	char path[64], line[4096];

	snprintf(path, sizeof path, "/proc/%lld/%s", pid, name);
	FILE *f = fopen(path, "re");
	printf("%s\n", title);
	while (f && fgets(line, sizeof line, f)) {
		char *at = line;
		for (int i = 0; i < skip; i++)
			at += strcspn(at, " ") + (strchr(at, ' ') != NULL);
		printf("  %s", at + strspn(at, " "));
	}
	if (f)
		fclose(f);
}

/* The namespaces of the host and of the container: numbers that differ are walls. */
static void show_namespaces(long long pid)
{
	static const char *const kinds[] = {
		"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts",
	};

	printf("namespaces\n  %-8s %-24s %-24s\n", "", "host", "container");
	for (size_t i = 0; i < COUNT(kinds); i++) {
		char path[64], host[64] = "-", inside[64] = "-";

		snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[i]);
		if (readlink(path, host, sizeof host - 1) < 0)
			continue;
		snprintf(path, sizeof path, "/proc/%lld/ns/%s", pid, kinds[i]);
		if (readlink(path, inside, sizeof inside - 1) >= 0)
			printf("  %-8s %-24s %-24s %s\n", kinds[i], host, inside,
			       strcmp(host, inside) ? "own" : "shared with the host");
	}
}

/* A picture of the way from the host to the container, and who else is on the bridge. */
static void show_network(const struct container *c)
{
	struct container *all = NULL;

	printf("network\n");
	if (!c->address[0]) {
		printf("  lo only\n");
		return;
	}
	printf("  host %s (%s/%lld) --- ve%08llx === eth0 (%s/%lld) %s\n", c->bridge, c->gateway,
	       c->prefix, c->pid, c->address, c->prefix, c->name);
	for (size_t n = find_all(&all); n-- > 0; close_fd(&all[n].run_fd))
		if (all[n].pid >= 0 && all[n].address[0] && strcmp(all[n].bridge, c->bridge) == 0 &&
		    strcmp(all[n].name, c->name) != 0)
			printf("  %*s +-- ve%08llx === eth0 (%s) %s\n", (int)strlen(c->bridge) + 5, "",
			       all[n].pid, all[n].address, all[n].name);
	free(all);
}

static int inspect(struct container *c, int argc, char **argv)
{
	static const char *const files[][3] = {
		{ "cpu.max", NULL, "microseconds in each period" }, { "cpu.stat", "usage_usec", "used" },
		{ "cpu.stat", "nr_throttled", "periods in which it was held back" },
		{ "memory.max", NULL, "bytes" }, { "memory.current", NULL, "in use" },
		{ "memory.events", "oom_kill", "killed for memory" },
		{ "pids.max", NULL, "processes and threads" }, { "pids.current", NULL, "in use" },
	};
	char text[4096];

	need_words(argc, 1, 1, "one container's name");
	need_container(c, argv[0], false);
	printf("name      %s\nrootfs    %s\nlayer     " LIB_DIR "/%s\ncommand   %s\n", c->name, c->rootfs,
	       c->name, c->command);
	if (c->pid < 0) {
		printf("status    exited (%lld)\n", c->status < 0 ? 128LL + SIGKILL : c->status);
		return 0;
	}
	printf("status    running\npid       %lld on the host, 1 inside\n", c->pid);
	show_namespaces(c->pid);
	show_file("user ids  (inside, host, how many)", c->pid, "uid_map", 0);
	show_file("mounts    (mount point, options, type, source)", c->pid, "mountinfo", 4);
	printf("limits and use\n");
	for (size_t i = 0; i < COUNT(files); i++) {
		if (!read_at(c->cgroup_fd, files[i][0], text, sizeof text))
			continue;
		text[strcspn(text, "\n")] = '\0';
		if (files[i][1])
			snprintf(text, sizeof text, "%lld", read_use(c, files[i][0], files[i][1]));
		printf("  %-14s %-13s %-16s %s\n", files[i][0], files[i][1] ? files[i][1] : "", text,
		       files[i][2]);
	}
	show_network(c);
	return 0;
}

/* join: into the container's namespaces, all at once; its root and users become ours. setns(2) */
static int join(struct container *c)
{
	int kinds = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP;

	if (setns(c->pid_fd, c->users == OFF ? kinds : kinds | CLONE_NEWUSER) < 0)
		return fail(c, "cannot join the container");
	if (setsid() < 0 || syscall(SYS_keyctl, 1 /* JOIN_SESSION_KEYRING */, NULL) < 0)
		errno = 0; /* as in make_private */
	return become_root(c);
}

/* terminal: one of the container's. Its /dev may be changed, so what is opened is checked. */
static int open_exec_terminal(struct container *c)
{
	struct stat s;

	if (!c->relay)
		return 0;
	int path_fd = sys_openat2(AT_FDCWD, "/dev/pts/ptmx", O_PATH | O_CLOEXEC, RESOLVE_NO_SYMLINKS);
	if (path_fd < 0 || fstat(path_fd, &s) < 0 || !S_ISCHR(s.st_mode) || s.st_rdev != makedev(5, 2))
		return refuse(c, "/dev/pts/ptmx of the container is not what it was");
	close(path_fd);
	return open_terminal(c, open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NOFOLLOW));
}

/*
 * exec: a second program, behind the same walls and in the same cgroup as the first.
 *
 * Not dumpable from the start: between joining and exec the container's processes must not
 * reach into ours, which still knows the host (CVE-2016-9962).
 */
static int exec_in(struct container *c, int argc, char **argv)
{
	const long long uid = c->uid, gid = c->gid;
	char path[64];

	if (argc < 1)
		die("a container's name is needed; see container_engine --help");
	need_container(c, argv[0], true);
	if (c->users == OFF)
		restart_sealed(c, false);
	if (uid >= 0) {
		c->uid = uid;
		c->gid = gid;
	}
	complete_environment(c);
	c->argv = argv + 1;
	c->status = -1;
	c->pid_fd = sys_pidfd_open(c->pid);
	if (c->pid_fd < 0 || start_time(c->pid) != c->start)
		die("container %s is not running", c->name);
	snprintf(path, sizeof path, "/proc/%lld/root", c->pid);
	int root_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	choose_program(c, root_fd);
	close_fd(&root_fd);
	close_fd(&c->run_fd);
	if (prctl(PR_SET_DUMPABLE, 0) < 0 || setns(c->pid_fd, CLONE_NEWPID) < 0)
		die("cannot join %s: %s", c->name, strerror(errno));
	return walk(c, exec_host_steps, COUNT(exec_host_steps));
}

/* update: the kernel puts new limits in force at once. */
static int update(struct container *c, int argc, char **argv)
{
	need_words(argc, 1, 1, "one container's name");
	if (!c->limit[CPUS] && !c->limit[MEMORY] && !c->limit[PIDS])
		die("nothing to update: use --cpus, --memory or --pids");
	need_container(c, argv[0], true);
	long long used = read_use(c, "memory.current", NULL);
	const char *memory = c->limit[MEMORY];
	if (memory && isdigit((unsigned char)*memory) && used > atoll(memory) && !c->force)
		die("%s uses %lld bytes, more than %s: it would be killed; --force does it anyway", c->name,
		    used, memory);
	for (int i = 0; i < LIMITS; i++)
		if (c->limit[i] && write_at(c->cgroup_fd, limits[i].file, c->limit[i]) < 0)
			die("--%s: cannot write %s: %s", limits[i].name, limits[i].file, strerror(errno));
	return 0;
}

/* Wait until the engine of the container let go of its lock, having cleaned up. */
static bool wait_gone(struct container *c, long long milliseconds)
{
	for (; flock(c->run_fd, LOCK_SH | LOCK_NB) < 0; milliseconds -= 5) {
		if (milliseconds <= 0)
			return false;
		usleep(5000);
	}
	return true;
}

/* Kill and wait; an engine that does not clean up (it is stopped) is killed as well. */
static void end_container(struct container *c)
{
	if (c->pid >= 0)
		sys_pidfd_send_signal(c->pid_fd, SIGKILL);
	if (!wait_gone(c, STOP_SECONDS * 1000LL))
		die("the engine of %s does not react: end it, then try again", c->name);
	sweep();
}

static int stop(struct container *c, int argc, char **argv)
{
	need_words(argc, 1, INT_MAX, "names of containers");
	for (int i = 0; i < argc; i++) {
		struct container one = blank;

		need_container(&one, argv[i], true);
		one.pid_fd = sys_pidfd_open(one.pid);
		if (!handles_signal(one.pid, SIGTERM))
			printf("%s: its first process has no handler for TERM, so it is killed\n", one.name);
		else if (sys_pidfd_send_signal(one.pid_fd, SIGTERM) == 0)
			wait_gone(&one, c->seconds * 1000LL);
		end_container(&one);
		puts(one.name);
		close_fd(&one.pid_fd);
		close_fd(&one.run_fd);
		close_fd(&one.cgroup_fd);
	}
	return 0;
}

static int send_signal(struct container *c, int argc, char **argv)
{
	static const struct { const char *name; int number; } names[] = {
		{ "HUP", SIGHUP }, { "INT", SIGINT }, { "QUIT", SIGQUIT }, { "KILL", SIGKILL },
		{ "USR1", SIGUSR1 }, { "USR2", SIGUSR2 }, { "TERM", SIGTERM }, { "CONT", SIGCONT },
		{ "STOP", SIGSTOP }, { "WINCH", SIGWINCH }, { "ALRM", SIGALRM }, { "ABRT", SIGABRT },
	};
	const char *text = argc > 1 ? argv[1] : "KILL";
	const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
	int number = 0;

	need_words(argc, 1, 2, "a container's name, and perhaps a signal,");
	for (size_t i = 0; i < COUNT(names); i++)
		if (strcasecmp(name, names[i].name) == 0)
			number = names[i].number;
	if (!number && isdigit((unsigned char)*text))
		number = (int)parse_whole("signal", text, 1, SIGRTMAX);
	if (!number)
		die("signal '%s' is unknown: see kill -l", text);
	need_container(c, argv[0], true);
	c->pid_fd = sys_pidfd_open(c->pid);
	if (c->pid_fd < 0 || start_time(c->pid) != c->start ||
	    sys_pidfd_send_signal(c->pid_fd, number) < 0)
		die("container %s is not running", c->name);
	return 0;
}

static int delete(struct container *c, int argc, char **argv)
{
	need_words(argc, 1, INT_MAX, "names of containers");
	for (int i = 0; i < argc; i++) {
		struct container one = blank;
		char path[PATH_MAX];

		need_container(&one, argv[i], false);
		if (one.run_fd >= 0 && !c->force)
			die("container %s is running: stop it first, or use delete -f", one.name);
		if (one.run_fd >= 0) {
			one.pid_fd = one.pid < 0 ? -1 : sys_pidfd_open(one.pid);
			end_container(&one);
		}
		int host_fd = lock_host();
		snprintf(path, sizeof path, RUN_DIR "/%s", one.name);
		if (host_fd < 0 || access(path, F_OK) == 0)
			die("container %s is in use again", one.name);
		snprintf(path, sizeof path, LIB_DIR "/%s", one.name);
		remove_tree(path);
		puts(one.name);
		close(host_fd);
		close_fd(&one.pid_fd);
		close_fd(&one.run_fd);
		close_fd(&one.cgroup_fd);
	}
	return 0;
}

/* ---- Plumbing: state -------------------------------------------------------------------- */

/* The lock of the whole host, also taken by env.sh; given back by closing it. */
static int lock_host(void)
{
	if (mkdir(RUN_DIR, 0700) < 0 && errno != EEXIST)
		return -1;
	int fd = open(RUN_DIR, O_DIRECTORY | O_CLOEXEC);

	for (int i = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
		if (i == LOCK_SECONDS * 200)
			close_fd(&fd);
		usleep(5000);
	}
	return fd;
}

/* Names whose lock nobody holds: walk the way back that their engine could not. */
static void sweep_dead(void)
{
	struct dirent **names = NULL;
	int count = scandir(RUN_DIR, &names, NULL, NULL);

	for (int i = 0; i < count; free(names[i++])) {
		struct container dead = blank;
		char path[PATH_MAX];

		snprintf(path, sizeof path, RUN_DIR "/%s", names[i]->d_name);
		if (names[i]->d_name[0] == '.')
			continue;
		dead.run_fd = open(path, O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (dead.run_fd >= 0 && flock(dead.run_fd, LOCK_EX | LOCK_NB) == 0) {
			read_state(&dead, dead.run_fd);
			take_name(dead.name, path, names[i]->d_name);
			snprintf(path, sizeof path, LIB_DIR "/%s", dead.name);
			dead.layer_fd = open(path, O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
			dead.ran = dead.pid >= 0;
			dead.status = 128 + SIGKILL;
			walk_back(&dead, host_steps, COUNT(host_steps));
		}
		close_fd(&dead.run_fd);
	}
	free(names);
}

static void sweep(void)
{
	int fd = lock_host();

	if (fd < 0)
		die(RUN_DIR ": %s", errno == EWOULDBLOCK ? "locked by another engine or env.sh" : strerror(errno));
	sweep_dead();
	close(fd);
}

/* What a state file holds: KEY=VALUE lines. Size 0 is a long long. */
#define TEXT(field) { #field, offsetof(struct container, field), sizeof blank.field }
#define NUMBER(field) { #field, offsetof(struct container, field), 0 }
static const struct field { const char *key; size_t offset, size; } fields[] = {
	NUMBER(pid), NUMBER(start), NUMBER(started), NUMBER(status), NUMBER(users), NUMBER(base),
	NUMBER(uid), NUMBER(gid), NUMBER(capabilities), NUMBER(seccomp), NUMBER(remove),
	NUMBER(new_layer), NUMBER(prefix), TEXT(rootfs), TEXT(hostname), TEXT(address), TEXT(bridge),
	TEXT(gateway), TEXT(command),
};

/* Written aside and renamed, so that a reader never sees a half. */
static int write_state(const struct container *c, int dir_fd)
{
	char text[2 * PATH_MAX];
	size_t n = 0;

	for (size_t i = 0; i < COUNT(fields); i++) {
		const char *at = (const char *)c + fields[i].offset;
		n += (size_t)(fields[i].size
			? snprintf(text + n, sizeof text - n, "%s=%s\n", fields[i].key, at)
			: snprintf(text + n, sizeof text - n, "%s=%lld\n", fields[i].key,
			           *(const long long *)(const void *)at));
	}
	int fd = openat(dir_fd, "state.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool written = fd >= 0 && write(fd, text, n) == (ssize_t)n;
	close_fd(&fd);
	return written ? renameat(dir_fd, "state.new", dir_fd, "state") : -1;
}

static int read_state(struct container *c, int dir_fd)
{
	char text[2 * PATH_MAX], *rest = text, *line;

	if (!read_at(dir_fd, "state", text, sizeof text))
		return -1;
	while ((line = strsep(&rest, "\n")) != NULL) {
		char *value = line + strcspn(line, "=");

		for (size_t i = 0; *value && i < COUNT(fields); i++) {
			char *at = (char *)c + fields[i].offset;
			if (strncmp(line, fields[i].key, (size_t)(value - line)) != 0 ||
			    fields[i].key[value - line])
				continue;
			if (fields[i].size)
				snprintf(at, fields[i].size, "%s", value + 1);
			else
				*(long long *)(void *)at = atoll(value + 1);
		}
	}
	return 0;
}

/* run_fd >= 0: its engine lives. pid >= 0: it runs. Neither: it has a layer, and ended. */
static bool find_container(struct container *c, const char *name)
{
	char path[PATH_MAX];

	take_name(c->name, "name", name);
	snprintf(path, sizeof path, RUN_DIR "/%s", c->name);
	c->run_fd = open(path, O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (c->run_fd >= 0 && flock(c->run_fd, LOCK_SH | LOCK_NB) < 0) {
		read_state(c, c->run_fd);
		if (c->pid >= 0 && start_time(c->pid) != c->start)
			c->pid = -1;
		return true;
	}
	close_fd(&c->run_fd);
	snprintf(path, sizeof path, LIB_DIR "/%s", c->name);
	int fd = open(path, O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0)
		read_state(c, fd);
	c->pid = -1;
	close_fd(&fd);
	return fd >= -1 && access(path, F_OK) == 0;
}

/* All names that run or have a layer, in order; the caller frees the array. */
static size_t find_all(struct container **all)
{
	static const char *const dirs[] = { LIB_DIR, RUN_DIR };
	size_t n = 0;

	for (size_t d = 0; d < COUNT(dirs); d++) {
		struct dirent **names = NULL;
		int count = scandir(dirs[d], &names, NULL, alphasort);

		for (int i = 0; i < count; free(names[i++])) {
			bool known = names[i]->d_name[0] == '.';
			for (size_t k = 0; k < n; k++)
				known |= strcmp((*all)[k].name, names[i]->d_name) == 0;
			if (known)
				continue;
			struct container *more = realloc(*all, (n + 1) * sizeof **all);
			if (!more)
				die("out of memory");
			*all = more;
			(*all)[n] = blank;
			n += find_container(&(*all)[n], names[i]->d_name);
		}
		free(names);
	}
	return n;
}

/* ---- Plumbing: processes ---------------------------------------------------------------- */

/* fork(2), with namespaces, a cgroup to be born in (-1: ours), and a descriptor of the child. */
static int fork_into(uint64_t flags, int cgroup_fd, int *pid_fd)
{
	struct clone_args a = { .flags = flags, .exit_signal = SIGCHLD };

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

/* When the process began, in ticks since boot: field 22 of proc_pid_stat(5). -1: no process. */
static long long start_time(long long pid)
{
	char path[64], text[1024];
	long long ticks = -1;

	snprintf(path, sizeof path, "/proc/%lld/stat", pid);
	char *at = read_at(AT_FDCWD, path, text, sizeof text) ? strrchr(text, ')') : NULL;
	for (int field = 2; at && field < 22; field++)
		if ((at = strchr(at + 1, ' ')) && field == 2 && (at[1] == 'Z' || at[1] == 'X'))
			return -1; /* dead, and only waited for */
	if (at)
		ticks = atoll(at + 1);
	return ticks;
}

/* Does the process catch or ignore this signal? proc_pid_status(5) */
static bool handles_signal(long long pid, int number)
{
	static const char *const lines[] = { "SigIgn:", "SigCgt:" };
	char path[64], text[4096];
	bool handles = false;

	snprintf(path, sizeof path, "/proc/%lld/status", pid);
	if (read_at(AT_FDCWD, path, text, sizeof text))
		for (size_t i = 0; i < COUNT(lines); i++) {
			char *at = strstr(text, lines[i]);
			handles |= at && strtoull(at + 7, NULL, 16) >> (number - 1) & 1;
		}
	return handles;
}

/*
 * Without a user namespace root inside could overwrite the engine's file through a running
 * copy of it (CVE-2019-5736). So what runs then is a copy in memory, sealed against writing.
 */
static void restart_sealed(const struct container *c, bool without_users)
{
	const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	int self_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), copy_fd = -1;
	size_t n = 0, words = 0;
	struct stat s;

	if (self_fd < 0 || fstat(self_fd, &s) < 0)
		die("/proc/self/exe: %s", strerror(errno));
	if (fcntl(self_fd, F_GET_SEALS) == seals) {
		close(self_fd);
		return; /* this is the copy */
	}
	while (c->words[n])
		n++;
	char **words_again = calloc(n + 2, sizeof *words_again);
	for (size_t i = 0; words_again && i < n; i++) {
		words_again[words++] = c->words[i];
		if (i == 0 && without_users)
			words_again[words++] = "--userns=off";
	}
	copy_fd = memfd_create("container_engine", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	for (off_t at = 0; copy_fd >= 0 && at < s.st_size;)
		if (sendfile(copy_fd, self_fd, &at, (size_t)(s.st_size - at)) <= 0)
			break;
	if (words_again && copy_fd >= 0 && fcntl(copy_fd, F_ADD_SEALS, seals) == 0)
		fexecve(copy_fd, words_again, environ);
	die("cannot run from a sealed copy in memory: %s", strerror(errno));
}

/* The command, or a shell of the rootfs: bash if it is there. Also in words, for list. */
static void choose_program(struct container *c, int root_fd)
{
	size_t used = 0;

	if (!c->argv[0]) {
		int bash_fd = sys_openat2(root_fd, "bin/bash", O_PATH | O_CLOEXEC, RESOLVE_IN_ROOT);
		c->shell[0] = bash_fd >= 0 ? "/bin/bash" : "/bin/sh";
		c->argv = c->shell;
		close_fd(&bash_fd);
	}
	for (char **a = c->argv; *a && used < sizeof c->command - 1; a++) {
		int n = snprintf(c->command + used, sizeof c->command - used, "%s%s", used ? " " : "", *a);
		used += n > 0 ? (size_t)n : 0;
	}
	for (char *p = c->command; *p; p++)
		if (iscntrl((unsigned char)*p))
			*p = '?';
}

/* ---- Plumbing: files -------------------------------------------------------------------- */

/*
 * A descriptor of a path below the container's root, which is made where it is missing.
 * how: RESOLVE_IN_ROOT, links are followed as the container would; or RESOLVE_NO_SYMLINKS.
 * A link that leads nowhere is replaced. openat2(2)
 */
static int open_inside(struct container *c, const char *path, bool directory, uint64_t how)
{
	char parent[PATH_MAX];
	int fd = -1;

	while (*path == '/')
		path++;
	for (int try = 0; try < 3; try++) {
		fd = sys_openat2(c->root_fd, *path ? path : ".", O_PATH | O_CLOEXEC, how);
		if (fd >= 0 || errno != ENOENT || strlen(path) >= sizeof parent)
			return fd;
		strcpy(parent, path);
		char *leaf = strrchr(parent, '/');
		if (leaf && !leaf[1]) { /* a slash at the end */
			*leaf = '\0';
			return open_inside(c, parent, directory, how);
		}
		if (leaf)
			*leaf++ = '\0';
		int parent_fd = open_inside(c, leaf ? parent : "", true, how);
		if (parent_fd < 0)
			return -1;
		leaf = leaf ? leaf : parent;
		if ((directory ? mkdirat(parent_fd, leaf, 0755)
		               : mknodat(parent_fd, leaf, S_IFREG | 0644, 0)) < 0 && errno == EEXIST)
			unlinkat(parent_fd, leaf, 0);
		int error = errno;
		close(parent_fd);
		errno = error;
	}
	return fd;
}

/* A small file as a string; false when it cannot be read. */
static bool read_at(int dir_fd, const char *name, char *text, size_t size)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	text[n > 0 ? n : 0] = '\0';
	close_fd(&fd);
	return n >= 0;
}

/* One write, as the kernel's control files want it. */
static int write_at(int dir_fd, const char *name, const char *text)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));

	close_fd(&fd);
	return n < 0 ? -1 : 0;
}

/* Where cgroup2 is mounted: alone, or beside version 1. proc_pid_mountinfo(5) */
static bool find_cgroup2(char path[PATH_MAX])
{
	char line[2 * PATH_MAX], where[PATH_MAX], file[PATH_MAX + 32];
	FILE *f = fopen("/proc/self/mountinfo", "re");
	bool found = false;

	while (f && fgets(line, sizeof line, f))
		if (strstr(line, " - cgroup2 ") && sscanf(line, "%*s %*s %*s %*s %4095s", where) == 1) {
			snprintf(file, sizeof file, "%s/cgroup.procs", where);
			if (access(file, F_OK) == 0) { /* not hidden by a later mount */
				strcpy(path, where);
				found = true;
			}
		}
	if (f)
		fclose(f);
	return found;
}

/*
 * Empty a directory, never through a link or into a mount. What lies too deep for our number
 * of descriptors is moved to the top, where the next round finds it.
 */
static void clear_directory(int fd, int top_fd, int depth)
{
	static unsigned moved;
	DIR *entries = fdopendir(fd);
	struct dirent *e;

	while (entries && (e = readdir(entries)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    unlinkat(fd, e->d_name, 0) == 0 || unlinkat(fd, e->d_name, AT_REMOVEDIR) == 0)
			continue;
		if (depth > 50) {
			char name[32];
			snprintf(name, sizeof name, ".deep%u", moved++);
			renameat(fd, e->d_name, top_fd, name);
			continue;
		}
		int below = sys_openat2(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC,
		                        RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS);
		if (below >= 0)
			clear_directory(below, top_fd, depth + 1);
		unlinkat(fd, e->d_name, AT_REMOVEDIR);
	}
	closedir(entries);
}

static void remove_tree(const char *path)
{
	for (int round = 0; rmdir(path) < 0 && errno == ENOTEMPTY && round < 1000; round++) {
		int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (fd >= 0)
			clear_directory(fd, fd, 0);
	}
}

/* Safe to call twice, and keeps errno for the report that follows. */
static void close_fd(int *fd)
{
	int error = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = error;
}

/* ---- Plumbing: reports ------------------------------------------------------------------ */

/* Note why a step failed, with the error's text; the driver prints it. Returns -1. */
static int fail(struct container *c, const char *format, ...)
{
	const char *error = strerror(errno);
	va_list args;

	va_start(args, format);
	int n = vsnprintf(c->why, sizeof c->why, format, args);
	va_end(args);
	if (n >= 0 && (size_t)n < sizeof c->why)
		snprintf(c->why + n, sizeof c->why - (size_t)n, ": %s", error);
	return -1;
}

/* The same without an error's text. */
static int refuse(struct container *c, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(c->why, sizeof c->why, format, args);
	va_end(args);
	return -1;
}

/* One line on stderr, in one write; what came from outside cannot make two of it. */
static void report(const char *format, va_list args)
{
	char line[1024] = "container_engine: ";
	size_t n = strlen(line);

	vsnprintf(line + n, sizeof line - n - 1, format, args);
	for (char *p = line; *p; p++)
		if (iscntrl((unsigned char)*p))
			*p = '?';
	strcat(line, "\n");
	if (write(STDERR_FILENO, line, strlen(line)) < 0)
		return; /* nowhere to say it */
}

static void warn(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(format, args);
	va_end(args);
}

/* Before anything was made: say what is wrong, and end. */
static _Noreturn void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(format, args);
	va_end(args);
	exit(ENGINE_FAILED);
}

/* ---- Plumbing: system calls that not every libc has ------------------------------------- */

static int sys_openat2(int dir_fd, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = { .flags = flags, .resolve = resolve | RESOLVE_NO_MAGICLINKS };

	return (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof how);
}

/* A detached copy of the mount at path. flags: 0 or AT_RECURSIVE */
static int sys_open_tree(int dir_fd, const char *path, unsigned flags)
{
	enum { CLONE = 1 };

	return (int)syscall(SYS_open_tree, dir_fd, path, flags | CLONE | O_CLOEXEC);
}

/* Attach a detached mount at path, or, if that is "", at the directory or file dir_fd. */
static int sys_move_mount(int tree_fd, int dir_fd, const char *path)
{
	enum { FROM_EMPTY_PATH = 4, TO_EMPTY_PATH = 0x40 };

	return (int)syscall(SYS_move_mount, tree_fd, "", dir_fd, path,
	                    *path ? FROM_EMPTY_PATH : FROM_EMPTY_PATH | TO_EMPTY_PATH);
}

static int sys_mount_setattr(int tree_fd, const struct mount_attributes *a, bool recursive)
{
	enum { MOUNT_SETATTR = 442 }; /* the same on all machines; Linux 5.12 */

	return (int)syscall(MOUNT_SETATTR, tree_fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), a,
	                    sizeof *a);
}

static int sys_pidfd_open(long long pid)
{
	return (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
}

static int sys_pidfd_send_signal(int pid_fd, int number)
{
	return (int)syscall(SYS_pidfd_send_signal, pid_fd, number, NULL, 0);
}
