import type { DesktopEnvironment } from '@tyrum/protocol';
import { useState } from 'react';
import { Action, Field, Form } from '../form';
import { Id, PageHead, Problem, Status, Time } from '../parts';
import { useAllowed } from '../session';
import { Table, type Column } from '../table';
import { useAnswer } from '../use-answer';

/** How hosts get on is in no event. */
const REFRESH_MS = 2_000;

/** Screens that hosts keep and turns work. */
export function Desktops() {
  const allowed = useAllowed();
  const mayMake = allowed('operator.admin');
  const [isCreating, setCreating] = useState(false);
  const { answer, error, reload } = useAnswer('GET /v1/desktop-environments', {}, { everyMs: REFRESH_MS });
  const columns: Column<DesktopEnvironment>[] = [
    { title: 'Desktop', cell: ({ environment_id, label }) => label ?? <Id id={environment_id} /> },
    { title: 'State', cell: ({ status }) => <Status value={status} /> },
    { title: 'Screen', cell: ({ width, height }) => `${width} × ${height}` },
    { title: 'Node', cell: ({ node_id }) => (node_id === null ? '' : <Id id={node_id} />) },
    { title: 'Problem', as: 'wide', cell: ({ error: why }) => why ?? '' },
    { title: 'Created', cell: ({ created_at }) => <Time at={created_at} /> },
  ];
  if (allowed('operator.write')) {
    columns.push({ title: 'Actions', as: 'actions', cell: (row) => <Change desktop={row} onDone={reload} /> });
  }
  return (
    <>
      <PageHead title="Desktops">
        {mayMake && !isCreating && (
          <button className="primary" onClick={() => setCreating(true)}>
            New desktop
          </button>
        )}
      </PageHead>
      {isCreating && <Create onDone={() => (setCreating(false), reload())} onCancel={() => setCreating(false)} />}
      <Problem text={error} />
      <Table
        label="Desktops"
        rows={answer?.environments}
        keyOf={({ environment_id }) => environment_id}
        columns={columns}
        empty="There are no desktops."
      />
    </>
  );
}

function Create({ onDone, onCancel }: { readonly onDone: () => void; readonly onCancel: () => void }) {
  return (
    <Form
      label="New desktop"
      submit="Create"
      route="POST /v1/desktop-environments"
      body={(filled) => ({
        label: filled.text('label'),
        width: Number(filled.text('width')),
        height: Number(filled.text('height')),
      })}
      onDone={onDone}
      onCancel={onCancel}
    >
      <Field name="label" label="Label" hint="The first host with a free place takes it up." />
      <Field name="width" label="Width" type="number" min={320} defaultValue="1280" required />
      <Field name="height" label="Height" type="number" min={320} defaultValue="800" required />
    </Form>
  );
}

interface ChangeProps {
  readonly desktop: DesktopEnvironment;
  readonly onDone: () => void;
}

function Change({ desktop: { environment_id, desired, status }, onDone }: ChangeProps) {
  const mayMake = useAllowed()('operator.admin');
  const common = { params: { id: environment_id }, onDone };
  const isTriedAgain = status === 'failed';
  return (
    <>
      {(desired === 'stopped' || isTriedAgain) && (
        <Action label="Start" route="POST /v1/desktop-environments/:id/start" {...common} />
      )}
      {desired === 'running' && (
        <Action
          label="Stop"
          route="POST /v1/desktop-environments/:id/stop"
          confirm="What is open on it ends. Its files stay."
          {...common}
        />
      )}
      {mayMake && (
        <Action
          label="Move"
          route="POST /v1/desktop-environments/:id/move"
          confirm="It begins empty, on the first host with a free place, as another node."
          {...common}
        />
      )}
      {mayMake && (
        <Action
          label="Delete"
          kind="danger"
          route="DELETE /v1/desktop-environments/:id"
          confirm="Its files are gone then."
          {...common}
        />
      )}
    </>
  );
}
