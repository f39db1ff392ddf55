import { dirname } from 'node:path';

/** What a program on a desktop may reach besides the system's own files, which it can read. */
export interface Reach {
  /** Writable, and its working directory. */
  readonly home: string;
  /** The display's socket and the file with its key, which is read. */
  readonly display: string;
  readonly socket: string;
  readonly authority: string;
}

export type SandboxKind = 'bubblewrap' | 'none';

const HOME = '/home/desktop';
const USER_ID = '1000';
const AUTHORITY = '/run/xauthority';
/** Where programs are looked for: not what whoever started the runtime happened to have. */
export const PATH = '/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games';
/** Programs, libraries, fonts, certificates, names of hosts and users: what a program needs to run at all. */
const SYSTEM = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/opt', '/etc'];

/**
 * The command line that runs a program on a desktop. Under bubblewrap it sees its home, the system's files and its own processes:
 * neither the runtime's environment (the database's address is in it) nor its home, nor other desktops. It shares the network.
 * With `none` it runs as the runtime does and can read what that can: only for a runtime that has nothing else beside it.
 */
export function confined(kind: SandboxKind, reach: Reach, command: readonly string[]): readonly string[] {
  if (kind === 'none') return ['setpriv', '--pdeathsig', 'KILL', '--', ...command];
  const system = SYSTEM.flatMap((path) => ['--ro-bind-try', path, path]);
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
  const own = ['--bind', reach.home, HOME, '--ro-bind', reach.authority, AUTHORITY];
  const display = ['--dir', dirname(reach.socket), '--ro-bind', reach.socket, reach.socket];
  // Behind /run, which is empty but for it: on many systems the file with the name servers is a link into it.
  const names = ['--ro-bind-try', '/run/systemd/resolve', '/run/systemd/resolve'];
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
    '--unshare-cgroup-try',
  ];
  const bounds = ['--die-with-parent', '--new-session', '--cap-drop', 'ALL', '--hostname', 'desktop', '--chdir', HOME];
  return ['bwrap', ...apart, ...bounds, ...system, ...kernel, ...own, ...display, ...names, '--', ...command];
}

/** The environment of a program on a desktop: nothing of ours. */
export function environmentOf(kind: SandboxKind, { home, display, authority }: Reach): Record<string, string> {
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
