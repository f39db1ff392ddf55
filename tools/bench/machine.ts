import { arch, cpus, release, totalmem, type } from 'node:os';
import { Client } from 'pg';

/** What the numbers were measured on. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  readonly node: string;
  readonly postgres: Readonly<Record<string, string>>;
}

/** Settings that decide what a commit costs and means. */
const SETTINGS = [
  'server_version',
  'fsync',
  'synchronous_commit',
  'full_page_writes',
  'wal_sync_method',
  'shared_buffers',
  'max_wal_size',
  'commit_delay',
];

export async function describeMachine(postgresUrl: string): Promise<Machine> {
  const client = new Client({ connectionString: postgresUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ name: string; value: string }>(
      'select name, current_setting(name) as value from unnest($1::text[]) as name',
      [SETTINGS],
    );
    return {
      cpu: cpus()[0]?.model ?? 'unknown',
      cores: cpus().length,
      memoryGiB: Math.round((totalmem() / 2 ** 30) * 10) / 10,
      system: `${type()} ${release()} ${arch()}`,
      node: process.version,
      postgres: Object.fromEntries(rows.map(({ name, value }) => [name, value])),
    };
  } finally {
    await client.end();
  }
}

export function machineLine({ cpu, cores, memoryGiB, system, node, postgres }: Machine): string {
  const { server_version, ...settings } = postgres;
  const list = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  return `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${system}, Node ${node}, Postgres ${server_version ?? '?'} (${list.join(', ')})`;
}
