import type { DesktopEnvironment } from '@tyrum/protocol';
import type { Command } from 'commander';
import { connect, UsageError, type ConnectionOptions } from './config';
import { table } from './table';
import { print } from './turn-commands';

type Globals = ConnectionOptions & { readonly json?: boolean };

/** `desktop …`: screens that hosts keep, and that steps of the type `Desktop` work. */
export function addDesktopCommands(program: Command): void {
  const globals = () => program.opts<Globals>();
  const desktop = program.command('desktop').description('desktops that a host keeps and turns can work');
  const shown = (made: DesktopEnvironment): void => print(globals(), made, describe(made));

  desktop
    .command('create')
    .description('have one made; the first host with a free place takes it up')
    .option('--label <text>', 'what it is called')
    .option('--host <id>', 'the host that shall keep it (tyrum cluster)')
    .option('--size <width>x<height>', 'of its screen, in pixels (1280x800)')
    .action(async ({ label, host, size }: { label?: string; host?: string; size?: string }) => {
      const body = {
        ...(label === undefined ? {} : { label }),
        ...(host === undefined ? {} : { host_id: host }),
        ...(size === undefined ? {} : sizeOf(size)),
      };
      shown(await connect(globals()).createDesktop(body));
    });

  desktop
    .command('list')
    .description('all desktops')
    .action(async () => {
      const desktops = await connect(globals()).desktops();
      const rows = desktops.map((d) => [d.environment_id, d.status, d.label ?? '', d.node_id ?? '', d.error ?? '']);
      print(globals(), desktops, table(['DESKTOP', 'STATUS', 'LABEL', 'NODE', 'ERROR'], rows));
    });

  for (const [name, description] of [
    ['start', 'have it run'],
    ['stop', 'have it stop: what is open on it ends, its files stay'],
  ] as const) {
    desktop
      .command(`${name} <desktop>`)
      .description(description)
      .action(async (id: string) => shown(await connect(globals()).tellDesktop(id, name)));
  }

  desktop
    .command('move <desktop>')
    .description('give it to another host, where it begins empty')
    .option('--host <id>', 'that one; else the first with a free place')
    .action(async (id: string, { host }: { host?: string }) => {
      shown(await connect(globals()).tellDesktop(id, 'move', host === undefined ? {} : { host_id: host }));
    });

  desktop
    .command('delete <desktop>')
    .description('delete it with its files, and revoke its node')
    .action(async (id: string) => {
      await connect(globals()).remove('desktop-environments', id);
      print(globals(), { environment_id: id, deleted: true }, 'deleted\n');
    });
}

function describe(made: DesktopEnvironment): string {
  const lines = [
    made.environment_id,
    `status  ${made.status}`,
    ...(made.host_id === null ? [] : [`host    ${made.host_id}`]),
    ...(made.node_id === null ? [] : [`node    ${made.node_id}`]),
    ...(made.error === undefined ? [] : [`error   ${made.error}`]),
  ];
  return `${lines.join('\n')}\n`;
}

function sizeOf(size: string): { width: number; height: number } {
  const [, width, height] = /^(\d{1,5})x(\d{1,5})$/.exec(size) ?? [];
  if (width === undefined) throw new UsageError('--size is a width and a height in pixels: 1280x800');
  return { width: Number(width), height: Number(height) };
}
