import { ensureInstalled } from '@tyrum/test-services';

/** What a desktop is made of, by program and Debian package. */
const PROGRAMS = {
  Xvfb: 'xvfb',
  openbox: 'openbox',
  xdotool: 'xdotool',
  maim: 'maim',
  bwrap: 'bubblewrap',
  xmodmap: 'x11-xserver-utils',
  xterm: 'xterm',
};

export function installDesktopPrograms(): void {
  for (const [program, aptPackage] of Object.entries(PROGRAMS)) {
    ensureInstalled(program, `the tests need ${program} on PATH`, aptPackage);
  }
}
