import { basename } from 'node:path';
import type { Command } from 'commander';
import { getFile, putFile } from './artifact-transfer';
import { connect, type ConnectionOptions } from './config';
import { table } from './table';
import { print } from './turn-commands';

type Globals = ConnectionOptions & { readonly json?: boolean };

/** `artifact get`, `put` and `list`. */
export function addArtifactCommands(program: Command): void {
  const globals = () => program.opts<Globals>();
  const artifact = program.command('artifact').description('what turns leave, and what they are given');

  artifact
    .command('list <turn>')
    .description('the artifacts of a turn')
    .action(async (turn: string) => {
      const artifacts = await connect(globals()).artifacts(turn);
      const rows = artifacts.map((a) => [a.artifact_id, a.kind, String(a.size_bytes ?? ''), a.created_at, a.filename]);
      print(globals(), artifacts, table(['ARTIFACT', 'KIND', 'BYTES', 'CREATED', 'FILENAME'], rows));
    });

  artifact
    .command('get <artifact>')
    .description('download one, checked against its SHA-256')
    .option('-o, --output <file>', 'where to (default: its own name, in this folder)')
    .action(async (id: string, { output }: { output?: string }) => {
      const api = connect(globals());
      const found = await api.artifact(id);
      const path = output ?? basename(found.filename);
      await getFile(api, found, path);
      print(globals(), { ...found, path }, `${path}\n`);
    });

  artifact
    .command('put <file>')
    .description('upload a file; without --turn it is yours alone until a message refers to it')
    .option('--turn <turn>', 'the turn it belongs to')
    .option('--kind <kind>', 'screenshot, diff, log, dom_snapshot, http_trace, receipt, file or other', 'file')
    .option('--label <label...>')
    .option('--name <filename>', 'another name than the file has')
    .option('--mime <type>', 'its media type', 'application/octet-stream')
    .action(
      async (file: string, options: { turn?: string; kind: string; label?: string[]; name?: string; mime: string }) => {
        const query = new URLSearchParams({ filename: options.name ?? basename(file), kind: options.kind });
        for (const label of options.label ?? []) query.append('label', label);
        if (options.turn !== undefined) query.set('turn_id', options.turn);
        const made = await putFile(connect(globals()), file, { query, mimeType: options.mime });
        print(globals(), made, `${made.uri}\n`);
      },
    );
}
