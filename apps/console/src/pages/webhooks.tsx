import type { WebhookCreated, WebhookView } from '@tyrum/protocol';
import { useState } from 'react';
import { CliStepFields, cliStepOf, summaryOf } from '../cli-step';
import { Action, Field, Form } from '../form';
import { PageHead, Problem, ShownOnce, Status, Time } from '../parts';
import { useAllowed } from '../session';
import { Table, type Column } from '../table';
import { useAnswer } from '../use-answer';

/** Turns that calls from outside start. */
export function Webhooks() {
  const mayWrite = useAllowed()('operator.write');
  const [isCreating, setCreating] = useState(false);
  const [made, setMade] = useState<WebhookCreated>();
  const { answer, error, reload } = useAnswer('GET /v1/webhooks');
  const show = (created: WebhookCreated): void => {
    setCreating(false);
    setMade(created);
    reload();
  };
  const columns: Column<WebhookView>[] = [
    { title: 'Label', cell: ({ label }) => label },
    { title: 'Path', cell: ({ path }) => <code>{path}</code> },
    { title: 'Runs', as: 'wide', cell: ({ execution }) => <code>{execution.steps.map(summaryOf).join('; ')}</code> },
    { title: 'State', cell: ({ enabled }) => <Status value={enabled ? 'enabled' : 'disabled'} /> },
    { title: 'Created', cell: ({ created_at }) => <Time at={created_at} /> },
  ];
  if (mayWrite)
    columns.push({
      title: 'Actions',
      as: 'actions',
      cell: (row) => <Change webhook={row} onRenewed={show} onDeleted={reload} />,
    });
  return (
    <>
      <PageHead title="Webhooks">
        {mayWrite && !isCreating && (
          <button className="primary" onClick={() => setCreating(true)}>
            New webhook
          </button>
        )}
      </PageHead>
      {made && (
        <ShownOnce what={`The secret of ${made.webhook.label}`} value={made.secret} onDone={() => setMade(undefined)} />
      )}
      {isCreating && (
        <Form
          label="New webhook"
          submit="Create"
          route="POST /v1/webhooks"
          body={(filled) => ({
            label: filled.text('label'),
            execution: { kind: 'steps', ...cliStepOf(filled) },
            enabled: true,
          })}
          onDone={show}
          onCancel={() => setCreating(false)}
        >
          <Field name="label" label="Label" required />
          <CliStepFields />
        </Form>
      )}
      <Problem text={error} />
      <Table
        label="Webhooks"
        rows={answer?.webhooks}
        keyOf={({ trigger_id }) => trigger_id}
        columns={columns}
        empty="There are no webhooks."
      />
    </>
  );
}

interface ChangeProps {
  readonly webhook: WebhookView;
  readonly onRenewed: (created: WebhookCreated) => void;
  readonly onDeleted: () => void;
}

function Change({ webhook: { trigger_id }, onRenewed, onDeleted }: ChangeProps) {
  const params = { id: trigger_id };
  return (
    <>
      <Action
        label="Renew"
        route="POST /v1/webhooks/:id/renew"
        params={params}
        confirm="The old secret will not do any more."
        onDone={onRenewed}
      />
      <Action
        label="Delete"
        kind="danger"
        route="DELETE /v1/webhooks/:id"
        params={params}
        confirm="Calls are refused then."
        onDone={onDeleted}
      />
    </>
  );
}
