import type { Cluster, ClusterDeployment, ClusterQueue, ClusterTakeover, Lease } from '@tyrum/protocol';
import { Duration, Facts, PageHead, Problem, Status, Time } from '../parts';
import { Table, type Column } from '../table';
import { useAnswer } from '../use-answer';

const REFRESH_MS = 3_000;

/** How the deployment is; of another tenant's operator, how the tenant's part of it is. */
export function Overview() {
  const { answer, error } = useAnswer('GET /v1/cluster', {}, { everyMs: REFRESH_MS });
  return (
    <>
      <PageHead title="Overview">
        {answer && (
          <span className="faint">
            as of <Time at={answer.at} />
          </span>
        )}
      </PageHead>
      <Problem text={error} />
      {answer ? <Shown cluster={answer} /> : !error && <p className="loading">Loading…</p>}
    </>
  );
}

function Shown({ cluster: { tenant, deployment } }: { readonly cluster: Cluster }) {
  const total = (count: (queue: ClusterQueue) => number) => tenant.queues.reduce((sum, queue) => sum + count(queue), 0);
  const connections = tenant.connections.reduce((sum, { clients, nodes }) => sum + clients + nodes, 0);
  return (
    <>
      <Facts
        of={{
          Running: total(({ running }) => running),
          Ready: total(({ ready }) => ready),
          Later: total(({ later }) => later),
          'Queued turns': total(({ queued_turns }) => queued_turns),
          'Oldest waits': tenant.oldest_ready ? <Duration ms={tenant.oldest_ready.waiting_ms} /> : '–',
          'Dead letters': tenant.dead_letters,
          Connections: connections,
        }}
      />
      <h2>Queues</h2>
      <Queues label="Queues by agent" rows={tenant.queues} nameOf={({ agent_key }) => agent_key ?? ''} name="Agent" />
      <h2>Takeovers of the last hour</h2>
      <Takeovers rows={deployment?.takeovers ?? tenant.takeovers} />
      {deployment && <Deployment deployment={deployment} />}
    </>
  );
}

function Queues(props: {
  label: string;
  rows: readonly ClusterQueue[];
  nameOf: (queue: ClusterQueue) => string;
  name: string;
}) {
  const columns: Column<ClusterQueue>[] = [
    { title: props.name, as: 'wide', cell: props.nameOf },
    { title: 'Running', as: 'number', cell: ({ running }) => running },
    { title: 'Ready', as: 'number', cell: ({ ready }) => ready },
    { title: 'Later', as: 'number', cell: ({ later }) => later },
    { title: 'Queued turns', as: 'number', cell: ({ queued_turns }) => queued_turns },
    { title: 'Weight', as: 'number', cell: ({ weight }) => weight },
    { title: 'Cap', as: 'number', cell: ({ max_running }) => max_running ?? '–' },
  ];
  return (
    <Table
      label={props.label}
      rows={props.rows}
      keyOf={props.nameOf}
      columns={columns}
      empty="Nothing waits and nothing runs."
    />
  );
}

function Takeovers({ rows }: { readonly rows: readonly ClusterTakeover[] }) {
  const columns: Column<ClusterTakeover>[] = [
    { title: 'At', cell: ({ at }) => <Time at={at} /> },
    { title: 'Kind', cell: ({ kind }) => kind },
    { title: 'What', as: 'wide', cell: ({ name }) => name },
    { title: 'Taken by', cell: ({ owner }) => owner },
    { title: 'From', cell: ({ taken_from }) => taken_from ?? '–' },
  ];
  return <Table label="Takeovers" rows={rows} keyOf={(row) => row.token + row.name} columns={columns} empty="None." />;
}

function Deployment({ deployment }: { readonly deployment: ClusterDeployment }) {
  const { instances, edges, leases, queues, database } = deployment;
  return (
    <>
      <h2>Instances</h2>
      <Table
        label="Instances"
        rows={instances}
        keyOf={({ instance_id }) => instance_id}
        empty="None has reported yet."
        columns={[
          { title: 'Instance', as: 'wide', cell: ({ instance_id }) => instance_id },
          { title: 'App', cell: ({ app }) => app },
          { title: 'Roles', cell: ({ roles }) => roles.join(', ') },
          { title: 'State', cell: ({ state }) => <Status value={state} /> },
          {
            title: 'Backplane',
            cell: ({ backplane }) => (backplane ? `${backplane.kind}${backplane.healthy ? '' : ' (down)'}` : '–'),
          },
          { title: 'Version', cell: ({ version }) => version },
          { title: 'Started', cell: ({ started_at }) => <Time at={started_at} /> },
          { title: 'Last seen', cell: ({ last_seen_at }) => <Time at={last_seen_at} /> },
        ]}
      />
      <h2>Edges and the outbox</h2>
      <Table
        label="Edges"
        rows={edges}
        keyOf={({ edge }) => edge}
        empty="No edge follows the outbox."
        columns={[
          { title: 'Edge', as: 'wide', cell: ({ edge }) => edge },
          { title: 'State', cell: ({ alive }) => <Status value={alive ? 'ready' : 'stale'} /> },
          { title: 'Rows behind', as: 'number', cell: ({ rows_behind }) => rows_behind },
          { title: 'Behind', as: 'number', cell: ({ behind_ms }) => <Duration ms={behind_ms} /> },
          { title: 'Clients', as: 'number', cell: ({ clients }) => clients },
          { title: 'Nodes', as: 'number', cell: ({ nodes }) => nodes },
        ]}
      />
      <h2>Queues of all tenants</h2>
      <Queues label="Queues by tenant" rows={queues} nameOf={({ tenant_id }) => tenant_id ?? ''} name="Tenant" />
      <h2>Leases</h2>
      <Leases rows={leases} />
      <h2>Database</h2>
      <Facts
        of={{
          Dialect: database.dialect,
          Schema: `${database.schema_revision} of ${database.known_revision}`,
          'Oldest snapshot': database.xmin_horizon_ms === null ? '–' : <Duration ms={database.xmin_horizon_ms} />,
          'Dead rows': database.tables.reduce((sum, { dead_rows }) => sum + dead_rows, 0),
        }}
      />
    </>
  );
}

function Leases({ rows }: { readonly rows: readonly Lease[] }) {
  const columns: Column<Lease>[] = [
    { title: 'Kind', cell: ({ kind }) => kind },
    { title: 'Name', as: 'wide', cell: ({ name }) => name },
    { title: 'State', cell: ({ held }) => <Status value={held ? 'held' : 'free'} /> },
    { title: 'Owner', cell: ({ owner }) => owner ?? '–' },
    { title: 'Since', cell: ({ since }) => <Time at={since} /> },
    { title: 'Expires', cell: ({ expires_at }) => <Time at={expires_at} /> },
  ];
  return (
    <Table label="Leases" rows={rows} keyOf={({ kind, name }) => `${kind} ${name}`} columns={columns} empty="None." />
  );
}
