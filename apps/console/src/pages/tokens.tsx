import type { OperatorScope, TokenCreated, TokenRole, TokenView } from '@tyrum/protocol';
import { useState } from 'react';
import { Action, Checks, Choice, Field, Form, type Filled } from '../form';
import { Id, PageHead, ShownOnce, Status, Time } from '../parts';
import { Table, usePages, type Column } from '../table';

const ROLES: Readonly<Record<TokenRole, string>> = {
  client: 'client: what its scopes say',
  node: 'node: a device that carries out actions',
  admin: 'admin: everything in this tenant',
};
const SCOPES: readonly OperatorScope[] = [
  'operator.read',
  'operator.write',
  'operator.approvals',
  'operator.pairing',
  'operator.admin',
];

/** Who may come in. */
export function Tokens() {
  const [isCreating, setCreating] = useState(false);
  const [made, setMade] = useState<TokenCreated>();
  const { answer, pager, reload } = usePages('GET /v1/tokens');
  const columns: Column<TokenView>[] = [
    { title: 'Token', cell: ({ token_id }) => <Id id={token_id} /> },
    { title: 'Label', as: 'wide', cell: ({ label, subject }) => label ?? subject ?? '–' },
    { title: 'Role', cell: ({ role }) => role },
    {
      title: 'Scopes',
      as: 'wide',
      cell: ({ scopes }) => scopes.map((scope) => scope.replace('operator.', '')).join(' ') || '–',
    },
    { title: 'State', cell: (token) => <Status value={stateOf(token)} /> },
    { title: 'Created', cell: ({ created_at }) => <Time at={created_at} /> },
    { title: 'Expires', cell: ({ expires_at }) => <Time at={expires_at} /> },
    {
      title: 'Actions',
      as: 'actions',
      cell: (token) =>
        stateOf(token) === 'active' && (
          <Action
            label="Revoke"
            kind="danger"
            route="DELETE /v1/tokens/:id"
            params={{ id: token.token_id }}
            confirm="Whoever uses it is out within two seconds."
            onDone={reload}
          />
        ),
    },
  ];
  return (
    <>
      <PageHead title="Tokens">
        {!isCreating && (
          <button className="primary" onClick={() => setCreating(true)}>
            New token
          </button>
        )}
      </PageHead>
      {made && <ShownOnce what="The new token" value={made.token} onDone={() => setMade(undefined)} />}
      {isCreating && (
        <Create
          onCancel={() => setCreating(false)}
          onDone={(token) => {
            setCreating(false);
            setMade(token);
            reload();
          }}
        />
      )}
      <Table
        label="Tokens"
        rows={answer?.tokens}
        keyOf={({ token_id }) => token_id}
        columns={columns}
        empty="There are no tokens."
      />
      {pager}
    </>
  );
}

function stateOf({ revoked_at, expires_at }: TokenView): 'active' | 'revoked' | 'expired' {
  if (revoked_at !== null) return 'revoked';
  return expires_at !== null && Date.parse(expires_at) <= Date.now() ? 'expired' : 'active';
}

interface CreateProps {
  readonly onDone: (token: TokenCreated) => void;
  readonly onCancel: () => void;
}

function Create({ onDone, onCancel }: CreateProps) {
  const [role, setRole] = useState<string>('client');
  const bodyOf = (filled: Filled): object => {
    const label = filled.text('label');
    const expires = filled.text('expires_at');
    return {
      role,
      ...(label ? { label } : {}),
      ...(role === 'client' ? { scopes: filled.all('scopes') } : {}),
      ...(expires ? { expires_at: new Date(expires).toISOString() } : {}),
    };
  };
  return (
    <Form label="New token" submit="Issue" route="POST /v1/tokens" body={bodyOf} onDone={onDone} onCancel={onCancel}>
      <Field name="label" label="Label" hint="Who or what it is for." required />
      <Choice name="role" label="Role" options={ROLES} value={role} onChange={setRole} />
      {role === 'client' && <Checks name="scopes" label="Scopes" options={SCOPES} />}
      <Field name="expires_at" label="Expires" type="datetime-local" hint="Without it: never." />
    </Form>
  );
}
