#!/usr/bin/env python3
"""told.py STRACE-LOG: what --explain told of a run, compared with what `strace -f` of it saw.

From the first step on each process must have told, in its own order and with equal arguments, of
each mount, move_mount, mount_setattr, pivot_root, umount, sethostname, clone3, unshare, setns,
write to a cgroup's file or an id map, and line for ip(8). What else it told must have happened, too.
Prints what differs; ends with 0 when nothing does. (The log: -s 9999, all system calls.)
"""
import collections
import re
import sys

ATTRIBUTES = {'RDONLY': 'ro', 'NOSUID': 'nosuid', 'NODEV': 'nodev', 'NOEXEC': 'noexec', 'IDMAP': 'idmap'}
COMPARED = 'mount mount_setattr pivot_root umount2 sethostname clone3 unshare setns write execve ip'.split()


def words(flags, prefix):
    """CLONE_NEWNS|CLONE_NEWPID -> a set of the words that --explain has for them."""
    names = re.findall(prefix + r'(\w+)', flags)
    return frozenset(ATTRIBUTES.get(n, n) for n in names)


class Process:
    def __init__(self, parent=None):
        self.fds = dict(parent.fds) if parent else {}
        self.cwd = parent.cwd if parent else ''
        self.expected, self.told, self.calls = [], [], collections.Counter()
        self.began = parent.began if parent else False
        self.input = ''   # of the program that it is about to start
        self.program = self.joined = self.side = ''

    def path(self, fd, name):
        if name.startswith('/'):
            return name
        base = self.cwd if fd == 'AT_FDCWD' else self.fds.get(fd, {}).get('path', '?')
        return base if name in ('', '.') else base.rstrip('/') + '/' + name


def strings(arguments):
    found = re.findall(r'"((?:[^"\\]|\\.)*)"', arguments)
    return [s.encode().decode('unicode_escape').encode('latin1').decode(errors='replace') for s in found]


def calls(log):
    """(pid, name, arguments, result, error); one that is interrupted twice, first without a result."""
    unfinished = {}
    for line in open(log, errors='replace'):
        pid, line = line.rstrip('\n').split(None, 1)
        m = re.match(r'(\w+)\((.*) <unfinished \.\.\.>$', line)
        if m:
            unfinished[pid] = line[:-len(' <unfinished ...>')]
            yield pid, m[1], m[2], None, None
            continue
        m = re.match(r'<\.\.\. \w+ resumed>(.*)', line)
        if m:
            line = unfinished.pop(pid, '') + m[1]
        m = re.match(r'(\w+)\((.*)\)\s+= (-?\w+)(?: E\w+ \((.*?)\))?', line)
        if m:
            yield pid, m[1], m[2], m[3], m[4]


