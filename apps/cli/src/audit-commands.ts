import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import type { Command } from 'commander';
import { connect, type ConnectionOptions } from './config';
import { table } from './table';
import { print } from './turn-commands';
import { readHeads, verifyAudit, type AuditVerdict } from './verify-audit';

type Globals = ConnectionOptions & { readonly json?: boolean };

/** `audit list`, `head`, `export` and `verify`. */
export function addAuditCommands(program: Command): void {
  const globals = () => program.opts<Globals>();
  const audit = program.command('audit').description('who did what, and whether that was altered');

  audit
    .command('list')
    .description('what was done, newest first')
    .option('--type <type>', 'for example token.issued')
    .option('--actor <actor>', 'for example token:<id>')
    .option('--subject <subject>', 'for example turn:<id>')
    .option('--limit <n>')
    .option('--cursor <cursor>', 'what a page before named as the next')
    .action(async (query: Record<string, string>) => {
      const page = await connect(globals()).audit(query);
      const rows = page.entries.map((e) => [
        String(e.seq),
        e.at,
        e.type,
        e.actor,
        e.subject ?? '',
        JSON.stringify(e.detail),
      ]);
      const more = page.next_cursor === undefined ? '' : `more: --cursor ${page.next_cursor}\n`;
      print(globals(), page, table(['SEQ', 'AT', 'TYPE', 'ACTOR', 'SUBJECT', 'DETAIL'], rows) + more);
    });

  audit
    .command('head')
    .description('the end of the chain, signed: keep it where nobody can change it')
    .action(async () => {
      process.stdout.write(`${JSON.stringify(await connect(globals()).auditHead())}\n`);
    });

  audit
    .command('export')
    .description('all of it, a line of JSON each')
    .option('-o, --output <file>', 'where to (default: standard output)')
    .action(async ({ output }: { output?: string }) => {
      const { body } = await connect(globals()).auditExport();
      const source = Readable.fromWeb(body as ReadableStream);
      if (output !== undefined) return pipeline(source, createWriteStream(output, { flags: 'wx', mode: 0o600 }));
      source.pipe(process.stdout, { end: false });
      await once(source, 'end');
    });

  audit
    .command('verify <file>')
    .description('whether an export was altered, going by heads kept before; asks nobody')
    .option('--head <file...>', 'what `audit head` printed, or the log of a scheduler')
    .option('--key <id...>', 'a key that may sign although none of the heads names it')
    .action(async (file: string, { head = [], key = [] }: { head?: string[]; key?: string[] }) => {
      const verdict = await verifyAudit(file, { heads: head.flatMap(readHeads), keys: key });
      print(globals(), verdict, sentenceOf(verdict));
      if (!verdict.ok) process.exitCode = 1;
    });
}

function sentenceOf({ broken, entries, through, heads, signed_by }: AuditVerdict): string {
  if (broken) return `broken at ${broken.seq}: ${broken.rule}: ${broken.message}\n`;
  const signed = signed_by === null ? 'without a head of its own' : `signed by ${signed_by}`;
  const compared =
    heads === 0
      ? 'compared with no head kept before: a chain written anew as a whole would pass'
      : `as ${heads} ${heads === 1 ? 'head' : 'heads'} kept before vouch for`;
  return `whole: ${entries} entries up to ${through}, ${signed}, ${compared}\n`;
}
