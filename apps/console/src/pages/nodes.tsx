import type { NodeView, Pairing, PresenceEntry } from '@tyrum/protocol';
import { useState } from 'react';
import { Action, Checks, Choice, Form } from '../form';
import { Facts, Id, PageHead, Status, Time } from '../parts';
import { useAllowed } from '../session';
import { Table, usePages, type Column } from '../table';

/** Devices: who asks to be a node, who is one, and who is there. */
export function Nodes() {
  const allowed = useAllowed();
  return (
    <>
      <PageHead title="Nodes" />
      {allowed('operator.pairing') && <Pairings />}
      {allowed('operator.read') && (
        <>
          <NodeTable />
          <Presence />
        </>
      )}
    </>
  );
}

const FILTERS = { awaiting_human: 'waiting', approved: 'approved', denied: 'denied', revoked: 'revoked', '': 'all' };

function Pairings() {
  const [status, setStatus] = useState('');
  const { answer, pager, reload } = usePages(
    'GET /v1/pairings',
    { query: { status: status || undefined } },
    { on: ({ type }) => type === 'pairing.updated' || type === 'capability.ready' },
  );
  return (
    <section aria-label="Pairings">
      <div className="page-head">
        <h2>Pairings</h2>
        <Choice name="status" label="Status" options={FILTERS} value={status} onChange={setStatus} />
      </div>
      {answer?.pairings.length === 0 && (
        <p className="empty">No device asks. One that connects as a node appears here.</p>
      )}
      <ul className="cards">
        {answer?.pairings.map((pairing) => (
          <li key={pairing.pairing_id}>
            <PairingShown pairing={pairing} onDecided={reload} />
          </li>
        ))}
      </ul>
      {pager}
    </section>
  );
}

function PairingShown({ pairing, onDecided }: { readonly pairing: Pairing; readonly onDecided: () => void }) {
  const { pairing_id, node, status, capability_allowlist } = pairing;
  const [isApproving, setApproving] = useState(false);
  const waits = !['approved', 'denied', 'revoked'].includes(status);
  const common = { params: { pairing: pairing_id }, asksReason: true, kind: 'danger', onDone: onDecided } as const;
  return (
    <article aria-label={node.label ?? node.node_id}>
      <header>
        <Status value={status} />
        <strong>{node.label ?? 'unnamed'}</strong>
        <Id id={node.node_id} />
      </header>
      <Facts
        of={{
          Asked: <Time at={pairing.requested_at} />,
          'Last seen': <Time at={node.last_seen_at} />,
          Trust: pairing.trust_level ?? '–',
          Offers: namesOf(node.capabilities),
          Allowed: namesOf(capability_allowlist),
        }}
      />
      {isApproving ? (
        <ApproveForm
          pairing={pairing}
          onDone={() => (setApproving(false), onDecided())}
          onCancel={() => setApproving(false)}
        />
      ) : (
        <div className="buttons">
          {waits && (
            <button className="primary" onClick={() => setApproving(true)}>
              Approve…
            </button>
          )}
          {waits && <Action label="Deny" route="POST /v1/pairings/:pairing/deny" {...common} body={{}} />}
          {status === 'approved' && (
            <Action label="Revoke" route="POST /v1/pairings/:pairing/revoke" {...common} body={{}} />
          )}
        </div>
      )}
    </article>
  );
}

interface ApproveFormProps {
  readonly pairing: Pairing;
  readonly onDone: () => void;
  readonly onCancel: () => void;
}

/** Nothing is allowed that was not ticked: the list decides what the gateway asks of the node. */
function ApproveForm({ pairing: { pairing_id, node }, onDone, onCancel }: ApproveFormProps) {
  const offered = new Map(
    node.capabilities.map((capability) => [`${capability.id}@${capability.version}`, capability]),
  );
  return (
    <Form
      label="Approve the node"
      submit="Approve"
      route="POST /v1/pairings/:pairing/approve"
      params={{ pairing: pairing_id }}
      body={(filled) => ({
        trust_level: filled.text('trust_level'),
        capability_allowlist: filled.all('capability').map((name) => offered.get(name)),
      })}
      onDone={onDone}
      onCancel={onCancel}
    >
      <Choice
        name="trust_level"
        label="Trust"
        options={{ local: 'local: on this network', remote: 'remote: elsewhere' }}
      />
      <Checks name="capability" label="It may be asked for" options={[...offered.keys()]} />
    </Form>
  );
}

function namesOf(capabilities: readonly { readonly id: string }[]): string {
  return capabilities.map(({ id }) => id).join(', ') || '–';
}

function NodeTable() {
  const { answer, pager } = usePages(
    'GET /v1/nodes',
    {},
    { on: ({ type }) => /^(pairing|capability|presence)\./.test(type) },
  );
  const columns: Column<NodeView>[] = [
    { title: 'Node', cell: ({ node_id }) => <Id id={node_id} /> },
    { title: 'Label', as: 'wide', cell: ({ label }) => label ?? '–' },
    { title: 'State', cell: ({ status }) => <Status value={status} /> },
    { title: 'May do', as: 'wide', cell: ({ capability_allowlist }) => namesOf(capability_allowlist) },
    { title: 'Last seen', cell: ({ last_seen_at }) => <Time at={last_seen_at} /> },
  ];
  return (
    <>
      <h2>Approved nodes</h2>
      <Table
        label="Nodes"
        rows={answer?.nodes}
        keyOf={({ node_id }) => node_id}
        columns={columns}
        empty="There are no nodes yet."
      />
      {pager}
    </>
  );
}

function Presence() {
  const { answer, pager } = usePages('GET /v1/presence', {}, { on: ({ type }) => type.startsWith('presence.') });
  const columns: Column<PresenceEntry>[] = [
    { title: 'Device', cell: ({ instance_id }) => <Id id={instance_id} /> },
    { title: 'Role', cell: ({ role }) => role },
    { title: 'Mode', cell: ({ mode }) => mode ?? '–' },
    { title: 'Host', as: 'wide', cell: ({ host }) => host ?? '–' },
    { title: 'Version', cell: ({ version }) => version ?? '–' },
    { title: 'Last seen', cell: ({ last_seen_at }) => <Time at={last_seen_at} /> },
  ];
  return (
    <>
      <h2>Presence</h2>
      <Table
        label="Presence"
        rows={answer?.entries}
        keyOf={({ instance_id }) => instance_id}
        columns={columns}
        empty="Nobody is connected by WebSocket."
      />
      {pager}
    </>
  );
}
