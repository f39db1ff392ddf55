import type { Cadence, Schedule } from '@tyrum/protocol';
import { useState } from 'react';
import { CliStepFields, cliStepOf, summaryOf } from '../cli-step';
import { Action, Choice, Field, Form, type Filled } from '../form';
import { Duration, Id, PageHead, Problem, Status, Time } from '../parts';
import { useAllowed } from '../session';
import { Table, type Column } from '../table';
import { useAnswer } from '../use-answer';

const REFRESH_MS = 10_000;

/** What runs again and again. */
export function Schedules() {
  const mayWrite = useAllowed()('operator.write');
  const [isCreating, setCreating] = useState(false);
  const { answer, error, reload } = useAnswer('GET /v1/schedules', {}, { everyMs: REFRESH_MS });
  const columns: Column<Schedule>[] = [
    { title: 'Schedule', cell: ({ schedule_id }) => <Id id={schedule_id} /> },
    { title: 'When', cell: ({ cadence }) => <When cadence={cadence} /> },
    { title: 'Runs', as: 'wide', cell: ({ execution }) => <code>{execution.steps.map(summaryOf).join('; ')}</code> },
    { title: 'State', cell: ({ enabled }) => <Status value={enabled ? 'enabled' : 'disabled'} /> },
    { title: 'Last', cell: ({ last_fired_at }) => <Time at={last_fired_at} /> },
    { title: 'Next', cell: ({ next_fire_at }) => <Time at={next_fire_at} /> },
  ];
  if (mayWrite)
    columns.push({ title: 'Actions', as: 'actions', cell: (row) => <Remove schedule={row} onDone={reload} /> });
  return (
    <>
      <PageHead title="Schedules">
        {mayWrite && !isCreating && (
          <button className="primary" onClick={() => setCreating(true)}>
            New schedule
          </button>
        )}
      </PageHead>
      {isCreating && <Create onDone={() => (setCreating(false), reload())} onCancel={() => setCreating(false)} />}
      <Problem text={error} />
      <Table
        label="Schedules"
        rows={answer?.schedules}
        keyOf={({ schedule_id }) => schedule_id}
        columns={columns}
        empty="Nothing is scheduled."
      />
    </>
  );
}

function When({ cadence }: { readonly cadence: Cadence }) {
  if (cadence.type === 'interval') {
    return (
      <>
        every <Duration ms={cadence.interval_ms} />
      </>
    );
  }
  return (
    <>
      <code>{cadence.expression}</code> {cadence.timezone}
    </>
  );
}

function Remove({ schedule: { schedule_id }, onDone }: { readonly schedule: Schedule; readonly onDone: () => void }) {
  return (
    <Action
      label="Delete"
      kind="danger"
      route="DELETE /v1/schedules/:id"
      params={{ id: schedule_id }}
      confirm="It will not run again."
      onDone={onDone}
    />
  );
}

function Create({ onDone, onCancel }: { readonly onDone: () => void; readonly onCancel: () => void }) {
  const [type, setType] = useState('interval');
  const cadenceOf = (filled: Filled): Cadence =>
    type === 'interval'
      ? { type: 'interval', interval_ms: Math.round(Number(filled.text('seconds')) * 1_000) }
      : { type: 'cron', expression: filled.text('expression') ?? '', timezone: filled.text('timezone') ?? '' };
  return (
    <Form
      label="New schedule"
      submit="Create"
      route="POST /v1/schedules"
      body={(filled) => ({
        kind: type === 'interval' ? 'heartbeat' : 'cron',
        cadence: cadenceOf(filled),
        execution: { kind: 'steps', ...cliStepOf(filled) },
        enabled: true,
      })}
      onDone={onDone}
      onCancel={onCancel}
    >
      <Choice
        name="type"
        label="When"
        options={{ interval: 'every so often', cron: 'by a cron expression' }}
        value={type}
        onChange={setType}
      />
      {type === 'interval' ? (
        <Field name="seconds" label="Seconds between" type="number" min={1} defaultValue="3600" required />
      ) : (
        <>
          <Field name="expression" label="Cron expression" placeholder="0 9 * * 1-5" required />
          <Field
            name="timezone"
            label="Time zone"
            defaultValue={Intl.DateTimeFormat().resolvedOptions().timeZone}
            required
          />
        </>
      )}
      <CliStepFields />
    </Form>
  );
}
