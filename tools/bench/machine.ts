import { arch, cpus, loadavg, release, totalmem, type } from 'node:os';
import Redis from 'ioredis';
import { Client } from 'pg';
import type { Servers } from './fresh-database';

/** What the numbers were measured on. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  /** What all contenders ran on. */
  readonly node: string;
  readonly postgres: Readonly<Record<string, string>>;
  /** Whether what Redis answered is on the disk. */
  readonly redis: Readonly<Record<string, string>>;
  /** Processes that wanted a core in the minute before: well above zero, and others measured with us. */
  readonly loadBefore: number;
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

/** All but the Node, which may have to be installed yet: what others do to the machine is to be seen before that. */
export async function describeMachine({ postgres, redis }: Servers): Promise<Omit<Machine, 'node'>> {
  const loadBefore = Math.round((loadavg()[0] ?? 0) * 10) / 10;
  const client = new Client({ connectionString: postgres });
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
      postgres: Object.fromEntries(rows.map(({ name, value }) => [name, value])),
      redis: redis ? await describeRedis(redis) : {},
      loadBefore,
    };
  } finally {
    await client.end();
  }
}

async function describeRedis(url: string): Promise<Record<string, string>> {
  const redis = new Redis(url, { maxRetriesPerRequest: 1 });
  try {
    const version = /redis_version:(\S+)/.exec(await redis.info('server'))?.[1] ?? '?';
    const settings = (await redis.config('GET', 'append*')) as string[];
    const valueOf = (name: string) => settings[settings.indexOf(name) + 1] ?? '?';
    return { version, appendonly: valueOf('appendonly'), appendfsync: valueOf('appendfsync') };
  } finally {
    redis.disconnect();
  }
}

/** All of it in one line. */
export function machineLine({ cpu, cores, memoryGiB, system, node, postgres, redis, loadBefore }: Machine): string {
  const { server_version, ...settings } = postgres;
  const { version, ...kept } = redis;
  const list = (values: Readonly<Record<string, string>>) =>
    Object.entries(values)
      .map(([name, value]) => `${name}=${value}`)
      .join(', ');
  return [
    `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${system}, Node ${node}`,
    `Postgres ${server_version ?? '?'} (${list(settings)})`,
    ...(version ? [`Redis ${version} (${list(kept)})`] : []),
    `load before ${loadBefore}`,
  ].join('; ');
}
