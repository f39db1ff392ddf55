import type { SecretView } from '@tyrum/protocol';
import { useState } from 'react';
import { Action, Field, Form } from '../form';
import { PageHead, Time } from '../parts';
import { Table, usePages, type Column } from '../table';

type Open = { readonly form: 'create' } | { readonly form: 'rotate'; readonly key: string };

/** Values that steps use and nobody sees; here neither. */
export function Secrets() {
  const [open, setOpen] = useState<Open>();
  const { answer, pager, reload } = usePages('GET /v1/secrets');
  const done = (): void => {
    setOpen(undefined);
    reload();
  };
  const columns: Column<SecretView>[] = [
    { title: 'Handle', cell: ({ handle }) => <code>{handle}</code> },
    { title: 'Description', as: 'wide', cell: ({ description }) => description ?? '' },
    { title: 'Only to', cell: ({ hosts }) => hosts?.join(', ') ?? 'anywhere' },
    { title: 'Version', as: 'number', cell: ({ version }) => version },
    { title: 'Updated', cell: ({ updated_at }) => <Time at={updated_at} /> },
    {
      title: 'Actions',
      as: 'actions',
      cell: ({ key }) => (
        <>
          <button onClick={() => setOpen({ form: 'rotate', key })}>Rotate…</button>
          <Action
            label="Delete"
            kind="danger"
            route="DELETE /v1/secrets/:key"
            params={{ key }}
            confirm="Steps that name it fail then."
            onDone={reload}
          />
        </>
      ),
    },
  ];
  return (
    <>
      <PageHead title="Secrets">
        {open?.form !== 'create' && (
          <button className="primary" onClick={() => setOpen({ form: 'create' })}>
            New secret
          </button>
        )}
      </PageHead>
      {open?.form === 'create' && <Create onDone={done} onCancel={() => setOpen(undefined)} />}
      {open?.form === 'rotate' && (
        <Form
          key={open.key}
          label={`Rotate ${open.key}`}
          submit="Rotate"
          route="POST /v1/secrets/:key/rotate"
          params={{ key: open.key }}
          body={(filled) => ({ value: filled.exact('value') })}
          onDone={done}
          onCancel={() => setOpen(undefined)}
        >
          <Field name="value" label={`New value of ${open.key}`} rows={3} minLength={8} required />
        </Form>
      )}
      <Table
        label="Secrets"
        rows={answer?.secrets}
        keyOf={({ key }) => key}
        columns={columns}
        empty="There are no secrets."
      />
      {pager}
    </>
  );
}

function Create({ onDone, onCancel }: { readonly onDone: () => void; readonly onCancel: () => void }) {
  return (
    <Form
      label="New secret"
      submit="Keep"
      route="POST /v1/secrets"
      body={(filled) => {
        const hosts = filled
          .text('hosts')
          ?.split(/[\s,]+/)
          .filter(Boolean);
        const description = filled.text('description');
        return {
          key: filled.text('key'),
          value: filled.exact('value'),
          ...(description ? { description } : {}),
          ...(hosts?.length ? { hosts } : {}),
        };
      }}
      onDone={onDone}
      onCancel={onCancel}
    >
      <Field name="key" label="Key" required hint="Steps name it secret:<key>." />
      <Field name="value" label="Value" rows={3} minLength={8} required hint="Nothing shows it again." />
      <Field name="description" label="Description" />
      <Field
        name="hosts"
        label="Only hosts"
        hint="The only ones it may be sent to, separated by commas. Without any: anywhere."
      />
    </Form>
  );
}