def follow(log):
    processes, sent, cloning = {}, [], None
    for pid, name, args, result, error in calls(log):
        if pid not in processes:
            processes[pid] = Process(processes.get(cloning))
        p = processes[pid]
        if name in ('clone', 'clone3', 'fork', 'vfork') and result != '0':
            cloning = pid
        if name == 'execve':
            p.program, p.began = strings(args)[0], False
        if result is None:
            continue
        text, first = strings(args), args.split(',')[0].strip()
        numbers = re.findall(r'(?:^|, )(AT_FDCWD|-?\d+)(?=,|$)', args)
        done = error is None
        p.calls[name] += 1

        def expect(word, *what):
            if p.began:
                p.expected.append((word, *what, '' if done else error))

        if name == 'write' and first == '2' and text:
            m = re.match(r'(host|container) {3,}(\S+)(.*?) +# (\w+)\(\d\)', text[0])
            p.side = p.side or (m and m[1])
            if m and m[1] == p.side: # the engine passes on what the child says, too
                p.told.append((m[2], m[3].strip()))
            p.began |= text[0].lstrip('\x1b[1;3m0123456789').startswith(('HOST', 'CONTAINER'))
        elif name in ('open', 'openat', 'openat2') and done:
            at = 'AT_FDCWD' if name == 'open' else first
            p.fds[result] = {'path': p.path(at, text[0])}
        elif name == 'chdir' and done:
            p.cwd = p.path('AT_FDCWD', text[0])
        elif name == 'fchdir' and done:
            p.cwd = p.fds.get(first, {}).get('path', '?')
        elif name in ('dup', 'dup2', 'dup3') or (name == 'fcntl' and 'F_DUPFD' in args):
            p.fds[result] = p.fds.get(first, {})
        elif name == 'open_tree' and done:
            tree = p.fds.get(first, {}) if text[0] == '' else {}
            what = text[0] or tree.get('what') or tree.get('path', '?')
            if p.fds.get(first, {}).get('placed') and text[0]: # a name in one of the mounts
                what = p.path(first, text[0])
            p.fds[result] = dict(tree, what=what, path=what)
        elif name == 'fsopen' and done:
            p.fds[result] = {'type': text[0], 'options': []}
        elif name == 'fsconfig' and done and text and text[0] != 'source':
            p.fds[first]['options'].append('='.join(text))
        elif name == 'fsmount' and done:
            fs = p.fds[first]
            options = words(args, 'MOUNT_ATTR_') | frozenset(fs['options'])
            p.fds[result] = {'what': fs['type'], 'options': options, 'path': '/'}
            if fs['type'] == 'overlay':
                expect('mount', 'overlay', '', options)
                p.fds[result] = {'what': 'the root', 'path': '/'}
        elif name == 'fsmount':
            fs = p.fds[first]
            expect('mount', fs['type'], '', words(args, 'MOUNT_ATTR_') | frozenset(fs['options']))
        elif name == 'mount_setattr':
            options = words(re.search(r'attr_set=([^,]*)', args)[1], 'MOUNT_ATTR_')
            expect('mount_setattr', p.fds[first].get('what'), options)
        elif name == 'move_mount':
            tree = p.fds[first]
            place = p.path(numbers[1], text[1])
            what, options = tree['what'], tree.get('options', frozenset())
            if numbers[1] == 'AT_FDCWD' and text[1] in ('/', '/tmp'):
                what = 'the root'
            expect('mount', what, place, options)
            p.fds[first] = dict(tree, what=what, path='/' if what == 'the root' else place, placed=True)
        elif name == 'mount':
            expect('mount', '--make-rprivate' if 'MS_REC|MS_PRIVATE' in args else args, text[0], frozenset())
        elif name in ('pivot_root', 'umount2', 'sethostname'):
            expect(name, *text)
        elif name in ('unshare', 'setns') or name == 'clone3' and result != '0':
            p.joined = words(args, 'CLONE_(?=NEW|INTO_)')
            expect(name, p.joined)
        elif name == 'clone' and 'CLONE_VFORK' in args and result != '0':
            child = processes[result]
            child.expected = [] # its parent tells of it
            after = ', after setns NEWNET' if child.joined else ''
            expect('execve', child.program.split('/')[-1] + after)
            for line in p.input.splitlines():
                expect('ip', line)
            p.input = ''
        elif name == 'pwrite64' and p.fds.get(first, {}).get('memory'):
            p.input = text[0] if text else ''
        elif name == 'memfd_create':
            p.fds[result] = {'memory': True}
        elif name == 'write' and text:
            path = p.fds.get(first, {}).get('path', '')
            if path.startswith('/sys/fs/cgroup') or re.match(r'/proc/\d+/[ug]id_map', path):
                expect('write', path, text[0].rstrip('\n'))
        elif name == 'ioctl' and 'SIOCBRADDIF' in args:
            expect('ip', 'master')
        elif name == 'ioctl' and 'SIOCSIFFLAGS' in args and '"lo"' in args:
            expect('ip', 'link set lo up')
        elif name == 'sendmsg' and done:
            fds = re.search(r'cmsg_data=\[([\d, ]*)\]', args)
            sent += [[p.fds.get(fd, {}) for fd in fds[1].split(', ')]] if fds else []
        elif name == 'recvmsg' and done:
            fds = re.search(r'cmsg_data=\[([\d, ]*)\]', args)
            if fds:
                p.fds.update(zip(fds[1].split(', '), sent.pop(0)))
    return processes


def parse(word, rest):
    """What was told, in the form of what is expected."""
    rest, _, answer = rest.partition(' = ')
    error = '' if re.fullmatch(r'\d*', answer) else answer
    if word in ('clone3', 'unshare', 'setns'):
        return word, frozenset(re.findall(r'NEW\w+|INTO_CGROUP', rest)), error
    if word == 'mount_setattr':
        what, _, options = rest.replace(' (--userns off does without)', '').rpartition(':')
        return word, what, frozenset(filter(None, options.strip().split(','))), error
    if word == 'mount' and rest.startswith('--'):
        return word, *rest.split(), frozenset(), error
    if word == 'mount':
        rest = re.sub(r': one is a directory, .*| \(.*\)', '', rest)
        what, _, place = rest.rpartition(' on ') if ' on ' in rest else (rest, '', '')
        target, _, options = (place or what).partition(': ')
        return word, what if place else target, place and target, frozenset(filter(None, options.split(','))), error
    if word in ('pivot_root', 'umount2'):
        return word, *[w for w in rest.split() if not w.startswith('MNT_')], error
    if word == 'sethostname':
        return word, rest.strip('"'), error
    if word == 'write':
        path, _, value = rest.partition(' ')
        return word, path, value.strip('"'), error
    if word == 'ip' and ' master ' in rest:
        return word, 'master', error
    return word, rest, error


def equal(told, seen):
    if told[0] == seen[0] == 'write' and not told[1].startswith('/'): # told below the cgroup
        return seen[1].endswith('/' + told[1]) and told[2:] == seen[2:]
    return told == seen


def main(log):
    bad = compared = 0
    for pid, p in follow(log).items():
        told = [parse(*t) for t in p.told if t[0] in COMPARED]
        compared += len(told)
        for i in range(max(len(told), len(p.expected))):
            t = told[i] if i < len(told) else None
            s = p.expected[i] if i < len(p.expected) else None
            if not (t and s and equal(t, s)):
                print(f'{pid}: number {i + 1}:\n  told: {t}\n  seen: {s}')
                bad += 1
                break
        for word, _ in p.told:
            names = {'mkdir': ('mkdirat', 'mkdir')}.get(word, (word,))
            if word not in COMPARED and sum(p.calls[n] for n in names) == 0:
                print(f'{pid}: told, and not seen: {word}')
                bad += 1
    print(f'{compared} compared')
    return bad > 0 or compared == 0


sys.exit(main(sys.argv[1]))
