import { setTimeout as pause } from 'node:timers/promises';
import type { Cluster, ClusterDeployment, ClusterQueue, ClusterTakeover } from '@tyrum/protocol';
import type { Command } from 'commander';
import { connect, UsageError, type ConnectionOptions } from './config';
import { table } from './table';
import { print } from './turn-commands';

type Globals = ConnectionOptions & { readonly json?: boolean };

const CLEAR_SCREEN = '\x1b[2J\x1b[H';
const DEFAULT_EVERY_S = 2;

/** `cluster [--watch]`. */
export function addClusterCommands(program: Command): void {
  program
    .command('cluster')
    .description('how the deployment is: processes, edges, queues, takeovers, database')
    .option('--watch', 'again and again until it is interrupted')
    .option('--every <seconds>', 'with --watch: the pause in between', String(DEFAULT_EVERY_S))
    .action(async ({ watch, every }: { watch?: boolean; every: string }) => {
      if (!/^[1-9]\d{0,3}$/.test(every)) throw new UsageError(`--every: "${every}" is not a number of seconds`);
      const globals = program.opts<Globals>();
      const api = connect(globals);
      for (;;) {
        const cluster = await api.cluster();
        if (watch && process.stdout.isTTY) process.stdout.write(CLEAR_SCREEN);
        print(globals, cluster, renderCluster(cluster));
        if (!watch) return;
        await pause(Number(every) * 1_000);
      }
    });
}

/** Tables under their titles; those without rows are left out. */
export function renderCluster({ at, tenant, deployment }: Cluster): string {
  const oldest = tenant.oldest_ready;
  const facts = [
    `at ${at}`,
    `dead letters ${tenant.dead_letters}`,
    `oldest ready ${oldest ? `${oldest.conversation_key}, ${seconds(oldest.waiting_ms)}` : 'none'}`,
  ];
  const connections = tenant.connections.map((one) => [one.edge, String(one.clients), String(one.nodes)]);
  return [
    `${facts.join(' · ')}\n`,
    section(
      'QUEUES',
      queueTable('AGENT', tenant.queues, (queue) => queue.agent_key ?? ''),
    ),
    section('CONNECTIONS', rowsOrNone(['EDGE', 'CLIENTS', 'NODES'], connections)),
    section('TAKEOVERS', takeoverTable(tenant.takeovers)),
    ...(deployment ? renderDeployment(deployment, at) : []),
  ].join('');
}

function renderDeployment(deployment: ClusterDeployment, at: string): string[] {
  const { database, oldest_ready: oldest } = deployment;
  const instances = deployment.instances.map((one) => [
    one.instance_id,
    one.app + (one.app === 'edge' && one.roles.length > 1 ? ` (${one.roles.join(',')})` : ''),
    one.version,
    one.state,
    one.started_at,
    seconds(Date.parse(at) - Date.parse(one.last_seen_at)),
    one.backplane
      ? `${one.backplane.kind} ${one.backplane.healthy ? 'up' : `down: ${one.backplane.problem ?? ''}`}`
      : '',
  ]);
  const hosts = deployment.desktop_hosts.map((one) => [
    one.host_id,
    one.hostname,
    one.version,
    one.status,
    one.last_seen_at,
  ]);
  const edges = deployment.edges.map((one) => [
    one.edge,
    one.alive ? 'alive' : 'gone',
    String(one.rows_behind),
    seconds(one.behind_ms),
    String(one.clients),
    String(one.nodes),
  ]);
  const leases = deployment.leases.map((one) => [
    one.kind,
    one.name,
    one.owner === null ? 'free' : one.held ? 'held' : 'expired',
    one.token,
    one.owner ?? '',
    one.expires_at ?? '',
  ]);
  const tables = database.tables.map((one) => [
    one.name,
    String(one.live_rows),
    String(one.dead_rows),
    one.vacuumed_at ?? 'never',
  ]);
  const horizon =
    database.xmin_horizon_ms === null
      ? 'none open'
      : `${seconds(database.xmin_horizon_ms)}, ${database.xmin_horizon_xids ?? 0} transactions`;
  const facts = [
    `deployment: dead letters ${deployment.dead_letters}`,
    `oldest ready ${oldest ? `tenant ${oldest.tenant_id}, ${seconds(oldest.waiting_ms)}` : 'none'}`,
    `${database.dialect} schema ${database.schema_revision} of ${database.known_revision}`,
    `oldest snapshot ${horizon}`,
  ];
  return [
    `\n${facts.join(' · ')}\n`,
    section(
      'INSTANCES',
      rowsOrNone(['INSTANCE', 'APP', 'VERSION', 'STATE', 'STARTED', 'SEEN', 'BACKPLANE'], instances),
    ),
    section('EDGES', rowsOrNone(['EDGE', 'STATE', 'BEHIND', 'AGE', 'CLIENTS', 'NODES'], edges)),
    section('DESKTOP HOSTS', rowsOrNone(['HOST', 'NAME', 'VERSION', 'STATE', 'SEEN'], hosts)),
    section(
      'TENANTS',
      queueTable('TENANT', deployment.queues, (queue) => queue.tenant_id ?? ''),
    ),
    section('LEASES', rowsOrNone(['KIND', 'NAME', 'STATE', 'TOKEN', 'OWNER', 'EXPIRES'], leases)),
    section('TAKEOVERS', takeoverTable(deployment.takeovers)),
    section('TABLES', rowsOrNone(['TABLE', 'LIVE', 'DEAD', 'VACUUMED'], tables)),
  ];
}

function queueTable(title: string, queues: readonly ClusterQueue[], nameOf: (queue: ClusterQueue) => string): string {
  const rows = queues.map((queue) => [
    nameOf(queue),
    String(queue.ready),
    String(queue.later),
    String(queue.running),
    String(queue.queued_turns),
    String(queue.weight),
    queue.max_running === null ? '-' : String(queue.max_running),
  ]);
  return rowsOrNone([title, 'READY', 'LATER', 'RUNNING', 'TURNS', 'WEIGHT', 'CAP'], rows);
}

function takeoverTable(takeovers: readonly ClusterTakeover[]): string {
  const rows = takeovers.map((one) => [
    one.at,
    one.reason,
    one.kind,
    one.name,
    one.token,
    one.owner,
    one.taken_from ?? '',
  ]);
  return rowsOrNone(['AT', 'REASON', 'KIND', 'NAME', 'TOKEN', 'OWNER', 'TAKEN FROM'], rows);
}

function rowsOrNone(header: readonly string[], rows: readonly (readonly string[])[]): string {
  return rows.length === 0 ? '' : table(header, rows);
}

function section(title: string, text: string): string {
  return text === '' ? '' : `\n${title}\n${text}`;
}

function seconds(ms: number): string {
  return `${(Math.max(0, ms) / 1_000).toFixed(1)}s`;
}
