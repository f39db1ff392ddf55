import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import type { SecretView } from '@tyrum/protocol';
import type { Command } from 'commander';
import { connect, UsageError, type ConnectionOptions } from './config';
import { table } from './table';
import { print } from './turn-commands';

type Globals = ConnectionOptions & { readonly json?: boolean };

/** `secret …`: values that steps use by their handle. A value comes from a file or standard input: arguments are seen by others. */
export function addSecretCommands(program: Command): void {
  const globals = () => program.opts<Globals>();
  const secret = program.command('secret').description('values that steps use by their handle, and nobody sees');
  const shown = (made: SecretView): void => print(globals(), made, `${made.handle}\nversion  ${made.version}\n`);

  secret
    .command('set <key>')
    .description('keep a value, read from standard input, under secret:<key>')
    .option('--file <path>', 'read it from there')
    .option('--description <text>', 'what it is for')
    .option(
      '--host <host...>',
      'the only hosts it may be sent to; steps that a model chose may use no other secrets than such',
    )
    .action(async (key: string, options: { file?: string; description?: string; host?: string[] }) => {
      const { file, description, host } = options;
      const about = { ...(description === undefined ? {} : { description }), ...(host ? { hosts: host } : {}) };
      shown(await connect(globals()).createSecret({ key, value: await valueFrom(file), ...about }));
    });

  secret
    .command('rotate <key>')
    .description('put another value, read from standard input, in the place of the one there is')
    .option('--file <path>', 'read it from there')
    .action(async (key: string, { file }: { file?: string }) =>
      shown(await connect(globals()).rotateSecret(key, { value: await valueFrom(file) })),
    );

  secret
    .command('list')
    .description('all secrets, without their values')
    .action(async () => {
      const secrets = await connect(globals()).secrets();
      const rows = secrets.map((s) => [
        s.handle,
        String(s.version),
        s.updated_at,
        s.hosts?.join(' ') ?? '',
        s.description ?? '',
      ]);
      print(globals(), secrets, table(['SECRET', 'VERSION', 'UPDATED', 'HOSTS', 'DESCRIPTION'], rows));
    });

  secret
    .command('delete <key>')
    .description('delete it; steps that name it fail from then on')
    .action(async (key: string) => {
      await connect(globals()).remove('secrets', key);
      print(globals(), { key, deleted: true }, 'deleted\n');
    });
}

/** Without the line break that `echo` and editors put at the end. */
async function valueFrom(file: string | undefined): Promise<string> {
  if (file === undefined && process.stdin.isTTY) {
    throw new UsageError('the value is read from standard input: pipe it in, or name a file with --file');
  }
  const value = file === undefined ? await text(process.stdin) : readFileSync(file, 'utf8');
  return value.replace(/\r?\n$/, '');
}
