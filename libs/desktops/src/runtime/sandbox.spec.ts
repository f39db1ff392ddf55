import { confined, confinedScreen, environmentOf, type Reach } from './sandbox';

const bubblewrap = { kind: 'bubblewrap', hidden: [] } as const;
const none = { kind: 'none', hidden: [] } as const;
const reach: Reach = {
  home: '/var/lib/tyrum/desktops/one.1/home',
  display: ':7',
  socket: '/tmp/.X11-unix/X7',
  authority: '/var/lib/tyrum/desktops/one.1/scratch/xauthority',
};

/** What a bubblewrap command line makes reachable: [option, from, to]. */
function reachable(line: readonly string[]): string[][] {
  return line.flatMap((word, i) =>
    /^--(ro-)?bind(-try)?$/.test(word) ? [[word, line[i + 1] ?? '', line[i + 2] ?? '']] : [],
  );
}

it('gives a confined program the system to read, its home to write, and the way to its screen', () => {
  const line = confined(bubblewrap, reach, ['xterm', '-e', '--bind']);
  expect(line.slice(line.indexOf('--') + 1)).toEqual(['xterm', '-e', '--bind']);
  const own = line.slice(0, line.indexOf('--'));
  expect(reachable(own).filter(([option]) => option === '--bind')).toEqual([['--bind', reach.home, '/home/desktop']]);
  const read = reachable(own).filter(([option]) => option !== '--bind');
  expect(
    read.filter(([, from]) => from?.startsWith('/var') || from?.startsWith('/tmp')).map(([, from]) => from),
  ).toEqual([reach.authority, reach.socket]);
  expect(read.map(([, from]) => from)).not.toContain('/');
  for (const word of ['--unshare-user', '--unshare-pid', '--unshare-ipc', '--die-with-parent', '--new-session']) {
    expect(own).toContain(word);
  }
});

it('gives programs an environment without anything of ours, and paths as they see them', () => {
  const confinedEnvironment = environmentOf(bubblewrap, reach);
  expect(Object.keys(confinedEnvironment).sort()).toEqual([
    'DISPLAY',
    'HOME',
    'LANG',
    'PATH',
    'SHELL',
    'USER',
    'XAUTHORITY',
  ]);
  expect(JSON.stringify(confinedEnvironment)).not.toContain('/var/lib/tyrum');
  expect(environmentOf(none, reach)).toMatchObject({ HOME: reach.home, XAUTHORITY: reach.authority });
});

it('has programs die with the runtime without a sandbox too', () => {
  expect(confined(none, reach, ['xterm'])).toEqual(['setpriv', '--pdeathsig', 'KILL', '--', 'xterm']);
});

it('empties folders of ours among those that are read, after these', () => {
  const hidden = ['/opt/tyrum/.tyrum', '/usr', '/var/lib/tyrum'];
  for (const line of [
    confined({ kind: 'bubblewrap', hidden }, reach, ['x']),
    confinedScreen({ kind: 'bubblewrap', hidden }, reach, ['x']),
  ]) {
    const text = line.join(' ');
    expect(text).toMatch(/--ro-bind-try \/opt \/opt .*--tmpfs \/opt\/tyrum\/.tyrum --tmpfs \/usr /);
    expect(text).not.toContain('--tmpfs /var');
  }
});

it('reads of /etc what programs need, and not where passwords are', () => {
  const read = reachable(confined(bubblewrap, reach, ['x'])).map(([, from]) => from ?? '');
  expect(read).toContain('/etc/fonts');
  expect(
    read.filter((path) =>
      ['/etc', '/etc/shadow', '/etc/tyrum', '/home', '/root', '/var', '/tmp', '/run'].includes(path),
    ),
  ).toEqual([]);
});

it('gives a screen neither a network nor a file but its key and the folder of its socket', () => {
  const line = confinedScreen(bubblewrap, reach, ['Xvfb', ':7']);
  expect(line).toContain('--unshare-all');
  const own = reachable(line).filter(
    ([, from]) => !/^\/(usr|bin|sbin|lib|lib32|lib64|opt|etc|sys)(\/|$)/.test(from ?? ''),
  );
  expect(own).toEqual([
    ['--ro-bind', reach.authority, reach.authority],
    ['--bind', '/tmp/.X11-unix', '/tmp/.X11-unix'],
  ]);
});
