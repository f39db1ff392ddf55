import { dirname, sep } from 'node:path';

/** What a program on a desktop may reach besides the system's own files, which it can read. */
export interface Reach {
  /** Writable, and its working directory. */
  readonly home: string;
  /** The display, its socket, and the file with its key, which is read. */
  readonly display: string;
  readonly socket: string;
  readonly authority: string;
}

/** What keeps programs from the runtime, and folders of its own that may lie among the system's. */
export interface Sandbox {
  readonly kind: 'bubblewrap' | 'none';
  /** Absolute. */
  readonly hidden: readonly string[];
}

const HOME = '/home/desktop';
const USER_ID = '1000';
const AUTHORITY = '/run/xauthority';
/** Where programs are looked for: not what whoever started the runtime happened to have. */
export const PATH = '/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games';
/** Programs and libraries. */
const SYSTEM = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/opt'];
/** Of `/etc`, where administrators keep passwords too: fonts, certificates, names of hosts and users, settings of programs. */
const ETC = [
  'alternatives',
  'ca-certificates',
  'chromium',
  'chromium.d',
  'firefox',
  'fonts',
  'group',
  'gtk-2.0',
  'gtk-3.0',
  'hosts',
  'ld.so.cache',
  'ld.so.conf',
  'ld.so.conf.d',
  'localtime',
  'mime.types',
  'nsswitch.conf',
  'passwd',
  'pki',
  'resolv.conf',
  'ssl',
  'terminfo',
  'X11',
  'xdg',
].map((name) => `/etc/${name}`);

/**
 * The command line that runs a program on a desktop. Under bubblewrap it sees its home, the system's files and its own processes: neither
 * the runtime's environment (the database's address is in it) nor its files. It shares the network. With `none` it runs as the
 * runtime does and can read what that can: only for a runtime that has nothing else beside it.
 */
export function confined(sandbox: Sandbox, reach: Reach, command: readonly string[]): readonly string[] {
  if (sandbox.kind === 'none') return ['setpriv', '--pdeathsig', 'KILL', '--', ...command];
  // Somebody who is nobody in particular: as root, some programs would do what only root outside could.
  const apart = [
    '--unshare-user',
    '--uid',
    USER_ID,
    '--gid',
    USER_ID,
    '--unshare-pid',
    '--unshare-ipc',
    '--unshare-uts',
  ];
  const own = ['--bind', reach.home, HOME, '--ro-bind', reach.authority, AUTHORITY, '--chdir', HOME];
  const display = ['--dir', dirname(reach.socket), '--ro-bind', reach.socket, reach.socket];
  // Behind /run, which is empty but for it: on many systems the file with the name servers is a link into it.
  const names = ['--ro-bind-try', '/run/systemd/resolve', '/run/systemd/resolve'];
  return [
    'bwrap',
    ...apart,
    '--hostname',
    'desktop',
    ...inside(sandbox),
    ...own,
    ...display,
    ...names,
    '--',
    ...command,
  ];
}

/** The command line that runs a screen: it needs neither network nor any file but its key and the folder of its socket. */
export function confinedScreen(
  sandbox: Sandbox,
  { socket, authority }: Pick<Reach, 'socket' | 'authority'>,
  command: readonly string[],
): readonly string[] {
  if (sandbox.kind === 'none') return ['setpriv', '--pdeathsig', 'KILL', '--', ...command];
  const folder = dirname(socket);
  const own = ['--ro-bind', authority, authority, '--bind', folder, folder];
  return ['bwrap', '--unshare-all', ...inside(sandbox), ...own, '--', ...command];
}

/** What everything in a sandbox finds. A folder of ours among the system's is empty there. */
function inside({ hidden }: Sandbox): string[] {
  const system = [...SYSTEM, ...ETC].flatMap((path) => ['--ro-bind-try', path, path]);
  const ours = hidden.filter((path) => SYSTEM.some((folder) => path === folder || path.startsWith(folder + sep)));
  const kernel = [
    '--proc',
    '/proc',
    '--dev',
    '/dev',
    '--ro-bind-try',
    '/sys',
    '/sys',
    '--tmpfs',
    '/tmp',
    '--tmpfs',
    '/run',
  ];
  const bounds = ['--die-with-parent', '--new-session', '--cap-drop', 'ALL', '--unshare-cgroup-try'];
  return [...bounds, ...system, ...ours.flatMap((path) => ['--tmpfs', path]), ...kernel];
}

/** The environment of a program on a desktop: nothing of ours. */
export function environmentOf({ kind }: Sandbox, { home, display, authority }: Reach): Record<string, string> {
  const isConfined = kind === 'bubblewrap';
  return {
    PATH,
    LANG: 'C.UTF-8',
    SHELL: '/bin/sh',
    USER: 'desktop',
    HOME: isConfined ? HOME : home,
    DISPLAY: display,
    XAUTHORITY: isConfined ? AUTHORITY : authority,
  };
}
